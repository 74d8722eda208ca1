package dynamixel

import "slices"

// An Entry is a register of one model's control table.
type Entry struct {
	Register
	// Initial is the value when the servo is new (EEPROM) or has got power (RAM); 0 where that is measured,
	// differs from one servo to the next, or is not known.
	Initial  int32
	Writable bool
	// Min and Max bound what may be written, as far as no other register does: a goal is also bound by the
	// register with its limit. Where bits are set and no number, Max has all bits that may be.
	Min, Max int32
}

func readOnly(r Register, initial int32) Entry { return Entry{Register: r, Initial: initial} }

func writable(r Register, initial, min, max int32) Entry {
	return Entry{Register: r, Initial: initial, Writable: true, Min: min, Max: max}
}

const (
	// maxPWM is all of the supply voltage, in 0.113 %.
	maxPWM = 885
	// maxGoal is 256 turns, in steps: what a goal can be in the modes that count turns.
	// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#goal-position116
	maxGoal = 256*StepsPerTurn - 1
	// maxOffset is 255 turns, in steps.
	maxOffset = 255*StepsPerTurn - 1
	maxGain   = 16383
	// maxProfile is in the unit of Profile Velocity(112) and Profile Acceleration(108).
	maxProfile = 32767
)

// common is what all models have, in the order of addresses. Where they differ, the limits are the widest and
// the initial value is 0, or what most have; the variants say which they are.
var common = []Entry{
	readOnly(ModelNumber, 0),
	readOnly(ModelInformation, 0),
	readOnly(FirmwareVersion, 0),
	writable(ID, 1, 0, int32(MaxID)),
	writable(BaudRate, 1, 0, 7),
	writable(ReturnDelayTime, 250, 0, 254),
	writable(DriveMode, 0, 0, DriveModeReverse|DriveModeTimeProfile|DriveModeTorqueByGoal),
	writable(OperatingMode, ModePosition, ModeCurrent, ModePWM),
	writable(SecondaryID, 255, 0, 255),
	writable(ProtocolType, 2, 1, 22),
	writable(HomingOffset, 0, -maxOffset, maxOffset),
	writable(MovingThreshold, 10, 0, 1023),
	writable(TemperatureLimit, 0, 0, 100),
	writable(MaxVoltageLimit, 0, 31, 160),
	writable(MinVoltageLimit, 0, 31, 160),
	writable(PWMLimit, maxPWM, 0, maxPWM),
	writable(VelocityLimit, 0, 0, 2047),
	writable(MaxPositionLimit, StepsPerTurn-1, 0, StepsPerTurn-1),
	writable(MinPositionLimit, 0, 0, StepsPerTurn-1),
	writable(StartupConfiguration, 0, 0, StartupTorqueOn|StartupRestoreRAM),
	writable(Shutdown, 0x34, 0, 0x3D), // overload, electrical shock, overheating

	writable(TorqueEnable, 0, 0, 1),
	writable(LED, 0, 0, 1),
	writable(StatusReturnLevel, 2, 0, 2),
	readOnly(RegisteredInstruction, 0),
	readOnly(HardwareErrorStatus, 0),
	writable(VelocityIGain, 0, 0, maxGain),
	writable(VelocityPGain, 0, 0, maxGain),
	writable(PositionDGain, 0, 0, maxGain),
	writable(PositionIGain, 0, 0, maxGain),
	writable(PositionPGain, 800, 0, maxGain),
	writable(Feedforward2ndGain, 0, 0, maxGain),
	writable(Feedforward1stGain, 0, 0, maxGain),
	writable(BusWatchdog, 0, 0, 127),
	writable(GoalPWM, maxPWM, -maxPWM, maxPWM),
	writable(GoalVelocity, 0, -2047, 2047),
	writable(ProfileAcceleration, 0, 0, maxProfile),
	writable(ProfileVelocity, 0, 0, maxProfile),
	writable(GoalPosition, 0, -maxGoal, maxGoal),
	readOnly(RealtimeTick, 0),
	readOnly(Moving, 0),
	readOnly(MovingStatus, 0),
	readOnly(PresentPWM, 0),
	readOnly(PresentCurrent, 0),
	readOnly(PresentVelocity, 0),
	readOnly(PresentPosition, 0),
	readOnly(VelocityTrajectory, 0),
	readOnly(PositionTrajectory, 0),
	readOnly(PresentInputVoltage, 0),
	readOnly(PresentTemperature, 0),
	readOnly(BackupReady, 0),
}

// A variant is a model and what its control table has beyond the common one, or in place of it.
type variant struct {
	Model
	differs [][]Entry
}

// variants are the models of
//
//	https://emanual.robotis.com/docs/en/dxl/x/xc330-t181/, …/xc330-t288/, …/xc330-m181/, …/xc330-m288/
//	https://emanual.robotis.com/docs/en/dxl/x/xl330-m077/, …/xl330-m288/
//	https://emanual.robotis.com/docs/en/dxl/x/xm430-w210/, …/xm430-w350/
//	https://emanual.robotis.com/docs/en/dxl/x/xl430-w250/
var variants = []variant{
	{Model{1210, "XC330-T181", 1, 0}, [][]Entry{size330, supply12V, current(910), velocity(510, 2047), gains(1200, 40, 0, 0, 900)}},
	{Model{1220, "XC330-T288", 1, 0}, [][]Entry{size330, supply12V, current(910), velocity(320, 2047), gains(1200, 40, 0, 0, 900)}},
	{Model{1230, "XC330-M181", 1, 0}, [][]Entry{size330, supply5V, current(2352), velocity(545, 2047), gains(1400, 100, 500, 0, 1200)}},
	{Model{1240, "XC330-M288", 1, 0}, [][]Entry{size330, supply5V, current(2352), velocity(350, 2047), gains(1600, 50, 500, 0, 1100)}},
	{Model{1190, "XL330-M077", 1, 0}, [][]Entry{size330, supply5V, current(1750), velocity(1620, 2047), gains(400, 40, 0, 400, 400), xl330}},
	{Model{1200, "XL330-M288", 1, 0}, [][]Entry{size330, supply5V, current(1750), velocity(445, 2047), gains(1600, 180, 0, 0, 400), xl330}},
	{Model{1030, "XM430-W210", 2.69, 0}, [][]Entry{size430, xm430, current(1193), velocity(330, 1023), gains(1920, 100, 0, 0, 800)}},
	{Model{1020, "XM430-W350", 2.69, 0}, [][]Entry{size430, xm430, current(1193), velocity(200, 1023), gains(1920, 100, 0, 0, 800)}},
	{Model{1060, "XL430-W250", 0, 0.1}, [][]Entry{size430, xl430, velocity(265, 1023), gains(1000, 100, 4000, 0, 640)}},
}

var (
	// size330 is what XC330 and XL330 have in common. Protocol types 20 to 22 are those of remote controls.
	size330 = []Entry{
		writable(BaudRate, 1, 0, 6),
		writable(ProtocolType, 2, 2, 22),
		writable(TemperatureLimit, 70, 0, 100),
	}
	supply12V = []Entry{
		writable(MaxVoltageLimit, 140, 55, 140),
		writable(MinVoltageLimit, 55, 55, 140),
		writable(PWMSlope, 255, 1, 255),
	}
	supply5V = []Entry{
		writable(MaxVoltageLimit, 70, 31, 70),
		writable(MinVoltageLimit, 35, 31, 70),
		writable(PWMSlope, 140, 1, 255),
	}
	xl330 = []Entry{
		writable(Shutdown, 0x35, 0, 0x3D), // the input voltage, too
	}

	// size430 is what XM430 and XL430 have in common. Protocol type 1 is Protocol 1.0.
	size430 = []Entry{
		writable(ProtocolType, 2, 1, 2),
	}
	xm430 = []Entry{
		writable(TemperatureLimit, 80, 0, 100),
		writable(MaxVoltageLimit, 160, 95, 160),
		writable(MinVoltageLimit, 95, 95, 160),
	}
	xl430 = []Entry{
		writable(TemperatureLimit, 72, 0, 100),
		writable(MaxVoltageLimit, 140, 60, 140),
		writable(MinVoltageLimit, 60, 60, 140),
	}
)

// current are the registers of a model that controls its current. The goal begins as the limit.
func current(limit int32) []Entry {
	return []Entry{
		writable(CurrentLimit, limit, 0, limit),
		writable(GoalCurrent, limit, -limit, limit),
	}
}

// velocity are the limit of the velocity when the servo is new, and the highest that there can be.
func velocity(limit, highest int32) []Entry {
	return []Entry{
		writable(VelocityLimit, limit, 0, highest),
		writable(GoalVelocity, 0, -highest, highest),
	}
}

func gains(velocityI, velocityP, positionD, positionI, positionP int32) []Entry {
	return []Entry{
		writable(VelocityIGain, velocityI, 0, maxGain),
		writable(VelocityPGain, velocityP, 0, maxGain),
		writable(PositionDGain, positionD, 0, maxGain),
		writable(PositionIGain, positionI, 0, maxGain),
		writable(PositionPGain, positionP, 0, maxGain),
	}
}

// put puts an entry into a table in the order of addresses, in place of the one that is there.
func put(table []Entry, e Entry) []Entry {
	i, found := search(table, e.Address)
	if found {
		table[i] = e
		return table
	}
	return slices.Insert(table, i, e)
}

func search(table []Entry, address uint16) (int, bool) {
	return slices.BinarySearchFunc(table, address, func(e Entry, address uint16) int {
		return int(e.Address) - int(address)
	})
}
