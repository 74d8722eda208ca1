package simulator

import (
	"slices"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// check returns the error that writing the value would have: one for what the register can never hold, and
// another one for what only a limit in another register forbids.
// https://emanual.robotis.com/docs/en/dxl/protocol2/#error
func (s *Servo) check(e dynamixel.Entry, value int32) dynamixel.StatusError {
	low, high := e.Min, e.Max
	valid := true
	switch e.Register {
	case dynamixel.DriveMode, dynamixel.Shutdown:
		valid = value&^e.Max == 0 // a bit field, all of whose bits are in Max
	case dynamixel.OperatingMode:
		valid = slices.Contains(s.model.Modes(), value)
	case dynamixel.ProtocolType:
		// The other protocols are not simulated. A servo that cannot be talked to any more helps nobody.
		valid = value == 2
	case dynamixel.TorqueEnable:
		if value == 1 && s.shut() {
			// Only a reboot helps now. The manual gives no error number; this one means "failed to process".
			return dynamixel.ResultFail
		}
	case dynamixel.BusWatchdog:
		valid = !s.tripped() || value == 0
	}
	if !valid || value < low || value > high || isGoal(e.Register) && s.tripped() {
		return dynamixel.DataRangeError
	}
	switch e.Register {
	case dynamixel.GoalPWM:
		high = s.get(dynamixel.PWMLimit)
		low = -high
	case dynamixel.GoalCurrent:
		high = s.get(dynamixel.CurrentLimit)
		low = -high
	case dynamixel.GoalVelocity:
		high = s.get(dynamixel.VelocityLimit)
		low = -high
	case dynamixel.GoalPosition:
		if s.get(dynamixel.OperatingMode) == dynamixel.ModePosition {
			low, high = s.get(dynamixel.MinPositionLimit), s.get(dynamixel.MaxPositionLimit)
		}
	}
	if value < low || value > high {
		return dynamixel.DataLimitError
	}
	return 0
}

// apply writes a register and does what follows from it.
func (s *Servo) apply(r dynamixel.Register, value int32, now time.Time) {
	old := s.get(r)
	if r == dynamixel.TorqueEnable {
		s.setTorque(value == 1, now)
		return
	}
	s.set(r, value)
	mode := s.get(dynamixel.OperatingMode)
	switch r {
	case dynamixel.OperatingMode:
		if value != old {
			s.changeMode(value)
		}
	case dynamixel.DriveMode:
		if (value^old)&dynamixel.DriveModeReverse != 0 {
			// That it stays within one turn is a choice: the manual is silent.
			s.position, s.velocity = fold(-s.position), -s.velocity
		}
	}
	switch {
	case !isGoal(r):
	case s.torque():
		if r == goalOf(mode) {
			s.begin(now)
		}
	case s.get(dynamixel.DriveMode)&dynamixel.DriveModeTorqueByGoal != 0 && !s.shut():
		s.setTorque(true, now)
	}
}

// changeMode resets what a new operating mode resets.
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#operating-mode11
func (s *Servo) changeMode(mode int32) {
	const gains, gainsEnd = 76, 92
	for _, e := range s.entries {
		if e.Address >= gains && e.Address < gainsEnd {
			s.set(e.Register, e.Initial)
		}
	}
	s.set(dynamixel.ProfileVelocity, 0)
	s.set(dynamixel.ProfileAcceleration, 0)
	s.resetGoals()
	if mode == dynamixel.ModePosition {
		s.position = fold(s.position)
	}
}

// resetGoals sets the goals that have limits of their own to them.
func (s *Servo) resetGoals() {
	s.set(dynamixel.GoalPWM, s.get(dynamixel.PWMLimit))
	if s.has(dynamixel.GoalCurrent) {
		s.set(dynamixel.GoalCurrent, s.get(dynamixel.CurrentLimit))
	}
}
