//go:build e2e

package cmd_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// Whatever the message looks like, a stop is a stop.
func TestStop(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	for i, test := range []struct {
		what, payload string
		options       []string
	}{
		{"a word", "STOP", nil},
		{"nothing", "", nil},
		{"20 kB of garbage", strings.Repeat("\xff{[\"", 5000), nil},
		{"JSON", `{"id": "pressed", "reason": 1}`, nil},
		{"an id of a wrong kind", `{"id": 17}`, nil},
		{"the id of a move", `{"id": "move 0"}`, nil},
		{"QoS 0", "STOP", []string{"-q", "0"}},
		{"QoS 2", "STOP", []string{"-q", "2"}},
		{"retained", "STOP", []string{"-r"}},
	} {
		move, reset := fmt.Sprintf("move %d", i), fmt.Sprintf("reset %d", i)
		d.beginMove(t, move)
		d.send(t, "stop", test.payload, test.options...)

		if op := d.watch.operation(t, move, "cancelled"); op.Error.Code != "emergency_stopped" {
			t.Errorf("%s: the move ended with %+v, want emergency_stopped", test.what, op.Error)
		}
		d.watch.stopped(t)
		s := d.watch.state(t, "a stop that is done", func(s state) bool { return !s.Torque && s.Operation == nil })
		if s.Status != "e_stop" || !s.EmergencyStop || slices.Contains(s.AllowedActions, "hotel") || !slices.Contains(s.AllowedActions, "reset") {
			t.Errorf("%s: the state is %+v, want e_stop, and only stop and reset allowed", test.what, s)
		}

		refused := fmt.Sprintf("refused %d", i)
		d.send(t, "home", `{"id": "`+refused+`"}`)
		if op := d.watch.operation(t, refused, "rejected"); op.Error.Code != "emergency_stopped" {
			t.Errorf("%s: a move was rejected with %+v, want emergency_stopped", test.what, op.Error)
		}

		d.do(t, "reset", `{"id": "`+reset+`"}`, reset)
		s = d.watch.status(t, "ready")
		if !s.Torque || s.EmergencyStop {
			t.Errorf("%s: the state after the reset is %+v, want torque", test.what, s)
		}
		if got := len(d.watch.events(t, isStopped)); got != i+1 {
			t.Errorf("%s: there are %d answers to %d stops", test.what, got, i+1)
		}
	}
	d.watch.expectStates(t, "pressed", "completed")
}

// stopped waits for the next answer to a stop.
func (w *watch) stopped(t *testing.T) {
	t.Helper()
	w.until(t, "operation", "stop that is completed", func(m message) bool { return isStopped(decode[operation](t, m)) })
}

func isStopped(op operation) bool { return op.Operation == "stop" && op.State == "completed" }

// beginMove sends a move, and waits until the carousel turns.
func (d *device) beginMove(t *testing.T, id string) {
	t.Helper()
	d.send(t, "angle", `{"angle": 350, "id": "`+id+`"}`)
	d.watch.operation(t, id, "running")
	d.watch.state(t, "the carousel turning", func(s state) bool {
		return s.Activity == "running" && s.Operation != nil && s.Operation.ID == id
	})
}

// What the device says of the torque is what the servo says.
func TestStopReachesTheServo(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	d.beginMove(t, "move")
	d.do(t, "stop", `{"id": "stop"}`, "stop")
	d.program.kill(t) // nobody else may speak on the terminal now
	servo := d.openServo(t)
	if torque := servo.read(t, dynamixel.TorqueEnable); torque != 0 {
		t.Errorf("Torque Enable is %d after a stop", torque)
	}
	if moving := servo.read(t, dynamixel.Moving); moving != 0 {
		t.Error("the carousel turns after a stop")
	}
}

// A stop comes on two connections, and is answered once, with an id or without.
func TestStopIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	for _, id := range []string{"plate-resort-lab", "plate-resort-lab-stop"} {
		d.broker.process.awaitText(t, "New client connected", "as "+id+" (")
	}
	const presses = 10
	for i := range presses {
		id := fmt.Sprintf("stop %d", i)
		d.send(t, "stop", `{"id": "`+id+`"}`)
		d.watch.stopped(t)
		d.send(t, "stop", "STOP")
		d.watch.stopped(t)
	}
	d.do(t, "reset", `{"id": "reset"}`, "reset")
	for i := range presses {
		d.watch.expectStates(t, fmt.Sprintf("stop %d", i), "completed")
	}
	stops := d.watch.events(t, func(op operation) bool { return op.Operation == "stop" })
	if len(stops) != 2*presses {
		t.Errorf("%d stops were answered %d times", 2*presses, len(stops))
	}
}

func TestStopEmptiesTheQueue(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	d.beginMove(t, "running")
	d.broker.publishLines(t, d.topic("hotel/set"), []string{`{"hotel": "A", "id": "a"}`, `{"hotel": "C", "id": "c"}`})
	d.watch.operation(t, "c", "queued")
	d.send(t, "stop", "STOP")
	for _, id := range []string{"running", "a", "c"} {
		if op := d.watch.operation(t, id, "cancelled"); op.Error.Code != "emergency_stopped" {
			t.Errorf("operation %s ended with %+v, want emergency_stopped", id, op.Error)
		}
	}
	d.watch.expectStates(t, "a", "queued", "cancelled")
	d.do(t, "reset", `{"id": "reset"}`, "reset")
	if s := d.watch.status(t, "ready"); s.QueueLength != 0 || s.Activity != "idle" {
		t.Errorf("the state after the reset is %+v, want nothing going on", s)
	}
}
