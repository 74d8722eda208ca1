package cmd

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// A systemd listens to what a service says.
type systemd struct {
	t    *testing.T
	conn *net.UnixConn
}

func newSystemd(t *testing.T) *systemd {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return &systemd{t, conn}
}

// next returns the lines of the next message, and whether one has come within the time.
func (s *systemd) next(within time.Duration) (lines []string, came bool) {
	s.t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		s.t.Fatal(err)
	}
	message := make([]byte, 4096)
	n, err := s.conn.Read(message)
	if err != nil {
		return nil, false
	}
	return strings.Split(string(message[:n]), "\n"), true
}

// await returns the lines of the first message that has one of these.
func (s *systemd) await(line string) []string {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		lines, came := s.next(time.Until(end))
		if !came {
			s.t.Fatalf("no message has the line %q", line)
		}
		for _, l := range lines {
			if l == line {
				return lines
			}
		}
	}
}

func newDevice(t *testing.T, m device.Motor) *device.Device {
	t.Helper()
	d, err := device.New(device.Config{
		Carousel: device.Carousel{Hotels: device.EvenlySpaced([]string{"A", "B"}, 19, 1), RoomsPerHotel: 20},
		NewID:    newID, Now: time.Now, Motor: m, Store: new(device.Memory), Log: slog.New(slog.DiscardHandler), QueueSize: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The watchdog is fed while the core answers, and only then.
func TestACoreThatHangsDoesNotFeedTheWatchdog(t *testing.T) {
	const watchdog = 400 * time.Millisecond
	t.Setenv("WATCHDOG_USEC", "400000")
	s := newSystemd(t)
	m := devicetest.New()
	d := newDevice(t, m)
	stopping := make(chan struct{})
	defer start(func(ctx context.Context) error { return notify(ctx, stopping, d, slog.New(slog.DiscardHandler)) })()

	s.await("STATUS=The core does not answer") // it does not run yet
	if lines, came := s.next(watchdog); came {
		t.Errorf("before the core runs, it says %q", lines)
	}
	defer start(func(ctx context.Context) error { return d.Run(ctx, func() {}) })()
	s.await("READY=1")
	for range 8 {
		s.await("WATCHDOG=1")
	}

	entered, hanging := make(chan struct{}), make(chan struct{})
	go m.Set(func(*device.MotorStatus) {
		close(entered)
		<-hanging
	})
	<-entered // the core cannot look at the motor any more
	s.await("STATUS=The core does not answer")
	if lines, came := s.next(2 * watchdog); came {
		t.Errorf("of a core that hangs, it says %q", lines)
	}
	close(hanging)
	s.await("WATCHDOG=1")

	close(stopping)
	s.await("STOPPING=1")
	s.await("STATUS=Shutting down")
}

func TestNotifyEvery(t *testing.T) {
	for watchdog, want := range map[time.Duration]time.Duration{0: time.Second, 400 * time.Millisecond: 100 * time.Millisecond, time.Minute: time.Second} {
		if got := notifyEvery(watchdog); got != want {
			t.Errorf("with a watchdog of %v systemd hears of the device every %v, want %v", watchdog, got, want)
		}
	}
}

// What is in a message cannot be taken for a message of its own.
func TestAStatusIsOneLine(t *testing.T) {
	s := newSystemd(t)
	m := devicetest.New()
	d := newDevice(t, m)
	m.Lose("no port\nSTOPPING=1")
	defer start(func(ctx context.Context) error { return d.Run(ctx, func() {}) })()
	defer start(func(ctx context.Context) error { return notify(ctx, nil, d, slog.New(slog.DiscardHandler)) })()
	lines := s.await("READY=1")
	if len(lines) != 2 || lines[1] != "STATUS=Motor not connected: no port STOPPING=1" {
		t.Errorf("it says %q", lines)
	}
}
