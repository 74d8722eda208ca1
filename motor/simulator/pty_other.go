//go:build !(linux || darwin || freebsd || openbsd)

package simulator

import (
	"errors"
	"fmt"
)

var errNoPTY = fmt.Errorf("no pseudo-terminals on this system: %w", errors.ErrUnsupported)

// A PTY does not exist on this system; [Pipe] does.
type PTY struct{}

// OpenPTY returns an error: there are no pseudo-terminals on this system.
func OpenPTY(string) (*PTY, error) { return nil, errNoPTY }

// Path returns nothing.
func (*PTY) Path() string { return "" }

// Read fails.
func (*PTY) Read([]byte) (int, error) { return 0, errNoPTY }

// Write fails.
func (*PTY) Write([]byte) (int, error) { return 0, errNoPTY }

// Plug fails.
func (*PTY) Plug() error { return errNoPTY }

// Unplug does nothing.
func (*PTY) Unplug() error { return nil }

// Close does nothing.
func (*PTY) Close() error { return nil }
