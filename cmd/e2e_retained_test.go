//go:build e2e

package cmd_test

import (
	"strings"
	"syscall"
	"testing"
)

// The broker hands a retained command to who is connected like any other, and flags the copies that it
// sends to who connects later.
func TestRetainedCommand(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.do(t, "angle", `{"angle": 30, "id": "away from home"}`, "away from home")
	d.send(t, "home", `{"id": "live"}`, "-r")
	d.watch.operation(t, "live", "completed")
	d.watch.expectStates(t, "live", "queued", "running", "completed")

	d.do(t, "angle", `{"angle": 40, "id": "away again"}`, "away again")
	d.restart(t)
	d.watch.status(t, "ready")
	op := d.watch.operation(t, "live", "rejected")
	if op.Error.Code != "retained_command" || op.Operation != "home" {
		t.Errorf("the copy was answered with %+v, want home, retained_command", op)
	}

	// Clearing it reaches the device as an empty message.
	d.broker.publish(t, d.topic("home/set"), "", "-r")
	d.do(t, "angle", `{"angle": 50, "id": "last"}`, "last")
	d.watch.state(t, "the last move's end", func(s state) bool { return s.Status == "ready" && s.OperationsTotal == 4 })
	homes := d.watch.events(t, func(op operation) bool { return op.Operation == "home" })
	if len(homes) != 4 { // three of the live one, and the rejection
		t.Errorf("home was answered with %+v", homes)
	}
}

// restart ends the device and starts it again.
func (d *device) restart(t *testing.T) {
	t.Helper()
	d.shutDown(t)
	d.run(t)
	d.watch.availability(t, "online")
}

// shutDown ends the device as the system does.
func (d *device) shutDown(t *testing.T) {
	t.Helper()
	if !d.program.end(syscall.SIGTERM) {
		t.Fatalf("the device did not end within %v of SIGTERM", patience)
	}
	if status := d.program.status(t); status != 0 {
		t.Errorf("the device ended with status %d, want 0", status)
	}
	d.watch.availability(t, "offline")
}

// A retained stop is a stop again each time that the device starts.
func TestRetainedStop(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.send(t, "stop", `{"id": "retained"}`, "-r")
	d.watch.operation(t, "retained", "completed")
	d.do(t, "reset", `{"id": "reset"}`, "reset")
	d.watch.status(t, "ready")

	d.restart(t)
	d.watch.status(t, "e_stop")

	d.do(t, "reset", `{"id": "reset again"}`, "reset again")
	d.watch.status(t, "ready")
	d.do(t, "home", `{"id": "moves"}`, "moves")
}

// A command that was sent while the device was away is not obeyed when it returns. A stop is.
func TestSentWhileAway(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.shutDown(t)
	d.send(t, "hotel", `{"hotel": "B", "id": "missed"}`)
	d.send(t, "hotel", `{"hotel": "C", "id": "missed too"}`, "-q", "2")
	d.run(t)
	d.watch.availability(t, "online")
	d.watch.status(t, "ready")
	d.expectNoMove(t)
	missed := func(op operation) bool { return strings.HasPrefix(op.ID, "missed") }
	if events := d.watch.events(t, missed); len(events) > 0 {
		t.Errorf("what was sent while the device was away was answered with %+v", events)
	}

	d.shutDown(t)
	d.send(t, "stop", `{"id": "kept"}`)
	d.run(t)
	d.watch.status(t, "e_stop")
	d.watch.until(t, "operation", "answer to the stop", func(m message) bool {
		op := decode[operation](t, m)
		// It fails, and stays latched, when it comes before the servo has been found.
		return op.ID == "kept" && (op.State == "completed" || op.State == "failed" && op.Error.Code == "motor_disconnected")
	})
	d.watch.state(t, "no torque", func(s state) bool { return s.Connection == "connected" && !s.Torque })
}
