package motor

import (
	"errors"
	"fmt"
	"io/fs"

	"go.bug.st/serial"
)

// Serial opens the serial port of that name at a rate in bits a second, 8 bits, no parity, one stop
// bit. The error says what to do.
func Serial(name string, baud int) (Port, error) {
	port, err := serial.Open(name, &serial.Mode{BaudRate: baud})
	var failure *serial.PortError
	switch {
	case err == nil:
		return port, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no serial port %s; is the adapter plugged in?", name)
	case !errors.As(err, &failure):
	case failure.Code() == serial.PortBusy:
		return nil, fmt.Errorf("serial port %s is in use by another program", name)
	case failure.Code() == serial.PermissionDenied:
		return nil, fmt.Errorf("serial port %s may not be opened by this user; add the user to the group dialout", name)
	}
	return nil, fmt.Errorf("open serial port %s: %w", name, err)
}
