//go:build e2e

package cmd_test

import (
	"math"
	"syscall"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// A device that dies without a word is offline by its will, and back with everything current.
func TestKilled(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.do(t, "hotel", `{"hotel": "B", "id": "before"}`, "before")
	d.watch.state(t, "hotel B", func(s state) bool { return s.Status == "ready" && s.Hotel == "B" })
	d.program.kill(t)
	d.watch.availability(t, "offline")
	d.expectRetained(t, "offline", "ready")

	d.run(t)
	d.watch.availability(t, "online")
	if s := d.watch.status(t, "ready"); s.Hotel != "B" {
		t.Errorf("the state is %+v, want hotel B, where the carousel has stayed", s)
	}
	d.expectRetained(t, "online", "ready")
	d.do(t, "home", `{"id": "after"}`, "after")
}

// expectRetained checks what somebody gets who subscribes now.
func (d *device) expectRetained(t *testing.T, availability, status string) {
	t.Helper()
	w := d.broker.watch(t, d.topic("availability"), d.topic("state"))
	if m := w.until(t, "availability", "message", func(message) bool { return true }); !m.retained || m.payload != availability {
		t.Errorf("got %+v, want a retained %s", m, availability)
	}
	m := w.until(t, "state", "message", func(message) bool { return true })
	if s := decode[state](t, m); !m.retained || s.Status != status {
		t.Errorf("got %+v, want a retained state with %s", m, status)
	}
}

// SIGTERM halts a move and keeps the torque.
func TestShutDownDuringAMove(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	d.beginMove(t, "running")
	d.send(t, "home", `{"id": "waiting"}`)
	d.watch.operation(t, "waiting", "queued")

	asked := time.Now()
	d.program.end(syscall.SIGTERM)
	if status := d.program.status(t); status != 0 {
		t.Errorf("the device ended with status %d, want 0", status)
	}
	// It is 2 s on a machine that does nothing else.
	if took := time.Since(asked); took > 10*time.Second {
		t.Errorf("the device took %v to end", took)
	}
	last := d.watch.state(t, "rest", func(s state) bool { return s.Operation == nil && s.OperationsTotal == 2 })
	d.watch.availability(t, "offline")
	for _, id := range []string{"running", "waiting"} {
		if op := d.watch.operation(t, id, "interrupted"); op.Error.Code != "interrupted" {
			t.Errorf("operation %s ended with %+v, want interrupted", id, op.Error)
		}
	}

	servo := d.openServo(t)
	if torque := servo.read(t, dynamixel.TorqueEnable); torque != 1 {
		t.Errorf("Torque Enable is %d, want 1: the carousel is to be held", torque)
	}
	if moving := servo.read(t, dynamixel.Moving); moving != 0 {
		t.Error("the carousel turns on")
	}
	angle := float64(servo.read(t, dynamixel.PresentPosition)) * 360 / dynamixel.StepsPerTurn
	if last.Angle == nil || math.Abs(angle-*last.Angle) > 1 {
		t.Errorf("the carousel stands at %.2f°, and the last state is %+v", angle, last)
	}
}

func TestShutDownAtRest(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.shutDown(t)
	d.expectRetained(t, "offline", "ready")
	if n := d.program.count("level=ERROR") + d.program.count("level=WARN"); n > 0 {
		t.Errorf("%d complaints in an uneventful life", n)
	}
}
