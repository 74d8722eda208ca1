//go:build e2e

package cmd_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// newBridge starts two brokers with the bridge between them that the README has.
func newBridge(t *testing.T) (first, second *broker) {
	t.Helper()
	first, second = newPair(t)
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, bridge, found := strings.Cut(string(readme), "connection other\n")
	bridge, _, closed := strings.Cut(bridge, "```")
	if !found || !closed {
		t.Fatal("the README has no configuration for a bridge")
	}
	bridge = "connection other\n" + strings.Replace(bridge, "broker1.lab:1883", first.address(), 1)
	conf, err := os.ReadFile(second.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(second.config, append(conf, "\n"+bridge...), 0o644); err != nil {
		t.Fatal(err)
	}
	second.process.kill(t)
	second.start(t)
	first.observers, second.observers = append(first.observers, second.observers...), nil
	return first, second
}

func TestBridge(t *testing.T) {
	t.Parallel()
	first, second := newBridge(t)
	d := prepareDevice(t, second, brisk, "PLATE_RESORT_MQTT_BROKER="+first.url()+","+second.url())
	d.startServo(t)
	d.run(t)
	// The device is at the first broker, and all that follows is at the second.
	d.watch.availability(t, "online")
	first.awaitConnections(t)
	d.watch.status(t, "ready")
	d.do(t, "hotel", `{"hotel": "B", "id": "over the bridge"}`, "over the bridge")
	d.watch.expectStates(t, "over the bridge", "queued", "running", "completed")
	d.do(t, "stop", `{"id": "stop"}`, "stop")
	d.do(t, "reset", `{"id": "reset"}`, "reset")
	if n := second.connections(); n != 0 {
		t.Errorf("the device has connected to the second broker %d times", n)
	}

	d.program.kill(t)
	d.watch.availability(t, "offline")
	d.run(t)
	d.watch.availability(t, "online")

	first.process.kill(t)
	d.watch.availability(t, "online")
	second.awaitConnections(t)
	d.do(t, "home", `{"id": "home"}`, "home")
	first.start(t)
	d.broker = first
	d.rewatch(t)
	d.watch.availability(t, "online")
	d.watch.state(t, "hotel at home", func(s state) bool { return s.Status == "ready" })
	d.do(t, "hotel", `{"hotel": "C", "id": "and back"}`, "and back")
	if n := d.program.count(rivalText); n != 0 {
		t.Errorf("the log tells %d times of a second process", n)
	}
}

// Two processes with one id, each at a broker of its own.
func TestTwoProcessesWithOneIDOverABridge(t *testing.T) {
	t.Parallel()
	one, other := newBridge(t)
	first := prepareDevice(t, one, brisk)
	first.startServo(t)
	first.run(t)
	first.watch.availability(t, "online")
	first.watch.status(t, "ready")
	rival := prepareDevice(t, other, brisk)
	rival.startServo(t)
	rival.run(t)
	first.program.awaitText(t, rivalText, "this one goes on")
	rival.program.awaitText(t, rivalText, "this one waits")
	other.process.awaitText(t, "New client connected", "as plate-resort-lab-stop-")
	first.watch.state(t, "the warning", func(s state) bool { return strings.Contains(s.Message, rivalText[1:]) })
	rival.program.end(syscall.SIGTERM)
	first.watch.status(t, "ready")
}
