//go:build e2e

package cmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// failsWith expects that a script ends with an exception that contains the texts.
func (p *process) failsWith(t *testing.T, texts ...string) {
	t.Helper()
	if status := p.status(t); status != 1 {
		t.Errorf("%s ended with status %d, want 1", p.name, status)
	}
	p.awaitText(t, texts...)
}

// The broker is killed in the middle of a move, and has forgotten everything when it is back.
func TestPythonWaitsOverAnOutage(t *testing.T) {
	t.Parallel()
	d := newDevice(t, "PLATE_RESORT_SPEED=15")
	p := d.python(t, `
move = activate_hotel("B", wait=False)
say("move", move)
say("result", wait(move))
say("home", go_home())
`)
	id := said[string](t, p, "move")
	d.watch.operation(t, id, "running")
	d.broker.process.kill(t)
	d.program.awaitText(t, "operation ended", "id="+id, "state=completed")
	d.broker.start(t)
	if got := said[stand](t, p, "result"); got.Hotel != "B" {
		t.Errorf("the result is %+v, want hotel B", got)
	}
	p.succeeds(t)
	d.rewatch(t)
	if s := d.watch.status(t, "ready"); s.OperationsTotal != 2 {
		t.Errorf("there were %d operations, want 2", s.OperationsTotal)
	}
}

// The program alone has lost the broker, and misses the end. What is retained tells it; or the device, asked with the
// same id again, when so much has happened since that it is not retained any more.
func TestPythonMissesTheEnd(t *testing.T) {
	t.Parallel()
	for name, since := range map[string]int{"retained": 0, "gone": 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDevice(t, brisk)
			d.rewatch(t, "hotel/set")
			g := newGate(t, d.broker)
			g.open(t)
			p := d.python(t, `
resort = PlateResort(broker="tcp://`+g.address+`")
move = resort.activate_hotel("B", wait=False)
say("move", move)
say("result", resort.wait(move))
`)
			id := said[string](t, p, "move")
			g.shut()
			d.watch.operation(t, id, "completed")
			for i := range since {
				id := fmt.Sprintf("later %d", i)
				d.do(t, "refresh", `{"id": "`+id+`"}`, id)
			}
			g.open(t)
			p.succeeds(t)
			if got := said[stand](t, p, "result"); got.Hotel != "B" {
				t.Errorf("the result is %+v, want hotel B", got)
			}
			want := 1
			if since > 0 {
				want = 2
			}
			for range want {
				d.watch.until(t, "set", "command", func(message) bool { return true })
			}
			if n := d.watch.process.count("/hotel/set ", id); n != want {
				t.Errorf("the command was sent %d times, want %d", n, want)
			}
			if s := d.watch.state(t, "the end", func(s state) bool { return s.OperationsTotal > since }); s.OperationsTotal != since+1 {
				t.Errorf("there were %d operations, want %d", s.OperationsTotal, since+1)
			}
		})
	}
}

// Nobody hears the command. It is sent again, with the same id, until somebody does.
func TestPythonSendsAgain(t *testing.T) {
	t.Parallel()
	d := prepareDevice(t, newBroker(t))
	d.rewatch(t, "connection/set")
	d.broker.publish(t, d.topic("availability"), "online", "-r") // as it is known until the broker misses a device
	p := d.python(t, `say("done", disconnect())`)
	var first string
	for i := range 2 {
		m := d.watch.until(t, "set", "command", func(message) bool { return true })
		if i == 0 {
			first = m.payload
		} else if m.payload != first {
			t.Errorf("the command was sent again as %s, before it was %s", m.payload, first)
		}
	}
	d.run(t)
	p.succeeds(t)
	d.watch.event(t)
	if n := len(d.watch.events(t, func(op operation) bool { return op.State == "completed" })); n != 1 {
		t.Errorf("%d operations were completed, want one", n)
	}
}

// Nobody hears the cancel. Sent again it could cancel what others have sent since.
func TestPythonSendsACancelOnce(t *testing.T) {
	t.Parallel()
	d := prepareDevice(t, newBroker(t))
	d.rewatch(t, "cancel/set")
	d.broker.publish(t, d.topic("availability"), "online", "-r")
	d.python(t, `cancel()`).failsWith(t, "ConnectionError: The cancel has had no answer")
	d.watch.until(t, "set", "command", func(message) bool { return true })
	if n := d.watch.process.count("/cancel/set "); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
}

// The device's program is killed in the middle of a move, and back in time: the move goes on, and so does the waiting.
func TestPythonWaitsForTheDevice(t *testing.T) {
	t.Parallel()
	d := newDevice(t, "PLATE_RESORT_SPEED=15")
	p := d.python(t, `
move = activate_hotel("B", id="move", wait=False)
try:
    wait(move, timeout=4)
except TimeoutError as error:
    say("timeout", str(error))
say("result", wait(move))
`)
	d.watch.operation(t, "move", "running")
	d.program.kill(t)
	d.watch.availability(t, "offline")
	if got := said[string](t, p, "timeout"); !strings.Contains(got, "it is running. Device lab is offline") {
		t.Errorf("the timeout says %q", got)
	}
	d.run(t)
	p.succeeds(t)
	if got := said[stand](t, p, "result"); got.Hotel != "B" {
		t.Errorf("the result is %+v, want hotel B", got)
	}
	d.watch.operation(t, "move", "retrying")
}

// The device has lost its disk. What it had accepted is asked for only if it has no reason to do it again, and refused
// after a stop.
func TestPythonDoesNotMoveADeviceThatHasForgotten(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"emptied": "LookupError: device lab has accepted operation move", "stopped": "OperationError: hotel rejected: the emergency stop is latched"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDevice(t, "PLATE_RESORT_SPEED=3")
			if name == "emptied" {
				d.do(t, "refresh", `{"id": "before"}`, "before")
			}
			p := d.python(t, `
move = activate_hotel("B", id="move", wait=False)
wait(move)
`)
			d.watch.operation(t, "move", "running")
			d.program.kill(t)
			d.watch.availability(t, "offline")
			if err := os.RemoveAll(filepath.Join(d.stateDir, "lab")); err != nil {
				t.Fatal(err)
			}
			if name == "stopped" {
				d.send(t, "stop", "", "-q", "1")
			}
			d.run(t)
			p.failsWith(t, want)
			if n := len(d.watch.events(t, func(op operation) bool { return op.ID == "move" && op.State == "running" })); n != 1 {
				t.Errorf("it was begun %d times", n)
			}
		})
	}
}

// A device that is away is said at once. A stop is sent all the same, and obeyed on return.
func TestPythonWithoutADevice(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.rewatch(t, "hotel/set")
	d.watch.availability(t, "online")
	d.shutDown(t)
	d.python(t, `activate_hotel("B")`).failsWith(t, "ConnectionError: Device lab is offline")
	d.python(t, `status()`).failsWith(t, "ConnectionError: Device lab is offline")
	d.python(t, `PlateResort("nobody").activate_hotel("B")`).failsWith(t, "ConnectionError: The broker knows no device nobody")
	d.python(t, `emergency_stop()`).failsWith(t, "ConnectionError: Device lab is offline", "nothing says that the torque is off")
	if n := d.watch.process.count("/hotel/set "); n > 0 {
		t.Error("a command was sent to a device that is offline")
	}
	d.startAgain(t)
	d.python(t, `PlateResort(broker="tcp://127.0.0.1:`+freePort(t)+`").go_home(timeout=1)`).
		failsWith(t, "TimeoutError", "nothing is known of it", "no connection to the broker", "refused")
	d.python(t, `PlateResort(broker="127.0.0.1").go_home()`).failsWith(t, "ValueError", "tcp://broker.lab:1883")
	d.python(t, `PlateResort(device="", broker="tcp://127.0.0.1:`+d.broker.port+`").reset()`).succeeds(t)
	d.watch.status(t, "ready")
}

// startAgain starts a device for which a stop has been kept.
func (d *device) startAgain(t *testing.T) {
	t.Helper()
	d.run(t)
	d.watch.status(t, "e_stop")
	d.watch.state(t, "no torque", func(s state) bool { return s.Connection == "connected" && !s.Torque })
}

// The first broker of the list that answers is used.
func TestPythonBrokers(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	p := d.python(t, `PlateResort(broker="tcp://127.0.0.1:`+freePort(t)+`, `+d.broker.url()+`").activate_hotel("B")`)
	p.succeeds(t)
	d.watch.state(t, "hotel B", func(s state) bool { return s.Status == "ready" && s.Hotel == "B" })
}
