package motor

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"syscall"

	"go.bug.st/serial"
)

// Serial returns the function that opens the serial port of a name at a rate in bits a second: 8 bits, no
// parity, one stop bit. The port is the caller's alone: until it is closed, or the process ends, no other
// program can open it this way, under any of its names. The error says what to do. What becomes of the latency
// of an adapter is logged. The function is for one goroutine at a time.
func Serial(log *slog.Logger) func(name string, baud int) (Port, error) {
	return openSerial(&latency{devices: "/sys/class/tty", log: log})
}

func openSerial(l *latency) func(name string, baud int) (Port, error) {
	return func(name string, baud int) (Port, error) {
		lock, err := lockPort(name)
		if err != nil {
			return nil, explain(name, err)
		}
		port, err := serial.Open(name, &serial.Mode{BaudRate: baud})
		if err != nil {
			lock.Close()
			return nil, explain(name, err)
		}
		l.lower(name, lock)
		return lockedPort{port, lock}, nil
	}
}

// A lockedPort is a port with the file that holds its lock. The file is nil where the system lets only one
// program open a port.
type lockedPort struct {
	serial.Port
	lock *os.File
}

func (p lockedPort) Close() error {
	err := p.Port.Close()
	if p.lock != nil {
		err = errors.Join(err, p.lock.Close())
	}
	return err
}

var errLocked = errors.New("another process has locked it")

// explain says what to do about a port that cannot be opened.
func explain(name string, err error) error {
	var failure *serial.PortError
	code := serial.PortErrorCode(-1)
	if errors.As(err, &failure) {
		code = failure.Code()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no serial port %s; is the adapter plugged in?", name)
	case errors.Is(err, errLocked), errors.Is(err, syscall.EBUSY), code == serial.PortBusy:
		return fmt.Errorf("serial port %[1]s is in use by another program; end that first, fuser %[1]s tells which it is", name)
	case errors.Is(err, fs.ErrPermission), code == serial.PermissionDenied:
		return fmt.Errorf("serial port %s may not be opened by this user; add the user to the group dialout", name)
	}
	return fmt.Errorf("open serial port %s: %w", name, err)
}
