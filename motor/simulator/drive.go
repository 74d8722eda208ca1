package simulator

import (
	"math"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

const (
	watchdogUnit = 20 * time.Millisecond
	tickRange    = 32768 // Realtime Tick counts milliseconds from 0 to 32767

	// inPosition and following are how far from its goal a horn still counts as in position, and how far
	// from its trajectory it counts as not following, in steps. The manual gives no numbers.
	inPosition = 5
	following  = 200

	// maxHomingOffset is what Homing Offset(20) may be in mode 3, in steps; a larger one is ignored.
	// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#homing-offset20
	maxHomingOffset = 1024
)

// advance lets happen what has become due: the bus watchdog counts while torque is on, and a trip stops
// the horn at once (profile velocity and acceleration count as 0) without switching torque off.
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#bus-watchdog98
func (s *Servo) advance(now time.Time) {
	s.blackout(now)
	limit := time.Duration(s.get(dynamixel.BusWatchdog)) * watchdogUnit
	if limit > 0 && now.Sub(s.fed) > limit {
		if s.run(s.fed.Add(limit)); s.torque() {
			s.halt()
			s.set(dynamixel.BusWatchdog, -1)
		}
	}
	s.run(now)
	if v := s.volts(); v > s.get(dynamixel.MaxVoltageLimit) || v < s.get(dynamixel.MinVoltageLimit) {
		s.fail(dynamixel.InputVoltageError)
	}
	s.refresh(now)
}

// halt makes the servo want to stand where it is, whatever the goals say.
func (s *Servo) halt() {
	s.path, s.ramp, s.halted = resting(s.position), ramp{}, true
}

// release switches torque off. What turns then coasts.
func (s *Servo) release() {
	s.set(dynamixel.TorqueEnable, 0)
	s.state = state{horn: s.horn}
	s.halt()
}

// setTorque switches torque. On, the servo drives to whatever Goal Position holds: the manual nowhere says
// that the goal follows the horn while torque is off, and users report motors that go back to their old goal
// (github.com/pollen-robotics/reachy_mini/issues/1136). In position mode torque coming on folds the position
// into one turn first: https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#present-position132
func (s *Servo) setTorque(on bool, now time.Time) {
	switch {
	case on == s.torque():
	case !on:
		s.release()
	default:
		if s.get(dynamixel.OperatingMode) == dynamixel.ModePosition {
			s.position = fold(s.position)
		}
		s.set(dynamixel.TorqueEnable, 1)
		if s.halt(); !s.tripped() {
			s.begin(now)
		}
	}
}

// begin starts a motion from where the horn is, as fast as it is, to the goal of the operating mode. Goals of
// PWM and current need no beginning: the control loop looks at them.
func (s *Servo) begin(now time.Time) {
	s.halted = false
	switch mode := s.get(dynamixel.OperatingMode); {
	case positional(mode):
		s.path = s.newPath(now, s.goal())
	case mode == dynamixel.ModeVelocity:
		s.ramp = s.newRamp(now)
	}
}

// positional reports whether the operating mode is one that controls the position.
func positional(mode int32) bool {
	return mode == dynamixel.ModePosition || mode == dynamixel.ModeExtendedPosition ||
		mode == dynamixel.ModeCurrentBasedPosition
}

// goalOf is the register that holds the goal of an operating mode.
func goalOf(mode int32) dynamixel.Register {
	switch mode {
	case dynamixel.ModeCurrent:
		return dynamixel.GoalCurrent
	case dynamixel.ModeVelocity:
		return dynamixel.GoalVelocity
	case dynamixel.ModePWM:
		return dynamixel.GoalPWM
	}
	return dynamixel.GoalPosition
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
	s.set(dynamixel.PresentPosition, steps(s.position)+s.offset())
	s.set(dynamixel.PresentVelocity, velocityUnits(s.velocity))
	s.set(dynamixel.PresentPWM, int32(math.Round(s.pwm)))
	s.set(dynamixel.PresentCurrent, s.current())
	s.set(dynamixel.PresentInputVoltage, s.volts())
	s.set(dynamixel.PresentTemperature, s.temperature())
	s.set(dynamixel.RealtimeTick, int32(max(0, now.Sub(s.booted)).Milliseconds()%tickRange))

	mode := s.get(dynamixel.OperatingMode)
	wanted, wantedVelocity := s.position, 0.0
	var moving, status int32
	switch {
	case !s.torque():
	case positional(mode):
		wanted, wantedVelocity = s.path.at(now)
		if s.path.ongoing(now) {
			moving = 1
			status |= dynamixel.ProfileOngoing | int32(s.path.shape)
		}
		if math.Abs(s.position-wanted) > following {
			status |= dynamixel.FollowingError
		}
		if math.Abs(s.position-s.goal()) <= inPosition {
			status |= dynamixel.InPosition
		}
	case mode == dynamixel.ModeVelocity:
		wantedVelocity = s.ramp.at(now)
	}
	if math.Abs(s.velocity) > float64(s.get(dynamixel.MovingThreshold))*velocityUnit {
		moving = 1
	}
	s.set(dynamixel.PositionTrajectory, steps(wanted)+s.offset())
	s.set(dynamixel.VelocityTrajectory, velocityUnits(wantedVelocity))
	s.set(dynamixel.Moving, moving)
	s.set(dynamixel.MovingStatus, status)
}

// current is Present Current in its unit, signed by the direction in which the motor pushes; or, in the
// models that do not measure it, Present Load in 0.1 %.
func (s *Servo) current() int32 {
	if !s.torque() {
		return 0
	}
	const slow = 50 // steps/s at which half of the current for idling flows
	current := s.load()*s.rating.stall + idling*s.velocity/(math.Abs(s.velocity)+slow)
	if s.model.CurrentUnit > 0 {
		return int32(math.Round(current / s.model.CurrentUnit))
	}
	return int32(math.Round(min(max(current/s.rating.stall, -1), 1) * 1000))
}

func steps(position float64) int32 { return int32(int64(math.Round(position))) }

func velocityUnits(velocity float64) int32 { return int32(math.Round(velocity / velocityUnit)) }
