//go:build e2e

package cmd_test

import (
	"slices"
	"testing"
)

// The broker is not there when the device starts. The log says so once for each connection, however
// often they try.
func TestBrokerMissingAtStart(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	g := newGate(t, b)
	d := prepareDevice(t, b, brisk, "PLATE_RESORT_MQTT_BROKER=tcp://"+g.address)
	d.startServo(t)
	g.hangUp(t)
	d.run(t)
	g.awaitAttempts(t, 6)
	for _, connection := range []string{"stop", "commands"} {
		d.program.awaitText(t, "no connection to the broker", "connection="+connection)
		if n := d.program.count("no connection to the broker", "connection="+connection); n != 1 {
			t.Errorf("the log says %d times that connection %s is missing, want once", n, connection)
		}
	}
	g.open(t)
	d.watch.availability(t, "online")
	d.watch.status(t, "ready")
	d.do(t, "hotel", `{"hotel": "B", "id": "now"}`, "now")
}

// The broker is killed, and has forgotten everything when it is back.
func TestBrokerKilled(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.do(t, "hotel", `{"hotel": "B", "id": "before"}`, "before")
	d.broker.process.kill(t)
	d.program.awaitText(t, "no connection to the broker", "connection=commands")
	d.program.awaitText(t, "no connection to the broker", "connection=stop")

	d.broker.start(t)
	d.rewatch(t)
	d.watch.availability(t, "online")
	if s := d.watch.status(t, "ready"); s.Hotel != "B" || s.OperationsTotal != 1 {
		t.Errorf("the state is %+v, want hotel B after one operation", s)
	}
	d.expectRetained(t, "online", "ready")
	d.do(t, "home", `{"id": "after"}`, "after")
	d.do(t, "stop", `{"id": "stop"}`, "stop")
}

// moveUnheard returns a device whose moves, first, second and third, have ended while the broker was away, which
// it still is, and the shut gate between them.
func moveUnheard(t *testing.T) (*device, *gate) {
	t.Helper()
	b := newBroker(t)
	g := newGate(t, b)
	g.open(t)
	d := prepareDevice(t, b, "PLATE_RESORT_SPEED=15", "PLATE_RESORT_MQTT_BROKER=tcp://"+g.address)
	d.startServo(t)
	d.run(t)
	d.watch.availability(t, "online")
	d.watch.status(t, "ready")
	d.broker.publishLines(t, d.topic("angle/set"), []string{
		`{"angle": 120, "id": "first"}`, `{"angle": 100, "id": "second"}`, `{"angle": 110, "id": "third"}`,
	})
	d.watch.operation(t, "third", "queued")
	g.shut()
	b.process.kill(t)
	for _, id := range []string{"first", "second", "third"} {
		d.program.awaitText(t, "operation ended", "id="+id, "state=completed")
	}
	return d, g
}

// What happens while the broker is away is told when it is back.
func TestEventsDuringAnOutage(t *testing.T) {
	t.Parallel()
	d, g := moveUnheard(t)

	// The watch is there before the device, as the events are not retained.
	d.broker.start(t)
	d.rewatch(t)
	g.open(t)
	d.watch.availability(t, "online")
	d.watch.operation(t, "third", "completed")
	var ended []string
	for _, op := range d.watch.events(t, func(op operation) bool { return op.State == "completed" }) {
		ended = append(ended, op.ID)
	}
	if want := []string{"first", "second", "third"}; !slices.Equal(ended, want) {
		t.Errorf("after the outage these were completed: %q, want %q", ended, want)
	}
	// What the old broker had not acknowledged comes again before.
	for _, id := range []string{"second", "third"} {
		states := d.watch.states(t, id)
		if n := len(states); n < 2 || !slices.Equal(states[n-2:], []string{"running", "completed"}) {
			t.Errorf("after the outage operation %s was %v, want running and completed at the end", id, states)
		}
	}
	if s := d.watch.status(t, "ready"); s.OperationsTotal != 3 {
		t.Errorf("the state is %+v, want three operations", s)
	}
}
