//go:build e2e

package cmd_test

import (
	"testing"
	"time"

	"go.bug.st/serial"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// A servo is asked by the test itself. The device must have let go of the terminal.
type servo struct {
	port serial.Port
}

func (d *device) openServo(t *testing.T) servo {
	t.Helper()
	port, err := serial.Open(d.terminal, &serial.Mode{BaudRate: 57600})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { port.Close() })
	if err := port.ResetInputBuffer(); err != nil { // what was meant for the device
		t.Fatal(err)
	}
	return servo{port}
}

// read returns the value of a register. It asks again after a while, as the device may have been killed
// in the middle of an instruction, which the servo then waits for the rest of.
func (s servo) read(t *testing.T, r dynamixel.Register) int32 {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if value, ok := s.ask(t, r); ok {
			return value
		}
	}
	t.Fatalf("the servo did not answer within %v", patience)
	return 0
}

func (s servo) ask(t *testing.T, r dynamixel.Register) (value int32, ok bool) {
	t.Helper()
	if _, err := s.port.Write(dynamixel.AppendRead(nil, 1, r.Address, r.Size)); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Second)
	parser := dynamixel.Parser{MaxLength: 256}
	for buf := make([]byte, 64); time.Now().Before(deadline); {
		if err := s.port.SetReadTimeout(time.Until(deadline)); err != nil {
			t.Fatal(err)
		}
		n, err := s.port.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		parser.Feed(buf[:n])
		for p, ok := parser.Next(); ok; p, ok = parser.Next() {
			// Another length is the reply to what the device has asked last.
			if p.Instruction == dynamixel.Status && len(p.Params) == int(r.Size) {
				return r.Get(p.Params, r.Address), true
			}
		}
	}
	return 0, false
}
