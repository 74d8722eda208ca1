//go:build e2e

package cmd_test

import (
	"math"
	"testing"
)

func TestHotel(t *testing.T) {
	t.Parallel()
	d := newDevice(t, "PLATE_RESORT_SPEED=30") // 41° a second: long enough to be seen turning

	d.send(t, "hotel", "B")
	op := d.watch.event(t)
	if op.State != "completed" || op.Operation != "hotel" || op.Source != "mqtt" || op.Attempt != 1 {
		t.Errorf("got %+v, want hotel from mqtt, completed at the first attempt", op)
	}
	if op.Parameters.Hotel == nil || *op.Parameters.Hotel != "B" {
		t.Errorf("the parameters are %+v, want hotel B", op.Parameters)
	}
	if op.Result == nil || op.Result.Hotel != "B" || math.Abs(op.Result.Angle-109) > 0.5 {
		t.Errorf("the result is %+v, want hotel B at 109°", op.Result)
	}
	d.watch.expectStates(t, op.ID, "queued", "running", "completed")

	d.watch.state(t, "turning", func(s state) bool { return s.Status == "busy" && s.Activity == "running" })
	s := d.watch.status(t, "ready")
	if s.Hotel != "B" || s.Activity != "idle" || s.Operation != nil || s.OperationsTotal != 1 {
		t.Errorf("the state is %+v, want hotel B, idle, after one operation", s)
	}
}

func TestAngleAndHome(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)

	for _, test := range []struct {
		name, payload string
		want          float64
	}{
		{"angle", `{"angle": 12.5, "id": "json"}`, 12.5},
		{"angle", "30", 30},
		{"angle", " 41.25\r\n", 41.25},
		{"home", "PRESS", 0},
		{"hotel", "\tA \n", 19},
		{"hotel", "{\n  \"hotel\": \"B\"\n}\n", 109},
		{"home", "{}\n", 0},
	} {
		d.send(t, test.name, test.payload)
		op := d.watch.event(t)
		if op.State != "completed" || op.Operation != test.name {
			t.Errorf("%s %q: got %+v, want it completed", test.name, test.payload, op)
			continue
		}
		if math.Abs(op.Result.Angle-test.want) > 0.5 {
			t.Errorf("%s %q ended at %v°, want %v°", test.name, test.payload, op.Result.Angle, test.want)
		}
	}
	d.watch.expectStates(t, "json", "queued", "running", "completed")
}

func TestMovesWaitForEachOther(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)

	d.broker.publishLines(t, d.topic("angle/set"), []string{
		`{"angle": 90, "id": "first"}`, `{"angle": 10, "id": "second"}`, `{"angle": 50, "id": "third"}`,
	})
	d.watch.operation(t, "third", "completed")
	running := ""
	for _, op := range d.watch.events(t, func(operation) bool { return true }) {
		switch op.State {
		case "running":
			if running != "" {
				t.Errorf("%s began while %s was running", op.ID, running)
			}
			running = op.ID
		case "completed":
			running = ""
		}
	}
	for _, id := range []string{"first", "second", "third"} {
		d.watch.expectStates(t, id, "queued", "running", "completed")
	}
}

func TestEveryQoS(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)

	for qos, id := range map[string]string{"0": "at most once", "1": "at least once", "2": "exactly once"} {
		d.send(t, "angle", `{"angle": 1`+qos+`, "id": "`+id+`"}`, "-q", qos)
		d.watch.operation(t, id, "completed")
		d.watch.expectStates(t, id, "queued", "running", "completed")
	}
}

func TestSameID(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)

	first := d.do(t, "angle", `{"angle": 20, "id": "one"}`, "one")

	d.send(t, "angle", `{"id": "one", "angle": 2e1}`) // the same content, differently written
	d.watch.event(t)
	if again := d.watch.event(t); again.State != "completed" || again.Result == nil || *again.Result != *first.Result {
		t.Errorf("the same again was answered with %+v, want %+v", again, first)
	}

	for name, payload := range map[string]string{"angle": `{"angle": 21, "id": "one"}`, "home": `{"id": "one"}`} {
		d.send(t, name, payload)
		if op := d.watch.event(t); op.State != "rejected" || op.Error.Code != "duplicate_id" || op.ID != "one" {
			t.Errorf("%s with a used id was answered with %+v, want duplicate_id", name, op)
		}
	}

	// A second operation ends, and is the second only.
	d.do(t, "angle", `{"angle": 22, "id": "two"}`, "two")
	d.watch.state(t, "two operations", func(s state) bool { return s.OperationsTotal == 2 && s.Status == "ready" })
}
