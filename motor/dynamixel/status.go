package dynamixel

import "fmt"

// A StatusError is the error byte of a status packet: an error number, which says how the servo took
// the instruction, and beside it the alert bit, which says that the servo itself has a hardware error.
type StatusError byte

// The error numbers.
const (
	ResultFail       StatusError = 0x01
	InstructionError StatusError = 0x02
	CRCError         StatusError = 0x03
	DataRangeError   StatusError = 0x04
	DataLengthError  StatusError = 0x05
	DataLimitError   StatusError = 0x06
	AccessError      StatusError = 0x07

	// Alert is set in every status while Hardware Error Status is not 0. An instruction that was
	// answered with nothing but an alert has been carried out.
	Alert StatusError = 0x80
)

// Number is the error number without the alert bit; 0 means that the instruction was carried out.
func (e StatusError) Number() StatusError { return e &^ Alert }

// Alert reports whether the servo has a hardware error.
func (e StatusError) Alert() bool { return e&Alert != 0 }

// Is reports whether target has the same error number, whatever the alert bits.
func (e StatusError) Is(target error) bool {
	other, ok := target.(StatusError)
	return ok && e.Number() == other.Number()
}

// Error describes the error number.
func (e StatusError) Error() string {
	switch e.Number() {
	case 0:
		return "no error"
	case ResultFail:
		return "the servo failed to carry out the instruction"
	case InstructionError:
		return "the servo does not know the instruction"
	case CRCError:
		return "the servo received a damaged packet"
	case DataRangeError:
		return "the value is outside the register's range"
	case DataLengthError:
		return "the value is shorter than the register"
	case DataLimitError:
		return "the value is outside the limit that is set in the servo"
	case AccessError:
		return "the register does not exist, is read-only, or is locked while torque is on"
	}
	return fmt.Sprintf("unknown error number %d", byte(e.Number()))
}
