//go:build unix

package motor

import (
	"errors"
	"os"
	"syscall"
)

// lockPort locks a port until the file is closed, or the process ends in whatever way. What the kernel itself
// offers, the exclusive use that go.bug.st/serial claims, does not hold root back.
func lockPort(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.ENOTSUP) {
		return file, nil // the exclusive use is all that there is
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errLocked
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
