package simulator

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A host takes the terminal for itself, and one that is killed never gives it back. Whether root may open
// it all the same says nothing, so the kernel is asked.
func TestPTYDoesNotStayLocked(t *testing.T) {
	line, _ := servePTY(t, New(Config{}), "")
	exclusive := func() int {
		t.Helper()
		value, err := unix.IoctlGetInt(int(line.slave.Fd()), unix.TIOCGEXCL)
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
