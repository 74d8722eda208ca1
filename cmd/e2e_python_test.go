//go:build e2e

package cmd_test

import (
	"encoding/json"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const pythonExample = "../examples/python"

// findPython returns a Python that has paho-mqtt: the one on the PATH, or else Debian's, which make test gives it.
func findPython(t *testing.T) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import paho.mqtt.client").Run() == nil {
			return python
		}
	}
	t.Fatal("this test needs a python3 with paho-mqtt, which make install gets")
	return ""
}

// python runs a script, or with arguments the example itself, with the settings of the device. A script has the
// example's functions, and say, which prints a word and a value.
func (d *device) python(t *testing.T, script string, args ...string) *process {
	t.Helper()
	if script != "" {
		args = []string{"-c", `
import json
from orchestrator import *
def say(word, value=""):
    print(word, json.dumps(value), flush=True)
` + script}
	}
	env := []string{
		"PYTHONPATH=" + pythonExample, "PYTHONDONTWRITEBYTECODE=1", "PYTHONWARNINGS=error", "PYTHONUNBUFFERED=1",
		"PLATE_RESORT_DEVICE_ID=lab", "PLATE_RESORT_MQTT_BROKER=" + d.broker.url(), "TERMINAL=" + d.terminal,
	}
	return start(t, "python", env, findPython(t), args...)
}

// said waits for a word of a script, and returns the value that was said with it.
func said[T any](t *testing.T, p *process, word string) (value T) {
	t.Helper()
	i := p.await(t, word, 0, func(line string) bool { return strings.HasPrefix(line, word+" ") })
	lines, _ := p.transcript()
	if err := json.Unmarshal([]byte(lines[i][len(word):]), &value); err != nil {
		t.Fatalf("%s: %v", lines[i], err)
	}
	return value
}

// succeeds waits for the end of a script.
func (p *process) succeeds(t *testing.T) {
	t.Helper()
	if status := p.status(t); status != 0 {
		t.Fatalf("%s ended with status %d", p.name, status)
	}
}

// A stand is what a move returns.
type stand struct {
	Hotel           string  `json:"hotel"`
	Angle           float64 `json:"angle"`
	Deviation       float64 `json:"deviation"`
	Stage           string  `json:"stage"`
	DurationSeconds float64 `json:"duration_seconds"`
}

// Every function, as the users of the old program call it.
func TestPythonFunctions(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	p := d.python(t, `
import os
say("hotel", activate_hotel("B", precise=True, overrides={"pulse_max": 10}, stall_pulses=3))
say("plain", activate_hotel("A", False))
say("angle", move_to_angle(41.25, tolerance=0.4, timeout=60, id="my own"))
say("position", get_position())
say("home", go_home())
say("speed", set_speed(150))
say("health", get_health())
say("disconnect", disconnect())
say("connect", connect(device=os.environ["TERMINAL"], baudrate=57600, motor_id=1))
say("reboot", reboot(wait=0.5, reapply=True))
say("stop", emergency_stop())
say("reset", reset())
say("connected", connect())
say("waited", wait(wait(go_home(wait=False, id="last")), poll=1.0, timeout=60.0))
say("hotels", status()["hotels"])
`)
	p.succeeds(t)
	for word, want := range map[string]float64{"hotel": 109, "plain": 19, "angle": 41.25, "home": 0, "waited": 0} {
		if got := said[stand](t, p, word); math.Abs(got.Angle-want) > 0.5 || math.Abs(got.Angle-want-got.Deviation) > 0.01 ||
			got.Stage == "" || got.DurationSeconds == 0 {
			t.Errorf("%s returned %+v, want %v°", word, got, want)
		}
	}
	if hotel := said[stand](t, p, "hotel").Hotel; hotel != "B" {
		t.Errorf("the hotel is %q, want B", hotel)
	}
	if position := said[float64](t, p, "position"); math.Abs(position-41.25) > 0.5 {
		t.Errorf("the position is %v°, want 41.25°", position)
	}
	if health := said[map[string]any](t, p, "health"); health["temperature"] == nil || health["voltage"] != 12.0 || health["status"] != "ok" {
		t.Errorf("the health is %v", health)
	}
	if hotels := said[[]string](t, p, "hotels"); !slices.Equal(hotels, []string{"A", "B", "C", "D"}) {
		t.Errorf("the hotels are %q", hotels)
	}
	d.watch.state(t, "the release", func(s state) bool { return s.Connection == "released" })
	d.watch.status(t, "e_stop")
	d.watch.state(t, "all of them", func(s state) bool { return s.Status == "ready" && s.OperationsTotal == 14 })
	d.watch.operation(t, "last", "completed")
	var done []string
	for _, op := range d.watch.events(t, func(op operation) bool { return op.State == "completed" }) {
		done = append(done, op.Operation)
	}
	if want := "hotel hotel angle refresh home speed refresh connection connection reboot stop reset connection home"; strings.Join(done, " ") != want {
		t.Errorf("the device has done %q, want %s", done, want)
	}
	for _, parameters := range []string{
		`{"hotel":"B","precise":true,"overrides":{"pulse_max":10,"stall_pulses":3}}`, `{"hotel":"A","precise":false}`,
		`"my own","operation":"angle","parameters":{"angle":41.25,"tolerance":0.4}`, `{"speed":150}`, `{"state":"OFF"}`,
		`{"state":"ON","port":"` + d.terminal + `","baud":57600,"motor_id":1}`, `{"wait_seconds":0.5,"reapply":true}`,
	} {
		if d.watch.process.count(`/operation `, parameters, `"completed"`) == 0 {
			t.Errorf("no operation was completed with %s", parameters)
		}
	}
}

// What is not completed is an exception, which says why.
func TestPythonErrors(t *testing.T) {
	t.Parallel()
	d := prepareDevice(t, newBroker(t))
	d.startServo(t, "--fault", "jam")
	d.run(t)
	d.watch.availability(t, "online")
	d.watch.status(t, "ready")
	p := d.python(t, `
def fails(word, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except OperationError as error:
        say(word, [error.state, error.code, error.message, error.operation["operation"]])
    except (LookupError, TimeoutError, ValueError) as error:
        say(word, [type(error).__name__, "", str(error), ""])
fails("hotel", activate_hotel, "Z")
fails("negative", move_to_angle, -90)
fails("no number", move_to_angle, float("nan"))
fails("override", activate_hotel, "B", pluse_max=10)
fails("unwaited", activate_hotel, "Z", wait=False)
fails("unknown", wait, "nobody's")
fails("id", go_home, id="x" * 65)
fails("jam", activate_hotel, "B", timeout_seconds=1, retries=0)
move = activate_hotel("B", wait=False)
fails("timeout", wait, move, timeout=0.2)
cancel(move)
fails("cancelled", wait, move)
fails("nothing", cancel, move)
`)
	p.succeeds(t)
	for word, want := range map[string][]string{
		"hotel":     {"rejected", "invalid_payload", `hotel "Z" is not one of A, B, C, D`, "hotel"},
		"negative":  {"rejected", "invalid_payload", "angle is -90; it must be 0 or more and less than 360 degrees", "angle"},
		"no number": {"rejected", "invalid_payload", "the payload is not valid JSON", "angle"},
		"override":  {"rejected", "invalid_payload", `unknown override "pluse_max"; there are switch_error, `, "hotel"},
		"unwaited":  {"rejected", "invalid_payload", `hotel "Z" is not one of`, "hotel"},
		"unknown":   {"LookupError", "", "device lab does not know operation nobody's", ""},
		"id":        {"ValueError", "", "an id must have 1 to 64 printable characters", ""},
		"jam":       {"failed", "stalled", "", "hotel"},
		"timeout":   {"TimeoutError", "", "has not ended in time: it is running", ""},
		"cancelled": {"cancelled", "cancelled", "it was cancelled", "hotel"},
		"nothing":   {"rejected", "invalid_payload", "is running or waiting", "cancel"},
	} {
		got := said[[]string](t, p, word)
		if got[0] != want[0] || got[1] != want[1] || !strings.Contains(got[2], want[2]) || got[3] != want[3] {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

// A run is submitted, and waited for later, also by somebody else.
func TestPythonWaitsLater(t *testing.T) {
	t.Parallel()
	d := newDevice(t, "PLATE_RESORT_SPEED=15")
	p := d.python(t, `
first, second = activate_hotel("B", wait=False), go_home(wait=False)
say("ids", [first, second])
say("home", wait(second))
say("hotel", wait(first))
`)
	ids := said[[]string](t, p, "ids")
	d.watch.operation(t, ids[1], "queued")
	other := d.python(t, `say("hotel", wait("`+ids[0]+`"))`)
	p.succeeds(t)
	other.succeeds(t)
	again := d.python(t, `say("hotel", wait("`+ids[0]+`"))`) // from the history
	again.succeeds(t)
	for _, p := range []*process{p, other, again} {
		if got := said[stand](t, p, "hotel"); got.Hotel != "B" {
			t.Errorf("the hotel's result is %+v", got)
		}
	}
	if got := said[stand](t, p, "home"); got.Angle > 0.5 {
		t.Errorf("the home's result is %+v", got)
	}
	for _, id := range ids {
		d.watch.operation(t, id, "completed")
		d.watch.expectStates(t, id, "queued", "running", "completed")
	}
	for _, op := range d.watch.events(t, func(op operation) bool { return slices.Contains(ids, op.ID) }) {
		if op.ID == ids[1] {
			break // it was sent while the other one was on its way
		}
		if op.State == "completed" {
			t.Error("the second operation was sent when the first had ended")
		}
	}
}

// A stop ends what another program waits for.
func TestPythonStopsWhatAnotherWaitsFor(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	waits := d.python(t, `
try:
    activate_hotel("D", id="move")
except OperationError as error:
    say("error", error.code)
`)
	d.watch.operation(t, "move", "running")
	d.python(t, "emergency_stop()").succeeds(t)
	waits.succeeds(t)
	if code := said[string](t, waits, "error"); code != "emergency_stopped" {
		t.Errorf("the error is %s", code)
	}
	d.watch.status(t, "e_stop")
}

// Ctrl-C ends the waiting, not the move.
func TestPythonInterrupted(t *testing.T) {
	t.Parallel()
	d := newDevice(t, "PLATE_RESORT_SPEED=15")
	p := d.python(t, `activate_hotel("B", id="move")`)
	d.watch.operation(t, "move", "running")
	if !p.end(syscall.SIGINT) || p.count("KeyboardInterrupt") == 0 {
		t.Error("Ctrl-C does not end the script")
	}
	d.watch.operation(t, "move", "completed")
}

// The example's own sequence.
func TestPythonSequence(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	example := filepath.Join(pythonExample, "orchestrator.py")
	p := d.python(t, "", example, "--device", "lab", "--broker", d.broker.url())
	p.succeeds(t)
	for _, line := range []string{"Ready at 0.00°", "Hotel A: ", "Hotel B: ", "Home: "} {
		p.awaitText(t, line)
	}
	d.watch.until(t, "operation", "end of the move home", func(m message) bool {
		op := decode[operation](t, m)
		return op.Operation == "home" && op.State == "completed"
	})
	var hotels []string
	for _, op := range d.watch.events(t, func(op operation) bool { return op.State == "completed" && op.Parameters.Hotel != nil }) {
		hotels = append(hotels, *op.Parameters.Hotel)
	}
	if !slices.Equal(hotels, []string{"A", "B"}) {
		t.Errorf("the sequence went to the hotels %q", hotels)
	}
	d.shutDown(t)
	p = d.python(t, "", example)
	if p.status(t) != 1 {
		t.Error("the sequence succeeds without a device")
	}
	p.awaitText(t, "Device lab is offline")
}
