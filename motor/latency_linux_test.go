package motor_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// An adapter is a terminal that is described as an FTDI adapter's is, by a file with its latency.
type adapter struct {
	t      *testing.T
	port   string
	device string // the directory of the adapter
	log    leveled
	open   func(string, int) (motor.Port, error)
}

// A leveled logbook has everything, with its level.
type leveled struct{ logbook }

func (*leveled) Enabled(context.Context, slog.Level) bool { return true }

func (l *leveled) Handle(ctx context.Context, record slog.Record) error {
	record.Message = record.Level.String() + " " + record.Message
	return l.logbook.Handle(ctx, record)
}

// newAdapter makes an adapter that anybody may open.
func newAdapter(t *testing.T) *adapter {
	t.Helper()
	line, err := simulator.OpenPTY("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { line.Close() })
	if err := os.Chmod(line.Path(), 0o666); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "latency-") // t.TempDir is not everybody's to read
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	a := &adapter{t: t, port: line.Path(), device: filepath.Join(dir, "usb1")}
	terminals := filepath.Join(dir, "tty")
	terminal := filepath.Join(terminals, filepath.Base(a.port))
	for _, d := range []string{a.device, terminals, terminal} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(a.device, filepath.Join(terminal, "device")); err != nil {
		t.Fatal(err)
	}
	a.open = motor.SerialAt(terminals, slog.New(&a.log))
	return a
}

func (a *adapter) timer() string { return filepath.Join(a.device, "latency_timer") }

// set makes a new file with the latency.
func (a *adapter) set(latency string, mode os.FileMode) {
	a.t.Helper()
	os.Remove(a.timer()) // fails the first time
	if err := os.WriteFile(a.timer(), []byte(latency), mode); err != nil {
		a.t.Fatal(err)
	}
}

func (a *adapter) opens(name string) {
	a.t.Helper()
	port, err := a.open(name, 57600)
	if err != nil {
		a.t.Error(err)
		return
	}
	port.Close()
}

func (a *adapter) latencyIs(want string) {
	a.t.Helper()
	if got, err := os.ReadFile(a.timer()); err != nil || string(got) != want {
		a.t.Errorf("the latency is %q, %v, want %q", got, err, want)
	}
}

// logged checks the lines of the log so far, by a text that each contains.
func (a *adapter) logged(want ...string) {
	a.t.Helper()
	got := a.log.lines()
	if len(got) != len(want) {
		a.t.Fatalf("logged %q, want %d lines", got, len(want))
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			a.t.Errorf("line %d is %q, want one with %q", i, got[i], want[i])
		}
	}
}

func TestLatencyOfAnAdapterIsLowered(t *testing.T) {
	a := newAdapter(t)
	a.set("16\n", 0o666)
	link := filepath.Join(t.TempDir(), "servo")
	if err := os.Symlink(a.port, link); err != nil {
		t.Fatal(err)
	}
	const lowered = "INFO the adapter's latency is now 1 ms"
	a.opens(link)
	a.latencyIs("1")
	a.logged(lowered)
	a.opens(link)
	a.logged(lowered)

	a.set("2\n", 0o666) // plugged in again
	a.opens(a.port)
	a.latencyIs("1")
	a.logged(lowered, lowered)
}

func TestLatencyThatMayNotBeSet(t *testing.T) {
	a := newAdapter(t)
	a.set("16\n", 0o444)
	asNobody(t, func() {
		for range 3 {
			a.opens(a.port)
		}
	})
	a.latencyIs("16\n")
	a.logged("WARN the adapter delays")
	a.logged(`ACTION=="add", SUBSYSTEM=="usb-serial", DRIVER=="ftdi_sio", ATTR{latency_timer}="1"`)
}

func TestPortsWithoutALatency(t *testing.T) {
	a := newAdapter(t)
	a.opens(a.port)
	for _, latency := range []string{"1\n", "0\n", "-1\n", "\n", "high\n"} {
		a.set(latency, 0o666)
		a.opens(a.port)
		a.latencyIs(latency)
	}
	a.logged()
}
