package simulator

import (
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// A host takes the terminal for itself, and one that is killed never gives it back. Whether root may open
// it all the same says nothing, so the kernel is asked.
func TestPTYDoesNotStayLocked(t *testing.T) {
	line, _ := servePTY(t, New(Config{}), "")
	exclusive := func() int {
		t.Helper()
		value, err := unix.IoctlGetInt(int(line.terminal.slave.Fd()), unix.TIOCGEXCL)
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	port := openPort(t, line.Path())
	if exclusive() == 0 {
		t.Fatal("the library does not lock the port any more: this test is void")
	}
	exchange(t, port, pingOne, isPong)
	if exclusive() != 0 {
		t.Error("still locked after the host has sent something")
	}
}

func TestPTYHostAtAnotherRateIsNotUnderstood(t *testing.T) {
	for _, baud := range []int{9600, 57600, 115200, 1_000_000, 4_500_000} { // the last one has no constant
		s := New(Config{Baud: baud})
		line, _ := servePTY(t, s, "")
		port := openPort(t, line.Path())
		for _, host := range []int{115200, 57600, 4_500_000, baud} {
			if err := port.SetMode(&serial.Mode{BaudRate: host}); err != nil {
				t.Fatal(err)
			}
			if got := line.HostBaud(); got != host {
				t.Fatalf("the host has a rate of %d, and the terminal says %d", host, got)
			}
			if host == baud {
				exchange(t, port, pingOne, isPong)
				continue
			}
			port.Write(dynamixel.AppendWrite(nil, 1, dynamixel.LED, 1))
			port.SetReadTimeout(20 * time.Millisecond)
			if n, err := port.Read(make([]byte, 1)); n > 0 || err != nil {
				t.Errorf("%d at %d: answered (%v)", host, baud, err)
			}
			if s.Register(dynamixel.LED) != 0 {
				t.Errorf("%d at %d: obeyed", host, baud)
			}
		}
	}
}
