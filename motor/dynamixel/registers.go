package dynamixel

import (
	"encoding/binary"
	"fmt"
)

// A Register is an entry of the control table.
type Register struct {
	Address uint16
	Size    uint16 // bytes: 1, 2 or 4
	Signed  bool   // two's complement
}

// The registers of XC330, XL330, XM430 and XL430; addresses and units as in
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/ and its sister pages. Those up to 63 are
// EEPROM, which can be written only while torque is off. Which of them a model has says [Model.Has].
var (
	ModelNumber           = Register{0, 2, false}
	ModelInformation      = Register{2, 4, false}
	FirmwareVersion       = Register{6, 1, false}
	ID                    = Register{7, 1, false}
	BaudRate              = Register{8, 1, false}  // an index, see Bauds
	ReturnDelayTime       = Register{9, 1, false}  // 2 µs
	DriveMode             = Register{10, 1, false} // bits: DriveModeReverse and the following
	OperatingMode         = Register{11, 1, false} // see ModePosition
	SecondaryID           = Register{12, 1, false} // more than MaxID is none
	ProtocolType          = Register{13, 1, false} // 2 is Protocol 2.0
	HomingOffset          = Register{20, 4, true}  // steps
	MovingThreshold       = Register{24, 4, false} // 0.229 rpm
	TemperatureLimit      = Register{31, 1, false} // 1 °C
	MaxVoltageLimit       = Register{32, 2, false} // 0.1 V
	MinVoltageLimit       = Register{34, 2, false} // 0.1 V
	PWMLimit              = Register{36, 2, false} // 0.113 %
	CurrentLimit          = Register{38, 2, false} // Model.CurrentUnit
	VelocityLimit         = Register{44, 4, false} // 0.229 rpm
	MaxPositionLimit      = Register{48, 4, false} // steps
	MinPositionLimit      = Register{52, 4, false} // steps
	StartupConfiguration  = Register{60, 1, false} // bits: StartupTorqueOn, StartupRestoreRAM
	PWMSlope              = Register{62, 1, false} // 3.955 mV/ms, 1.977 mV/ms in the models for 5 V
	Shutdown              = Register{63, 1, false} // bits of HardwareErrorStatus that switch torque off
	TorqueEnable          = Register{64, 1, false} // 0 off, 1 on
	LED                   = Register{65, 1, false}
	StatusReturnLevel     = Register{68, 1, false} // 0 ping, 1 ping and read, 2 every instruction is answered
	RegisteredInstruction = Register{69, 1, false} // 1 while a RegWrite waits for its Action
	HardwareErrorStatus   = Register{70, 1, false} // see HardwareError
	VelocityIGain         = Register{76, 2, false} // the gains: units in the manual
	VelocityPGain         = Register{78, 2, false}
	PositionDGain         = Register{80, 2, false}
	PositionIGain         = Register{82, 2, false}
	PositionPGain         = Register{84, 2, false}
	Feedforward2ndGain    = Register{88, 2, false}
	Feedforward1stGain    = Register{90, 2, false}
	BusWatchdog           = Register{98, 1, true}  // 20 ms, −1 when it has tripped
	GoalPWM               = Register{100, 2, true} // 0.113 %
	GoalCurrent           = Register{102, 2, true} // Model.CurrentUnit
	GoalVelocity          = Register{104, 4, true} // 0.229 rpm
	ProfileAcceleration   = Register{108, 4, false}
	ProfileVelocity       = Register{112, 4, false} // 0.229 rpm, 0 is no limit
	GoalPosition          = Register{116, 4, true}  // steps
	RealtimeTick          = Register{120, 2, false} // ms
	Moving                = Register{122, 1, false} // 1 while a profile runs or the servo turns
	MovingStatus          = Register{123, 1, false} // bits: InPosition and the following
	PresentPWM            = Register{124, 2, true}  // 0.113 %
	PresentCurrent        = Register{126, 2, true}  // Model.CurrentUnit, or the load in Model.LoadUnit
	PresentVelocity       = Register{128, 4, true}  // 0.229 rpm
	PresentPosition       = Register{132, 4, true}  // steps
	VelocityTrajectory    = Register{136, 4, true}  // 0.229 rpm, what the profile wants now
	PositionTrajectory    = Register{140, 4, true}  // steps, what the profile wants now
	PresentInputVoltage   = Register{144, 2, false} // 0.1 V
	PresentTemperature    = Register{146, 1, false} // 1 °C
	BackupReady           = Register{147, 1, false} // 1 when there is a backup of the RAM registers
)

// Bits of [DriveMode].
const (
	DriveModeReverse      = 0x01 // the direction of rotation is reversed
	DriveModeTimeProfile  = 0x04 // profile velocity and acceleration are times in ms
	DriveModeTorqueByGoal = 0x08 // writing a goal switches torque on
)

// Bits of [StartupConfiguration].
const (
	StartupTorqueOn   = 0x01 // torque comes on when the servo starts
	StartupRestoreRAM = 0x02 // the backup of the RAM registers is restored when the servo starts
)

// Values of [OperatingMode].
const (
	ModeCurrent              = 0
	ModeVelocity             = 1
	ModePosition             = 3 // one turn, 0 to 4095
	ModeExtendedPosition     = 4
	ModeCurrentBasedPosition = 5
	ModePWM                  = 16
)

// Bits of [MovingStatus].
const (
	InPosition     = 0x01
	ProfileOngoing = 0x02
	FollowingError = 0x08

	// ProfileShape masks the two bits that say which profile is in use, one of the following four.
	ProfileShape       = 0x30
	ProfileStep        = 0x00 // none
	ProfileRectangular = 0x10
	ProfileTriangular  = 0x20
	ProfileTrapezoidal = 0x30
)

// StepsPerTurn is the resolution of the position registers.
const StepsPerTurn = 4096

// MaxPosition limits [GoalPosition] in [ModeExtendedPosition], in steps either way: 256 turns.
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#goal-position116
const MaxPosition = 1_048_575

// RPMPerUnit is the unit of the velocity registers, in revolutions per minute.
const RPMPerUnit = 0.229

// RPM2PerUnit is the unit of [ProfileAcceleration], in revolutions per minute squared.
const RPM2PerUnit = 214.577

// Bauds are the rates in bits a second that the values of [BaudRate] stand for. XC330 and XL330 lack
// the last one.
var Bauds = [...]int{9600, 57600, 115200, 1000000, 2000000, 3000000, 4000000, 4500000}

// A HardwareError is a bit of [HardwareErrorStatus]. Only a reboot or a power cycle clears it.
type HardwareError byte

// The hardware errors.
const (
	InputVoltageError    HardwareError = 0x01
	OverheatingError     HardwareError = 0x04
	EncoderError         HardwareError = 0x08
	ElectricalShockError HardwareError = 0x10
	OverloadError        HardwareError = 0x20
)

// Names lists the errors that are set: input_voltage, overheating, encoder, electrical_shock,
// overload; bits that the documentation does not name are given as bit_N.
func (e HardwareError) Names() []string {
	var names []string
	for bit := range 8 {
		switch b := HardwareError(1 << bit); {
		case e&b == 0:
		case b == InputVoltageError:
			names = append(names, "input_voltage")
		case b == OverheatingError:
			names = append(names, "overheating")
		case b == EncoderError:
			names = append(names, "encoder")
		case b == ElectricalShockError:
			names = append(names, "electrical_shock")
		case b == OverloadError:
			names = append(names, "overload")
		default:
			names = append(names, fmt.Sprintf("bit_%d", bit))
		}
	}
	return names
}

// Get decodes the register from table, a piece of the control table whose first byte is the one at
// address first. It panics when the register is not in it.
func (r Register) Get(table []byte, first uint16) int32 {
	b := table[r.Address-first:][:r.Size]
	switch {
	case r.Size == 1 && r.Signed:
		return int32(int8(b[0]))
	case r.Size == 1:
		return int32(b[0])
	case r.Size == 2 && r.Signed:
		return int32(int16(binary.LittleEndian.Uint16(b)))
	case r.Size == 2:
		return int32(binary.LittleEndian.Uint16(b))
	}
	return int32(binary.LittleEndian.Uint32(b))
}

// Put encodes value into the register's place in table, as Get reads it.
func (r Register) Put(table []byte, first uint16, value int32) {
	b := table[r.Address-first:][:r.Size]
	switch r.Size {
	case 1:
		b[0] = byte(value)
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(value))
	default:
		binary.LittleEndian.PutUint32(b, uint32(value))
	}
}
