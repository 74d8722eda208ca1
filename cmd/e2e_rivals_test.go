//go:build e2e

package cmd_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// newRival prepares a second device with the same id on the same broker, with a servo and a state of its own, as a copy
// of the first one's SD card has it.
func (d *device) newRival(t *testing.T) *device {
	t.Helper()
	rival := prepareDevice(t, d.broker, brisk)
	rival.startServo(t)
	return rival
}

const rivalText = "another process with the device id lab is connected to this broker: stop one of them"

// Two processes with one device id: the first one goes on, both say so once, and a stop reaches both motors.
func TestTwoProcessesWithOneID(t *testing.T) {
	t.Parallel()
	first := newDevice(t, brisk)
	second := first.newRival(t)
	second.run(t)
	for _, d := range []*device{first, second} {
		d.program.awaitText(t, "level=ERROR", rivalText)
	}
	first.program.awaitText(t, rivalText, "this one goes on")
	second.program.awaitText(t, rivalText, "this one waits")
	second.program.awaitText(t, "connected to the broker", "connection=stop")
	aside := func(line string) bool {
		return strings.Contains(line, "New client connected") && strings.Contains(line, "as plate-resort-lab-stop-")
	}
	first.broker.process.await(t, "stop of the second", 0, aside)
	first.rewatch(t, "instance")
	first.watch.until(t, "availability", "online", func(m message) bool { return m.payload == "online" })
	first.watch.state(t, "the warning", func(s state) bool {
		return s.Status == "degraded" && strings.Contains(s.Message, rivalText[1:])
	})
	kicked := first.broker.process.count("already connected, closing old connection")

	first.do(t, "hotel", `{"hotel": "B", "id": "move"}`, "move")
	first.watch.expectStates(t, "move", "queued", "running", "completed")
	first.do(t, "stop", `{"id": "stop"}`, "stop")
	second.program.awaitText(t, "emergency stop") // its motor is stopped as well
	first.do(t, "reset", `{"id": "reset"}`, "reset")
	if n := first.broker.process.count("already connected, closing old connection"); n != kicked {
		t.Errorf("they have taken each other's connections %d times more", n-kicked)
	}

	// The second one ends.
	second.program.end(syscall.SIGTERM)
	if status := second.program.status(t); status != 0 {
		t.Errorf("the second process has ended with status %d, want 0", status)
	}
	first.watch.status(t, "ready")
	first.do(t, "home", `{"id": "alone"}`, "alone")
	for _, d := range []*device{first, second} {
		if n := d.program.count(rivalText); n != 1 {
			t.Errorf("the log says it %d times, want once", n)
		}
	}
}

// The first process is killed, and the second takes its place.
func TestTheSecondProcessTakesThePlaceOfTheFirst(t *testing.T) {
	t.Parallel()
	first := newDevice(t, brisk)
	second := first.newRival(t)
	second.run(t)
	second.program.awaitText(t, rivalText, "this one waits")
	first.broker.process.await(t, "stop of the second", 0, func(line string) bool {
		return strings.Contains(line, "New client connected") && strings.Contains(line, "as plate-resort-lab-stop-")
	})
	first.program.awaitText(t, rivalText)
	first.rewatch(t)
	first.watch.availability(t, "online")
	first.program.kill(t)
	second.program.awaitText(t, "the other process with this device id is gone")
	second.rewatch(t)
	second.watch.availability(t, "online")
	second.watch.status(t, "ready")
	second.do(t, "hotel", `{"hotel": "B", "id": "move"}`, "move")
}

// A network that comes and goes, and a broker that does and remembers an earlier process each time, are no second process.
func TestNoRivalInAnUnsteadyNetwork(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.process.kill(t)
	conf, err := os.ReadFile(b.config)
	if err != nil {
		t.Fatal(err)
	}
	conf = bytes.Replace(conf, []byte("persistence false"), []byte("user root\npersistence true\npersistence_location "+t.TempDir()+"/"), 1)
	if err := os.WriteFile(b.config, conf, 0o644); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	g := newGate(t, b)
	g.open(t)
	d := prepareDevice(t, b, brisk, "PLATE_RESORT_MQTT_BROKER=tcp://"+g.address)
	d.startServo(t)
	d.run(t)
	awaitClaim := func(from int) int {
		t.Helper()
		process := fmt.Sprintf(`"process":%d,`, d.program.cmd.Process.Pid)
		return d.watch.process.await(t, "process that says who it is", from, func(line string) bool {
			return strings.Contains(line, "/instance ") && strings.Contains(line, process)
		}) + 1
	}
	d.rewatch(t, "instance")
	awaitClaim(0)
	d.program.kill(t)
	if err := b.process.cmd.Process.Signal(syscall.SIGUSR1); err != nil { // it saves
		t.Fatal(err)
	}
	b.process.awaitText(t, "Saving in-memory database")

	d.run(t)
	next := 0
	for range 5 {
		next = awaitClaim(next)
		g.shut()
		g.open(t)
	}
	for range 10 {
		awaitClaim(next)
		b.process.kill(t)
		b.start(t)
		d.rewatch(t, "instance")
		next = 0
	}
	awaitClaim(next)
	d.do(t, "hotel", `{"hotel": "B", "id": "move"}`, "move")
	lines, _ := d.program.transcript()
	for _, line := range lines {
		if strings.Contains(line, "level=ERROR") {
			t.Error(line)
		}
	}
}

// Another client has the id of the stop's connection. The stop goes out of its way.
func TestAnotherClientWithTheIDOfTheStop(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	start(t, "intruder", nil, mosquittoSub, "-h", "127.0.0.1", "-p", d.broker.port, "-i", "plate-resort-lab-stop", "-t", "nothing")
	d.program.awaitText(t, "level=ERROR", "no other may have the client id plate-resort-lab-stop")
	d.watch.state(t, "the warning", func(s state) bool {
		return s.Status == "degraded" && strings.Contains(s.Message, "no other may have the client id plate-resort-lab-stop")
	})
	d.broker.process.awaitText(t, "New client connected", "as plate-resort-lab-stop-")
	d.watch.state(t, "a connection of the stop", func(s state) bool { return !strings.Contains(s.Message, "lost its own connection") })
	taken := d.broker.process.count("already connected, closing old connection")
	d.do(t, "stop", `{"id": "stop"}`, "stop")
	d.do(t, "reset", `{"id": "reset"}`, "reset")
	d.do(t, "hotel", `{"hotel": "B", "id": "move"}`, "move")
	if n := d.broker.process.count("already connected, closing old connection"); n != taken {
		t.Errorf("the connection was taken %d times more", n-taken)
	}
}
