//go:build linux || darwin

package motor_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// patience is how long something may take that takes moments on an idle machine.
const patience = time.Minute

// A bench is a driver and a simulated servo on a pseudo-terminal, in real time.
type bench struct {
	t     *testing.T
	servo *simulator.Servo
	motor *motor.Motor
	link  string
	opens atomic.Int64 // attempts to open the port
	tried chan struct{}
	cable func() // pulls it
}

func newBench(t *testing.T) *bench {
	b := &bench{
		t: t, servo: simulator.New(simulator.Config{}), link: filepath.Join(t.TempDir(), "servo"),
		tried: make(chan struct{}, 1), cable: func() {},
	}
	b.motor = motor.New(motor.Config{
		Open: b.open, Port: "pty", Baud: 57600, ID: 1, Speed: 300,
		MoveTimeout: patience, HealthInterval: 10 * time.Second, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.motor.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		b.cable()
	})
	return b
}

func (b *bench) open(string, int) (motor.Port, error) {
	b.opens.Add(1)
	select {
	case b.tried <- struct{}{}:
	default:
	}
	return motor.Serial(slog.New(slog.DiscardHandler))(b.link, 57600)
}

// plug puts the servo at the other end of the link.
func (b *bench) plug() {
	b.t.Helper()
	line, err := simulator.OpenPTY(b.link)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		b.servo.Serve(ctx, line)
		close(done)
	}()
	b.cable = func() {
		cancel()
		<-done
	}
}

func (b *bench) await(what string, fits func(device.MotorStatus) bool) {
	b.t.Helper()
	deadline := time.After(patience)
	for !fits(b.motor.Status()) {
		select {
		case <-b.motor.Changed():
		case <-deadline:
			b.t.Fatalf("not %s: %+v", what, b.motor.Status())
		}
	}
}

// awaitAttempts waits until the driver has tried n more times to open the port.
func (b *bench) awaitAttempts(n int64) {
	b.t.Helper()
	deadline := time.After(patience)
	for until := b.opens.Load() + n; b.opens.Load() < until; {
		select {
		case <-b.tried:
		case <-deadline:
			b.t.Fatal("the driver does not try to open the port")
		}
	}
}

// cpuTime is what this process has used so far.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func TestRealSerialPort(t *testing.T) {
	b := newBench(t)
	b.plug()
	b.await("connected", connected)
	for _, goal := range []device.Degrees{30, 10} {
		arrival, err := b.motor.MoveTo(t.Context(), plain(goal))
		if off := arrival.Angle.From(goal); err != nil || off < -0.5 || off > 0.5 {
			t.Errorf("MoveTo(%v): %+v, %v", goal, arrival, err)
		}
	}
	press := b.motor.Stop()
	select {
	case err := <-press.Done:
		if err != nil {
			t.Errorf("stop: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the stop is not answered")
	}
	if torque := b.servo.Register(dynamixel.TorqueEnable); torque != 0 {
		t.Error("torque is on after the stop")
	}
	if err := b.motor.Reset(t.Context(), press.Number); err != nil {
		t.Errorf("Reset: %v", err)
	}
	if torque := b.servo.Register(dynamixel.TorqueEnable); torque != 1 {
		t.Error("torque is off after the reset")
	}
}

func TestRealSerialPortUnpluggedDuringAMove(t *testing.T) {
	b := newBench(t)
	b.plug()
	b.await("connected", connected)
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		result := make(chan error, 1)
		go func() {
			_, err := b.motor.MoveTo(ctx, plain(340-b.motor.Status().Reading.Angle))
			result <- err
		}()
		b.await("moving", func(s device.MotorStatus) bool { return s.Reading.Moving })
		b.cable()
		var failure *device.Error
		if err := <-result; !errors.As(err, &failure) || failure.Code != device.CodeMotorDisconnected {
			t.Fatalf("MoveTo: %v, want %s", err, device.CodeMotorDisconnected)
		}
		b.await("disconnected", disconnected)

		// Four attempts take more than a second, of which the driver works for a few milliseconds.
		began, used := time.Now(), cpuTime(t)
		b.awaitAttempts(4)
		if used, took := cpuTime(t)-used, time.Since(began); used > took/16 {
			t.Errorf("waiting for the port for %v took %v of CPU time", took, used)
		}

		b.plug()
		b.await("connected", connected)
		if s := b.motor.Status(); !s.Torque || s.Reading.Moving {
			t.Errorf("status %+v", s)
		}
	}
}

// A servo that says nothing is waited for without work.
func TestRealSerialPortWithoutAServo(t *testing.T) {
	b := newBench(t)
	b.servo.SetFaults(simulator.Faults{Mute: true})
	b.plug()
	b.awaitAttempts(1)
	began, used := time.Now(), cpuTime(t)
	b.awaitAttempts(3)
	if used, took := cpuTime(t)-used, time.Since(began); used > took/16 {
		t.Errorf("waiting for replies for %v took %v of CPU time", took, used)
	}
	b.servo.SetFaults(simulator.Faults{})
	b.await("connected", connected)
}
