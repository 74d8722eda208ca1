package simulator

import "github.com/plate-resort/plate-resort/motor/dynamixel"

const (
	// ramStart is the first address of the RAM area; what is below is EEPROM.
	ramStart = 64
	// tableSize ends the control table behind Backup Ready(147).
	tableSize = 148

	// maxTurns limits the goal in every mode but 3, in steps: 256 revolutions either way.
	// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#goal-position116
	maxTurns = 1_048_575
)

// The names by which this package knows some registers.
var (
	secondaryID        = dynamixel.SecondaryID
	currentLimit       = dynamixel.CurrentLimit
	goalCurrent        = dynamixel.GoalCurrent
	velocityTrajectory = dynamixel.VelocityTrajectory
	positionTrajectory = dynamixel.PositionTrajectory
)

// An entry says what a register holds when the servo is new, and what may be written to it.
type entry struct {
	dynamixel.Register
	initial  int32
	writable bool
	min, max int32
}

func fixed(r dynamixel.Register, initial int32) entry {
	return entry{Register: r, initial: initial}
}

func writable(r dynamixel.Register, initial, min, max int32) entry {
	return entry{Register: r, initial: initial, writable: true, min: min, max: max}
}

// controlTable is the table of https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/ in its order. Goals
// have limits that depend on other registers, and bit fields have gaps: see [Servo.check].
var controlTable = []entry{
	fixed(dynamixel.ModelNumber, 1220),
	fixed(dynamixel.ModelInformation, 0),
	fixed(dynamixel.FirmwareVersion, 52),
	writable(dynamixel.ID, 1, 0, int32(dynamixel.MaxID)),
	writable(dynamixel.BaudRate, 1, 0, 6),
	writable(dynamixel.ReturnDelayTime, 250, 0, 254),
	writable(dynamixel.DriveMode, 0, 0, 0x0D),
	writable(dynamixel.OperatingMode, dynamixel.ModePosition, 0, 16),
	writable(secondaryID, 255, 253, 255),      // a second id is not simulated: only what switches it off
	writable(dynamixel.ProtocolType, 2, 2, 2), // the remote control protocols are not simulated
	writable(dynamixel.HomingOffset, 0, -1_044_479, 1_044_479),
	writable(dynamixel.MovingThreshold, 10, 0, 1023),
	writable(dynamixel.TemperatureLimit, 70, 0, 100),
	writable(dynamixel.MaxVoltageLimit, 140, 55, 140),
	writable(dynamixel.MinVoltageLimit, 55, 55, 140),
	writable(dynamixel.PWMLimit, 885, 0, 885),
	writable(currentLimit, 910, 0, 910),
	writable(dynamixel.VelocityLimit, 320, 0, 2047),
	writable(dynamixel.MaxPositionLimit, 4095, 0, 4095),
	writable(dynamixel.MinPositionLimit, 0, 0, 4095),
	writable(dynamixel.StartupConfiguration, 0, 0, 3),
	writable(dynamixel.PWMSlope, 255, 1, 255),
	writable(dynamixel.Shutdown, 52, 0, 0x3D),

	writable(dynamixel.TorqueEnable, 0, 0, 1),
	writable(dynamixel.LED, 0, 0, 1),
	writable(dynamixel.StatusReturnLevel, 2, 0, 2),
	fixed(dynamixel.RegisteredInstruction, 0),
	fixed(dynamixel.HardwareErrorStatus, 0),
	writable(dynamixel.VelocityIGain, 1200, 0, 16383),
	writable(dynamixel.VelocityPGain, 40, 0, 16383),
	writable(dynamixel.PositionDGain, 0, 0, 16383),
	writable(dynamixel.PositionIGain, 0, 0, 16383),
	writable(dynamixel.PositionPGain, 900, 0, 16383),
	writable(dynamixel.Feedforward2ndGain, 0, 0, 16383),
	writable(dynamixel.Feedforward1stGain, 0, 0, 16383),
	writable(dynamixel.BusWatchdog, 0, 0, 127),
	writable(dynamixel.GoalPWM, 885, -885, 885),
	writable(goalCurrent, 910, -910, 910),
	writable(dynamixel.GoalVelocity, 0, -2047, 2047),
	writable(dynamixel.ProfileAcceleration, 0, 0, 32767),
	writable(dynamixel.ProfileVelocity, 0, 0, 32767),
	writable(dynamixel.GoalPosition, 0, -maxTurns, maxTurns),
	fixed(dynamixel.RealtimeTick, 0),
	fixed(dynamixel.Moving, 0),
	fixed(dynamixel.MovingStatus, 0),
	fixed(dynamixel.PresentPWM, 0),
	fixed(dynamixel.PresentCurrent, 0),
	fixed(dynamixel.PresentVelocity, 0),
	fixed(dynamixel.PresentPosition, 0),
	fixed(velocityTrajectory, 0),
	fixed(positionTrajectory, 0),
	fixed(dynamixel.PresentInputVoltage, 120), // 12.0 V
	fixed(dynamixel.PresentTemperature, 31),
	fixed(dynamixel.BackupReady, 0),
}

// entryAt returns the entry of the register that begins at address.
func entryAt(address uint16) (entry, bool) {
	for _, e := range controlTable {
		if e.Address == address {
			return e, true
		}
	}
	return entry{}, false
}

// modes lists the operating modes of a model: the XL430 senses no current and lacks those that control it.
// https://emanual.robotis.com/docs/en/dxl/x/xl430-w250/#operating-mode11
func modes(model int32) []int32 {
	const xl430 = 1060
	if model == xl430 {
		return []int32{dynamixel.ModeVelocity, dynamixel.ModePosition, dynamixel.ModeExtendedPosition, dynamixel.ModePWM}
	}
	return []int32{dynamixel.ModeCurrent, dynamixel.ModeVelocity, dynamixel.ModePosition,
		dynamixel.ModeExtendedPosition, dynamixel.ModeCurrentBasedPosition, dynamixel.ModePWM}
}

func isGoal(r dynamixel.Register) bool {
	switch r {
	case dynamixel.GoalPWM, goalCurrent, dynamixel.GoalVelocity, dynamixel.GoalPosition:
		return true
	}
	return false
}
