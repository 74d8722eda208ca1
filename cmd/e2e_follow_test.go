//go:build e2e

package cmd_test

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWatch(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	p := start(t, "plate-resort watch", d.where(), plateResort, "watch")
	p.awaitText(t, "  lab  online")
	p.awaitText(t, "  lab  ready, Ready at 0.00°")
	d.do(t, "hotel", `{"hotel": "B", "id": "move"}`, "move")
	p.awaitText(t, "  lab  hotel B: queued as move")
	p.awaitText(t, "  lab  busy, Moving to hotel B")
	p.awaitText(t, "  lab  hotel B: running")
	p.awaitText(t, "  lab  hotel B: completed in", "° from the goal")
	p.awaitText(t, "  lab  ready, Ready at hotel B")
	d.send(t, "hotel", "Z")
	p.awaitText(t, "  lab  hotel Z: rejected: hotel \"Z\" is not one of A, B, C, D")
	if lines := p.count("busy, Moving"); lines != 1 {
		t.Errorf("one move has %d lines with its status", lines)
	}
	d.do(t, "schedules/tick", `{"every_seconds": 1, "operation": "home", "id": "set"}`, "set")
	p.awaitText(t, "  lab  home: completed in", "(schedule tick)")
	d.do(t, "schedules/tick", `{"delete": true, "id": "delete"}`, "delete")

	if n := p.count("log: INFO"); n > 0 {
		t.Errorf("%d lines say what the operations say", n)
	}
	d.do(t, "stop", `{"id": "stop"}`, "stop")
	p.awaitText(t, "  lab  log: WARN emergency stop")

	d.broker.process.kill(t)
	p.awaitText(t, "no connection to the broker, trying again")
	d.broker.start(t)
	d.rewatch(t)
	d.watch.availability(t, "online")
	p.awaitText(t, "connected to the broker tcp://127.0.0.1")
	d.program.kill(t)
	p.awaitText(t, "  lab  offline")
	_ = p.cmd.Process.Signal(syscall.SIGINT) // fails only if it has ended
	expectStatus(t, p, 0)
	if strings.ContainsAny(p.output(), "\x1b\r") {
		t.Error("it has control sequences for a terminal")
	}
}

// A messageLine is a line of watch --json.
type messageLine struct {
	Device     string          `json:"device"`
	Topic      string          `json:"topic"`
	ReceivedAt time.Time       `json:"received_at"`
	Payload    json.RawMessage `json:"payload"`
}

func TestWatchJSON(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.broker.publish(t, "plate-resort/other/availability", "online", "-r")
	args := []string{"watch", "--json"}
	one := start(t, "watch of one", append(d.where(), "PLATE_RESORT_MOTOR_BAUD=fast"), plateResort, args...)
	all := start(t, "watch of all", d.where()[:1], plateResort, args...)
	all.awaitText(t, `"device":"other"`)
	one.awaitText(t, `"device":"lab","topic":"availability"`)
	d.do(t, "hotel", `{"hotel": "B", "id": "move"}`, "move")
	for _, p := range []*process{one, all} {
		angles := make(map[float64]bool)
		p.await(t, "end of the move", 0, func(text string) bool {
			var line messageLine
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if time.Since(line.ReceivedAt) > patience {
				t.Errorf("%s was received long ago", text)
			}
			switch line.Topic {
			case "availability":
				if string(line.Payload) != `"online"` {
					t.Errorf("a bare word became %s", line.Payload)
				}
			case "state":
				s := decode[state](t, message{topic: "state", payload: string(line.Payload)})
				if s.Angle != nil {
					angles[*s.Angle] = true
				}
			case "operation":
				return decode[operation](t, message{topic: "operation", payload: string(line.Payload)}).State == "completed"
			}
			return false
		})
		if len(angles) < 3 {
			t.Errorf("%s has the angles %v of a move", p.name, angles)
		}
		_ = p.cmd.Process.Signal(syscall.SIGINT) // fails only if it has ended
		expectStatus(t, p, 0)
	}
	if one.count(`"other"`) > 0 {
		t.Error("the watch of one device has another one")
	}
}

func TestDevices(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.do(t, "hotel", `{"hotel": "B", "id": "move"}`, "move")
	d.watch.state(t, "hotel B", func(s state) bool { return s.Status == "ready" && s.Hotel == "B" })
	d.broker.publish(t, "plate-resort/aaa/availability", "offline", "-r")
	table := func() []string {
		t.Helper()
		p := start(t, "plate-resort devices", d.where(), plateResort, "devices")
		expectStatus(t, p, 0)
		lines, _ := p.transcript()
		if len(lines) != 3 {
			t.Fatalf("two devices are in %d lines", len(lines))
		}
		for i, line := range lines {
			lines[i] = strings.Join(strings.Fields(line), " ")
		}
		return lines
	}
	lines := table()
	if lines[1] != "aaa offline - - - - - -" {
		t.Errorf("a device that is not there is in the list as %q", lines[1])
	}
	for _, text := range []string{"lab online ready 10", "° B ", " s ago ", "Ready at hotel B"} {
		if !strings.Contains(lines[2], text) {
			t.Errorf("the device is in the list as %q, without %q", lines[2], text)
		}
	}
	p := start(t, "plate-resort devices --json", d.where(), plateResort, "devices", "--json")
	expectStatus(t, p, 0)
	lines, _ = p.transcript()
	if len(lines) != 2 || lines[0] != `{"device":"aaa","availability":"offline","state":null,"health":null}` ||
		!containsAll(lines[1], []string{`{"device":"lab","availability":"online","state":{"status":"ready"`, `"health":{"status":"ok"`}) {
		t.Errorf("in JSON the list is %q", lines)
	}
	d.shutDown(t)
	if line := table()[2]; !strings.HasPrefix(line, "lab offline - - - ") || strings.Contains(line, "Ready") {
		t.Errorf("a device that has gone is in the list as %q", line)
	}
}
