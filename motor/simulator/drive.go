package simulator

import (
	"math"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

const (
	watchdogUnit = 20 * time.Millisecond
	tickRange    = 32768 // Realtime Tick counts milliseconds from 0 to 32767

	// What the motor draws, in mA, while it turns freely and while it pushes against a jammed horn. There
	// is no load in the simulation to calculate them from.
	turningCurrent = 60
	pushingCurrent = 800

	// maxHomingOffset is what Homing Offset(20) may be in mode 3, in steps; a larger one is ignored.
	// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#homing-offset20
	maxHomingOffset = 1024
)

// advance lets happen what has become due: the bus watchdog counts while torque is on, and a trip stops
// the horn at once (profile velocity and acceleration count as 0) without switching torque off.
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#bus-watchdog98
func (s *Servo) advance(now time.Time) {
	limit := time.Duration(s.get(dynamixel.BusWatchdog)) * watchdogUnit
	if s.torque() && limit > 0 && now.Sub(s.fed) > limit {
		s.stop(s.fed.Add(limit))
		s.set(dynamixel.BusWatchdog, -1)
	}
	s.refresh(now)
}

// at returns position and velocity of the horn, in steps and steps a second. The position is that of
// Present Position without the homing offset, so it runs backwards in reverse mode.
func (s *Servo) at(now time.Time) (position, velocity float64) {
	if s.torque() && !s.canTurn() {
		return s.horn, 0
	}
	return s.path.at(now)
}

// canTurn reports whether the motor can turn the horn: nothing jams it, and Goal PWM, which limits the
// motor's output in the position modes, leaves it some force.
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#goal-pwm100
func (s *Servo) canTurn() bool {
	return !s.faults.Jam && (!s.positioning() || s.get(dynamixel.GoalPWM) != 0)
}

// change changes something that canTurn may depend on. A horn that can turn again goes on to where it was to go.
func (s *Servo) change(now time.Time, what func()) {
	could := s.canTurn()
	if s.torque() {
		s.horn, _ = s.at(now)
	}
	what()
	if !could && s.canTurn() && s.torque() {
		s.path = s.newPath(now, s.horn, 0, s.path.target)
	}
}

// stop ends the motion where the horn is.
func (s *Servo) stop(now time.Time) {
	s.horn, _ = s.at(now)
	s.path = resting(s.horn)
}

// move starts a motion from where the horn is, as fast as it is. Only the position modes move.
func (s *Servo) move(now time.Time, target float64) {
	if s.positioning() {
		position, velocity := s.at(now)
		s.horn = position
		s.path = s.newPath(now, position, velocity, target)
	}
}

// setTorque switches torque. Off, the horn stops where it is. On, the servo drives to whatever Goal
// Position holds: the manual nowhere says that the goal follows the horn while torque is off, and users
// report motors that go back to their old goal (github.com/pollen-robotics/reachy_mini/issues/1136). In
// position mode torque coming on folds the position into one turn first:
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#present-position132
func (s *Servo) setTorque(on bool, now time.Time) {
	if on == s.torque() {
		return
	}
	s.stop(now)
	if !on {
		s.set(dynamixel.TorqueEnable, 0)
		return
	}
	if s.get(dynamixel.OperatingMode) == dynamixel.ModePosition {
		s.horn = fold(s.horn)
		s.path = resting(s.horn)
	}
	s.set(dynamixel.TorqueEnable, 1)
	if !s.tripped() {
		s.move(now, s.goal())
	}
}

func (s *Servo) positioning() bool {
	mode := s.get(dynamixel.OperatingMode)
	return mode == dynamixel.ModePosition || mode == dynamixel.ModeExtendedPosition
}

// goal is the position that Goal Position asks for. A goal that was written in another mode may lie
// outside the position limits; the manual does not say what then happens, here the servo goes to the limit.
func (s *Servo) goal() float64 {
	goal := s.get(dynamixel.GoalPosition)
	if s.get(dynamixel.OperatingMode) == dynamixel.ModePosition {
		goal = min(max(goal, s.get(dynamixel.MinPositionLimit)), s.get(dynamixel.MaxPositionLimit))
	}
	return float64(goal - s.offset())
}

// offset is what Present Position has more than the encoder.
func (s *Servo) offset() int32 {
	offset := s.get(dynamixel.HomingOffset)
	if s.get(dynamixel.OperatingMode) == dynamixel.ModePosition && (offset < -maxHomingOffset || offset > maxHomingOffset) {
		return 0
	}
	return offset
}

// refresh brings the registers up to date that say what the servo is doing.
func (s *Servo) refresh(now time.Time) {
	position, velocity := s.at(now)
	s.set(dynamixel.PresentPosition, steps(position)+s.offset())
	s.set(dynamixel.PresentVelocity, velocityUnits(velocity))
	s.set(dynamixel.PresentCurrent, s.current(position, velocity))
	s.set(dynamixel.RealtimeTick, int32(max(0, now.Sub(s.booted)).Milliseconds()%tickRange))

	wanted, wantedVelocity := s.path.at(now)
	s.set(positionTrajectory, steps(wanted)+s.offset())
	s.set(velocityTrajectory, velocityUnits(wantedVelocity))

	var moving, status int32
	if s.path.shape != step && s.path.ongoing(now) {
		moving = 1
		status |= dynamixel.ProfileOngoing | int32(s.path.shape)
	}
	if math.Abs(velocity) > float64(s.get(dynamixel.MovingThreshold))*velocityUnit {
		moving = 1
	}
	if s.torque() && s.positioning() && steps(position) == steps(s.goal()) {
		status |= dynamixel.InPosition
	}
	s.set(dynamixel.Moving, moving)
	s.set(dynamixel.MovingStatus, status)
}

// current is what the motor draws in mA, signed by the direction in which it pushes.
func (s *Servo) current(position, velocity float64) int32 {
	switch {
	case velocity > 0:
		return turningCurrent
	case velocity < 0:
		return -turningCurrent
	case s.torque() && s.path.target > position && s.faults.Jam:
		return pushingCurrent
	case s.torque() && s.path.target < position && s.faults.Jam:
		return -pushingCurrent
	}
	return 0
}

func steps(position float64) int32 { return int32(math.Round(position)) }

func velocityUnits(velocity float64) int32 { return int32(math.Round(velocity / velocityUnit)) }
