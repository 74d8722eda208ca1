package motor

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lowerLatency sets the latency of an FTDI adapter to 1 ms and returns what it was, in ms. It returns 0 if there
// is nothing to do: the latency is that low, or the port is not one of an adapter that has a latency.
func lowerLatency(devices, name string, port *os.File) (was int, err error) {
	path, err := filepath.EvalSymlinks(name)
	if err != nil {
		return 0, nil // unplugged just now
	}
	timer := filepath.Join(devices, filepath.Base(path), "device", "latency_timer")
	if was = readLatency(timer); was <= 1 {
		return 0, nil
	}
	// Anybody who may open the port may do the first; the second is for root, and for adapters that refuse the
	// first.
	if err := setLowLatency(port); err == nil && readLatency(timer) == 1 {
		return was, nil
	}
	return was, os.WriteFile(timer, []byte("1"), 0)
}

// readLatency returns the latency in ms, or 0 if there is none.
func readLatency(timer string) int {
	text, err := os.ReadFile(timer)
	if err != nil {
		return 0
	}
	ms, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return ms
}

// setLowLatency sets the flag of the port for which the driver of FTDI adapters lowers the latency.
func setLowLatency(port *os.File) error {
	const lowLatency = 1 << 13 // ASYNC_LOW_LATENCY of linux/tty_flags.h
	var settings struct {      // serial_struct of linux/serial.h, of which only the flags matter here
		_     [4]int32
		flags int32
		_     [27]int32 // no less than the kernel writes
	}
	if err := ioctl(port, unix.TIOCGSERIAL, unsafe.Pointer(&settings)); err != nil {
		return err
	}
	settings.flags |= lowLatency
	return ioctl(port, unix.TIOCSSERIAL, unsafe.Pointer(&settings))
}

func ioctl(file *os.File, request uint, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), uintptr(request), uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}
