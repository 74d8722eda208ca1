//go:build e2e

package cmd_test

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// failover is how soon the device is to be on the next broker when one closes its connections.
const failover = 5 * time.Second

// newPair starts two brokers. What is obeyed from one may be told on the other: they are validated together.
func newPair(t *testing.T) (first, second *broker) {
	t.Helper()
	first, second = newBroker(t), newBroker(t)
	first.observers = append(first.observers, second.observers...)
	second.observers = nil
	return first, second
}

// onBroker has the device's commands and watch go over that broker, which it is to come to.
func (d *device) onBroker(t *testing.T, b *broker) {
	t.Helper()
	d.broker = b
	d.rewatch(t, "health", "queue", "history", "schedules")
}

// awaitConnections waits until both connections of the device are with the broker, counted from its start.
func (b *broker) awaitConnections(t *testing.T) {
	t.Helper()
	for _, id := range []string{"plate-resort-lab", "plate-resort-lab-stop"} {
		b.process.awaitText(t, "New client connected", "as "+id+" (")
	}
}

// connections counts how often the device has connected since the broker was started.
func (b *broker) connections() int {
	return b.process.count("New client connected", "as plate-resort-lab")
}

// The broker dies with a move under way and others behind it, and the device goes on at the next one, with all that it
// has. It stays there.
func TestFailover(t *testing.T) {
	t.Parallel()
	first, second := newPair(t)
	list := "PLATE_RESORT_MQTT_BROKER=" + first.url() + "," + second.url()
	d := prepareDevice(t, first, "PLATE_RESORT_SPEED=15", list)
	d.startServo(t)
	d.run(t)
	d.watch.availability(t, "online")
	d.watch.status(t, "ready")
	first.awaitConnections(t)
	d.do(t, "schedules/night", `{"cron": "0 0 * * *", "operation": "home", "enabled": false, "id": "schedule"}`, "schedule")
	follower := start(t, "plate-resort watch", []string{list}, plateResort, "watch")
	follower.awaitText(t, "  lab  online")
	sender := start(t, "plate-resort send", []string{list, "PLATE_RESORT_DEVICE_ID=lab"}, plateResort, "send", "angle", "40")
	sender.awaitText(t, "running")
	ids := []string{"a", "b", "c"}
	d.broker.publishLines(t, d.topic("angle/set"), []string{
		`{"angle": 30, "id": "a"}`, `{"angle": 80, "id": "b"}`, `{"angle": 20, "id": "c"}`,
	})
	d.watch.operation(t, "c", "queued")

	// The broker takes nothing any more, so that there is an end that it has not acknowledged.
	if err := first.process.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	d.program.awaitText(t, "operation ended", "id=a", "state=completed")
	d.onBroker(t, second)
	first.process.kill(t)
	killed := time.Now()
	d.watch.availability(t, "online")
	if took := time.Since(killed); took > failover {
		t.Errorf("the device was on the second broker after %v, want %v at the most", took, failover)
	} else {
		t.Logf("the device was on the second broker after %v", took)
	}
	second.awaitConnections(t)
	for _, id := range ids {
		d.watch.operation(t, id, "completed")
		if n := len(d.watch.events(t, func(op operation) bool { return op.ID == id && op.State == "completed" })); n != 1 {
			t.Errorf("operation %s has ended %d times on the second broker", id, n)
		}
	}
	d.watch.state(t, "rest after all", func(s state) bool { return s.Status == "ready" && s.OperationsTotal == 5 && s.QueueLength == 0 })
	if status := sender.status(t); status != 0 {
		t.Errorf("what was sent over the first broker ended with status %d", status)
	}
	follower.awaitText(t, "  lab  angle 20: completed")

	// All that is retained.
	w := second.watch(t, "plate-resort/lab/+", "homeassistant/device/plate_resort/lab/config")
	for leaf, text := range map[string]string{
		"availability": "online", "state": `"ready"`, "health": `"XC330-T288"`, "queue": "[]", "history": `"c"`,
		"schedules": `"night"`, "config": `"plate-resort/lab/availability"`,
	} {
		w.until(t, leaf, text, func(m message) bool { return strings.Contains(m.payload, text) })
	}

	d.send(t, "angle", `{"angle": 300, "id": "stopped"}`)
	d.watch.operation(t, "stopped", "running")
	d.do(t, "stop", `{"id": "stop"}`, "stop")
	d.watch.operation(t, "stopped", "cancelled")
	d.do(t, "reset", `{"id": "reset"}`, "reset")

	// The first one is back, and has nothing to do.
	first.start(t)
	d.do(t, "home", `{"id": "home"}`, "home")
	if n := first.connections(); n != 0 {
		t.Errorf("the device has connected to the first broker %d times, though the second one is there", n)
	}
	if n := second.connections(); n != 2 {
		t.Errorf("the device has connected to the second broker %d times, want 2", n)
	}

	d.onBroker(t, first)
	second.process.kill(t)
	d.watch.availability(t, "online")
	first.awaitConnections(t)
	d.do(t, "hotel", `{"hotel": "A", "id": "again"}`, "again")
	d.watch.expectStates(t, "again", "queued", "running", "completed")
}

// silence is how soon, beyond its keepalive, the device is to be on the next broker when one falls silent.
const silence = 25 * time.Second

// The broker answers nothing any more, and closes nothing.
func TestFailoverFromABrokerThatFallsSilent(t *testing.T) {
	t.Parallel()
	first, second := newPair(t)
	const keepalive = 2 * time.Second
	d := prepareDevice(t, first, brisk, "PLATE_RESORT_MQTT_KEEPALIVE="+keepalive.String(), "PLATE_RESORT_MQTT_BROKER="+first.url()+","+second.url())
	d.startServo(t)
	d.run(t)
	d.watch.availability(t, "online")
	d.watch.status(t, "ready")
	first.awaitConnections(t)
	if err := first.process.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { first.process.kill(t) })
	silent := time.Now()
	d.onBroker(t, second)
	d.watch.availability(t, "online")
	if took := time.Since(silent); took > keepalive+silence {
		t.Errorf("the device was on the second broker after %v, want %v at the most", took, keepalive+silence)
	}
	second.awaitConnections(t)
	d.do(t, "stop", `{"id": "stop"}`, "stop")
}
