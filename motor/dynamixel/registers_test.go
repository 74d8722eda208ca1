package dynamixel

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRegisterGetAndPut(t *testing.T) {
	for _, test := range []struct {
		name     string
		register Register
		value    int32
		bytes    []byte
	}{
		{"torque", TorqueEnable, 1, []byte{0x01}},
		{"a byte is not signed", TemperatureLimit, 200, []byte{0xC8}},
		{"a byte that is", BusWatchdog, -1, []byte{0xFF}},
		{"two bytes", PresentInputVoltage, 0x1234, []byte{0x34, 0x12}},
		{"two bytes are not signed", PWMLimit, 65535, []byte{0xFF, 0xFF}},
		{"two bytes that are", PresentCurrent, -2, []byte{0xFE, 0xFF}},
		{"the lowest current", PresentCurrent, -32768, []byte{0x00, 0x80}},
		// The documentation's example: 2,079 is 0000081Fh.
		{"four bytes", PresentPosition, 2079, []byte{0x1F, 0x08, 0x00, 0x00}},
		{"a negative position", PresentPosition, -1, []byte{0xFF, 0xFF, 0xFF, 0xFF}},
		{"256 turns back", GoalPosition, -1048575, []byte{0x01, 0x00, 0xF0, 0xFF}},
		{"a negative velocity", GoalVelocity, -200, []byte{0x38, 0xFF, 0xFF, 0xFF}},
	} {
		const first = 7 // what stands before and behind it in the table is not touched
		address := int(test.register.Address)
		table := bytes.Repeat([]byte{0xEE}, 200)
		test.register.Put(table[min(first, address):], uint16(min(first, address)), test.value)
		want := bytes.Repeat([]byte{0xEE}, 200)
		copy(want[address:], test.bytes)
		if diff := cmp.Diff(want, table); diff != "" {
			t.Errorf("%s: Put (-want +got)\n%s", test.name, diff)
		}
		if got := test.register.Get(test.bytes, test.register.Address); got != test.value {
			t.Errorf("%s: Get is %d, want %d", test.name, got, test.value)
		}
		if got := test.register.Get(want, 0); got != test.value {
			t.Errorf("%s: Get from the whole table is %d, want %d", test.name, got, test.value)
		}
	}
}

func TestRegisterOutsideTheTable(t *testing.T) {
	for name, read := range map[string]func(){
		"before":    func() { PresentPosition.Get(make([]byte, 4), 133) },
		"behind":    func() { PresentPosition.Get(make([]byte, 4), 128) },
		"half":      func() { PresentPosition.Get(make([]byte, 6), 130-1) },
		"put there": func() { PresentPosition.Put(make([]byte, 3), 132, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it did not panic")
				}
			}()
			read()
		})
	}
}

func TestAppendWriteOfEverySize(t *testing.T) {
	for _, test := range []struct {
		register Register
		value    int32
		params   []byte
	}{
		{TorqueEnable, 1, []byte{0x40, 0x00, 0x01}},
		{GoalPWM, -180, []byte{0x64, 0x00, 0x4C, 0xFF}},
		{GoalPosition, -1, []byte{0x74, 0x00, 0xFF, 0xFF, 0xFF, 0xFF}},
	} {
		parses(t, "write", AppendWrite(nil, 1, test.register, test.value), Packet{ID: 1, Instruction: Write, Params: test.params})
	}
	wire := []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x09, 0x00, 0x03, 0x74, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xC8, 0x89}
	if got := AppendWrite(nil, 1, GoalPosition, -1); !bytes.Equal(got, wire) {
		t.Errorf("got % X, want % X", got, wire)
	}
}

func TestHardwareErrorNames(t *testing.T) {
	for e, want := range map[HardwareError][]string{
		0x00: nil,
		0x01: {"input_voltage"},
		0x04: {"overheating"},
		0x08: {"encoder"},
		0x10: {"electrical_shock"},
		0x20: {"overload"},
		0x24: {"overheating", "overload"},
		0x3D: {"input_voltage", "overheating", "encoder", "electrical_shock", "overload"},
		0x82: {"bit_1", "bit_7"},
	} {
		if diff := cmp.Diff(want, e.Names()); diff != "" {
			t.Errorf("%#02x (-want +got)\n%s", byte(e), diff)
		}
	}
}

func TestStatusError(t *testing.T) {
	for e, want := range map[StatusError]struct {
		number StatusError
		alert  bool
		text   string
	}{
		0x00: {0, false, "no error"},
		0x80: {0, true, "no error"},
		0x01: {ResultFail, false, "the servo failed to carry out the instruction"},
		0x02: {InstructionError, false, "the servo does not know the instruction"},
		0x03: {CRCError, false, "the servo received a damaged packet"},
		0x04: {DataRangeError, false, "the value is outside the register's range"},
		0x05: {DataLengthError, false, "the value is shorter than the register"},
		0x06: {DataLimitError, false, "the value is outside the limit that is set in the servo"},
		0x87: {AccessError, true, "the register does not exist, is read-only, or is locked while torque is on"},
		0xFF: {0x7F, true, "unknown error number 127"},
	} {
		if e.Number() != want.number || e.Alert() != want.alert || e.Error() != want.text {
			t.Errorf("%#02x: number %d, alert %v, %q", byte(e), e.Number(), e.Alert(), e)
		}
	}
}
