//go:build e2e

package cmd_test

import (
	"slices"
	"testing"
)

// The servo is not there when the device starts.
func TestPortMissingAtStart(t *testing.T) {
	t.Parallel()
	d := prepareDevice(t, newBroker(t), brisk)
	d.run(t)
	d.watch.availability(t, "online")
	s := d.watch.status(t, "requires_init")
	if s.Connection == "connected" || s.Angle != nil || slices.Contains(s.AllowedActions, "hotel") {
		t.Errorf("the state without a servo is %+v", s)
	}
	d.send(t, "hotel", "B")
	if op := d.watch.event(t); op.State != "rejected" || op.Error.Code != "motor_disconnected" {
		t.Errorf("a move was answered with %+v, want motor_disconnected", op)
	}

	d.startServo(t)
	if s := d.watch.status(t, "ready"); !slices.Contains(s.AllowedActions, "hotel") {
		t.Errorf("the state with a servo is %+v, want hotel among the allowed actions", s)
	}
	d.do(t, "hotel", `{"hotel": "B", "id": "now"}`, "now")
}

// The servo loses its power in the middle of a move.
func TestServoLostDuringAMove(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	d.beginMove(t, "running")
	d.send(t, "home", `{"id": "waiting"}`)
	d.watch.operation(t, "waiting", "queued")
	d.servo.kill(t)
	for _, id := range []string{"running", "waiting"} {
		if op := d.watch.operation(t, id, "failed"); op.Error.Code != "motor_disconnected" {
			t.Errorf("operation %s ended with %+v, want motor_disconnected", id, op.Error)
		}
	}
	d.watch.status(t, "requires_init")
	d.send(t, "hotel", `{"hotel": "A", "id": "refused"}`)
	if op := d.watch.operation(t, "refused", "rejected"); op.Error.Code != "motor_disconnected" {
		t.Errorf("a move was rejected with %+v, want motor_disconnected", op.Error)
	}

	d.startServo(t)
	if s := d.watch.status(t, "ready"); !s.Torque || s.Angle == nil || *s.Angle != 0 {
		t.Errorf("the state with the new servo is %+v, want torque at 0°, where it stands", s)
	}
	d.do(t, "angle", `{"angle": 5, "id": "next"}`, "next")
}

// A stop without a servo latches; the first that the servo gets when it is back is torque off.
func TestStopWithoutServo(t *testing.T) {
	t.Parallel()
	d := prepareDevice(t, newBroker(t), brisk)
	d.run(t)
	d.watch.availability(t, "online")
	d.watch.status(t, "requires_init")
	d.send(t, "stop", `{"id": "stop"}`)
	if op := d.watch.operation(t, "stop", "failed"); op.Error.Code != "motor_disconnected" {
		t.Errorf("the stop ended with %+v, want motor_disconnected", op.Error)
	}
	d.watch.status(t, "e_stop")
	d.startServo(t)
	d.watch.state(t, "a servo without torque", func(s state) bool {
		return s.Connection == "connected" && s.Status == "e_stop" && !s.Torque
	})
	d.do(t, "reset", `{"id": "reset"}`, "reset")
	d.watch.state(t, "torque", func(s state) bool { return s.Status == "ready" && s.Torque })
}
