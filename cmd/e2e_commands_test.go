//go:build e2e

package cmd_test

import (
	"strings"
	"syscall"
	"testing"
)

// ask runs a command that talks to the device, and returns it when it has ended with that status.
func (d *device) ask(t *testing.T, wantStatus int, args ...string) *process {
	t.Helper()
	p := start(t, "plate-resort "+strings.Join(args, " "), d.where(), plateResort, args...)
	if status := p.status(t); status != wantStatus {
		t.Errorf("%s ended with status %d, want %d:\n%s", p.name, status, wantStatus, p.output())
	}
	return p
}

// where is the device, for commands.
func (d *device) where() []string {
	return []string{"PLATE_RESORT_MQTT_BROKER=" + d.broker.url(), "PLATE_RESORT_DEVICE_ID=lab"}
}

func TestSend(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	for _, row := range []struct {
		status int
		texts  []string // each on a line of its own
		args   []string
	}{
		{0, []string{"queued as", "running", "° from the goal, in the position stage"}, []string{"send", "hotel", "B"}},
		{0, []string{`"state":"queued"`, `"state":"running"`, `"state":"completed"`}, []string{"send", "home", "--json"}},
		{0, []string{"queued as mine"}, []string{"send", "angle", "90", "--no-wait", "--param", "tolerance=2", "--param", "id=mine"}},
		{1, []string{"rejected: angle is -1.5; it must be 0 or more", "angle: rejected"}, []string{"send", "angle", "-1.5", "--param", "tolerance=2"}},
		{1, []string{`rejected: hotel "Z" is not one of A, B, C, D`, "hotel: rejected"}, []string{"send", "hotel", "Z"}},
		{0, []string{"completed"}, []string{"send", "cancel", "all"}},
		{0, []string{"completed"}, []string{"send", "stop"}},
		{1, []string{"rejected: the emergency stop is latched", "home: rejected"}, []string{"send", "home"}},
		{0, []string{"completed"}, []string{"send", "reset"}},
		{2, []string{"there is no operation", "Did you mean hotel or home?"}, []string{"send", "hotle", "B"}},
		{2, []string{"there is no command", "Did you mean send?"}, []string{"sned"}},
		{2, []string{`id must be a string of 1 to 64 printable characters`}, []string{"send", "home", "--param", "id="}},
		{2, []string{`the field "angle" is missing`}, []string{"send", "angle"}},
		{2, []string{"give an operation"}, []string{"send"}},
		{2, []string{"unknown flag"}, []string{"send", "home", "--fast"}},
	} {
		p := d.ask(t, row.status, row.args...)
		for _, text := range row.texts {
			p.awaitText(t, text)
		}
	}
}

// A command needs of the settings only what says where the device is.
func TestSettingsOfCommands(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	env := []string{"PLATE_RESORT_MQTT_BROKER=" + b.url(), "PLATE_RESORT_DEVICE_ID=localhost", "PLATE_RESORT_MOTOR_BAUD=fast"}
	for _, row := range []struct {
		status int
		text   string
		args   []string
	}{
		{0, "no devices", []string{"devices"}},
		{1, "device lab is not known to the broker; it knows those that `plate-resort devices` lists", []string{"send", "home", "--device", "lab"}},
		{2, "DEVICE_ID is \"localhost\"; it must be set", []string{"send", "home"}},
		{2, "DEVICE_ID is \"localhost\"; it must be set", []string{"watch"}},
		{2, "--all and --device contradict each other", []string{"watch", "--all", "--device", "lab"}},
		{2, "MQTT_BROKER is \"localhost\"; it must be a URL", []string{"devices", "--broker", "localhost"}},
		{1, "connect to the broker", []string{"devices", "--broker", "tcp://127.0.0.1:" + freePort(t)}},
		{1, "connect to the broker", []string{"watch", "--all", "--broker", "tcp://127.0.0.1:" + freePort(t)}},
		{1, "connect to the broker", []string{"send", "stop", "--device", "lab", "--broker", "tcp://127.0.0.1:" + freePort(t)}},
	} {
		p := start(t, strings.Join(row.args, " "), env, plateResort, row.args...)
		if status := p.status(t); status != row.status {
			t.Errorf("%s ended with status %d, want %d", p.name, status, row.status)
		}
		p.awaitText(t, row.text)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.ask(t, 0, "check").awaitText(t, "lab: ready")
	d.program.end(syscall.SIGKILL)
	d.watch.availability(t, "offline")
	d.ask(t, 1, "check").awaitText(t, "device lab is offline")
	d.ask(t, 1, "send", "home").awaitText(t, "device lab is offline")
	p := start(t, "check", d.where(), plateResort, "check", "--device", "nobody")
	if p.status(t) != 1 {
		t.Error("an unknown device is in order")
	}
	p.awaitText(t, "device nobody is not known to the broker")
}

func TestConfig(t *testing.T) {
	t.Parallel()
	p := start(t, "config", []string{
		"PLATE_RESORT_DEVICE_ID=lab1", "PLATE_RESORT_MQTT_USERNAME=me", "PLATE_RESORT_MQTT_PASSWORD=geheim",
	}, plateResort, "config")
	if p.status(t) != 0 {
		t.Error("good settings are refused")
	}
	p.awaitText(t, "PLATE_RESORT_DEVICE_ID", "lab1", "environment")
	p.awaitText(t, "PLATE_RESORT_MQTT_PASSWORD ", "(hidden)", "environment")
	p.awaitText(t, "PLATE_RESORT_SPEED", "50", "default")
	if p.count("geheim") > 0 {
		t.Error("the password is shown")
	}

	p = start(t, "config", []string{
		"PLATE_RESORT_DEVICE_ID=raspberrypi", "PLATE_RESORT_MQTT_BROKER=broker.lab", "PLATE_RESORT_RETRIES=many",
		"PLATE_RESORT_VOLTAGE_MIN=15", "PLATE_RESORT_MQTT_CA_FILE=/nowhere", "PLATE_RESORT_MQTT_OFFLINE_COMMANDS=keep",
	}, plateResort, "config")
	if p.status(t) != 2 {
		t.Error("wrong settings are accepted")
	}
	for _, texts := range [][]string{
		{"DEVICE_ID is", "many hosts have this name"},
		{"MQTT_BROKER is", "tcp://broker.lab:1883"},
		{"RETRIES is", "a whole number from 0 to 100"},
		{"VOLTAGE_MIN is", "no higher than VOLTAGE_MAX"},
		{"MQTT_CA_FILE cannot be read", "/nowhere"},
		{"MQTT_OFFLINE_COMMANDS is", "drop or run"},
	} {
		p.awaitText(t, texts...)
	}
}
