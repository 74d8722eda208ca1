//go:build e2e

package cmd_test

import (
	"path/filepath"
	"testing"
)

// Speeds, in units of 0.229 rpm. A brisk move takes well under two seconds. A slow one of two
// hundred degrees takes most of a minute, so that it is still on when the test does something to it.
const (
	brisk = "PLATE_RESORT_SPEED=200"
	slow  = "PLATE_RESORT_SPEED=3"
)

// A device is plate-resort run with what it needs around it.
type device struct {
	broker   *broker
	servo    *process
	program  *process
	watch    *watch
	terminal string // what the device has for its serial port
	stateDir string
	settings []string
}

// newDevice starts broker, servo, watch and device, and waits until the device is ready.
func newDevice(t *testing.T, settings ...string) *device {
	t.Helper()
	d := prepareDevice(t, newBroker(t), settings...)
	d.startServo(t)
	d.run(t)
	d.watch.status(t, "ready")
	d.watch.availability(t, "online")
	return d
}

// prepareDevice starts the watch. Servo and device are the test's to start.
func prepareDevice(t *testing.T, b *broker, settings ...string) *device {
	t.Helper()
	d := &device{broker: b, terminal: filepath.Join(t.TempDir(), "servo"), stateDir: t.TempDir()}
	d.settings = append([]string{
		"PLATE_RESORT_DEVICE_ID=lab",
		"PLATE_RESORT_STATE_DIR=" + d.stateDir,
		"RUNTIME_DIRECTORY=" + d.stateDir,
		"PLATE_RESORT_MQTT_BROKER=" + b.url(),
		"PLATE_RESORT_MOTOR_PORT=" + d.terminal,
		"PLATE_RESORT_HEALTH_INTERVAL=100ms",
	}, settings...)
	d.rewatch(t)
	return d
}

// rewatch begins a new watch, as the one of a broker that has been killed is of no use.
// It may see more topics of the device than usual.
func (d *device) rewatch(t *testing.T, more ...string) {
	t.Helper()
	topics := []string{d.topic("availability"), d.topic("state"), d.topic("operation")}
	for _, leaf := range more {
		topics = append(topics, d.topic(leaf))
	}
	d.watch = d.broker.watch(t, topics...)
}

// startServo starts the simulated servo, at 0°. A real one has a processor of its own: as far as this user may say so, it
// goes before what else runs here, and answers in time.
func (d *device) startServo(t *testing.T, more ...string) {
	t.Helper()
	args := append([]string{"-n", "-20", plateResort, "simulate", "--link", d.terminal}, more...)
	d.servo = start(t, "simulate", nil, "nice", args...)
	d.servo.awaitText(t, "is on "+d.terminal)
}

// run starts the program.
func (d *device) run(t *testing.T) {
	t.Helper()
	d.program = start(t, "run", d.settings, plateResort, "run")
}

func (d *device) topic(leaf string) string { return "plate-resort/lab/" + leaf }

// send publishes a command with mosquitto_pub.
func (d *device) send(t *testing.T, name, payload string, options ...string) {
	t.Helper()
	d.broker.publish(t, d.topic(name+"/set"), payload, options...)
}

// do sends a command that has an id, and waits until it has been carried out.
func (d *device) do(t *testing.T, name, payload, id string) operation {
	t.Helper()
	d.send(t, name, payload)
	return d.watch.operation(t, id, "completed")
}
