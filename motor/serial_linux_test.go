package motor_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/simulator"
	"go.bug.st/serial"
)

func TestSerialErrorsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	dangling := filepath.Join(dir, "ttyUSB0")
	if err := os.Symlink(filepath.Join(dir, "gone"), dangling); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	terminal := func(mode os.FileMode) string {
		line, err := simulator.OpenPTY("")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { line.Close() })
		if err := os.Chmod(line.Path(), mode); err != nil {
			t.Fatal(err)
		}
		return line.Path()
	}
	locked := terminal(0)
	busy := terminal(0o666)
	other, err := serial.Open(busy, &serial.Mode{BaudRate: 57600})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()

	open := motor.Serial(slog.New(slog.DiscardHandler))
	for _, test := range []struct {
		name, path string
		as         func(*testing.T, func())
		want       string
	}{
		{"missing", filepath.Join(dir, "missing"), asMyself, "is the adapter plugged in?"},
		{"a link to a port that is gone", dangling, asMyself, "is the adapter plugged in?"},
		{"a file", file, asMyself, "serial port"},
		{"a directory", dir, asMyself, "serial port"},
		{"not a terminal", "/dev/null", asMyself, "serial port"},
		{"not permitted", locked, asNobody, "add the user to the group dialout"},
		{"busy", busy, asNobody, "in use by another program"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.as(t, func() {
				port, err := open(test.path, 57600)
				if err == nil {
					port.Close()
					t.Error("it is opened")
					return
				}
				if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.path) {
					t.Errorf("error %q, want one with %q and the port", err, test.want)
				}
			})
		})
	}
}

func asMyself(_ *testing.T, do func()) { do() }

// asNobody does what root may do as somebody who may not: neither file modes nor exclusive use hold
// root back. Only the thread changes its user, and is thrown away.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: a goroutine that ends locked takes its thread with it
		const nobody, unchanged = 65534, ^uintptr(0)
		if os.Geteuid() == 0 {
			if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, unchanged, nobody, unchanged); errno != 0 {
				t.Errorf("becoming nobody: %v", errno)
				return
			}
		}
		do()
	}()
	<-done
}
