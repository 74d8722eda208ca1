//go:build e2e

package cmd_test

import (
	"strings"
	"testing"
)

// A rejection is a command that cannot be obeyed, and the answer to it.
type rejection struct {
	what          string
	name, payload string // of the command
	code, message string // the message in part
	id            string // "" is for one that the device makes
}

// There are fewer rejections in each test than a flood has, of which not all would be answered.

func TestWrongValues(t *testing.T) {
	t.Parallel()
	newDevice(t, brisk).expectRejections(t, []rejection{
		{"no such hotel", "hotel", "Z", "invalid_payload", `hotel "Z" is not one of A, B, C, D`, ""},
		{"no such hotel, with an id", "hotel", `{"id": "z", "hotel": "Z"}`, "invalid_payload", `hotel "Z" is not one of A, B, C, D`, "z"},
		{"small letter", "hotel", "b", "invalid_payload", "A, B, C, D", ""},
		{"wrong type", "hotel", `{"id": "t", "hotel": 2}`, "invalid_payload", "hotel must be a string", "t"},
		{"null", "hotel", `{"id": "n", "hotel": null}`, "invalid_payload", "hotel must be a string", "n"},
		{"not a number", "angle", "NaN", "invalid_payload", "angle must be a number", ""},
		{"infinite", "angle", "1e999", "invalid_payload", "angle must be a number", ""},
		{"too large", "angle", "360", "invalid_payload", "less than 360", ""},
		{"negative", "angle", `{"id": "-", "angle": -0.5}`, "invalid_payload", "less than 360", "-"},
		{"a list", "angle", "[90]", "invalid_payload", "angle must be a number", ""},
		{"not a button's word", "home", "GO", "invalid_payload", "PRESS", ""},
	})
}

func TestWrongForm(t *testing.T) {
	t.Parallel()
	newDevice(t, brisk).expectRejections(t, []rejection{
		{"unknown field", "hotel", `{"id": "u", "hotel": "B", "sped": 3}`, "invalid_payload", `unknown field "sped"`, "u"},
		{"field in capitals", "hotel", `{"id": "c", "HOTEL": "B"}`, "invalid_payload", `unknown field "HOTEL"`, "c"},
		{"field twice", "hotel", `{"id": "d", "hotel": "A", "hotel": "B"}`, "invalid_payload", `"hotel" is given twice`, "d"},
		{"id twice", "hotel", `{"id": "d1", "hotel": "A", "id": "d2"}`, "invalid_payload", `"id" is given twice`, "d1"},
		{"id of a wrong type", "hotel", `{"id": 7, "hotel": "B"}`, "invalid_payload", "id must be a string", ""},
		{"JSON that ends early", "hotel", `{"id": "e", "hotel": "B"`, "invalid_payload", "ends too early", "e"},
		{"something behind the JSON", "hotel", `{"id": "s", "hotel": "B"} {}`, "invalid_payload", "behind the JSON object", "s"},
		{"not JSON", "hotel", `{hotel: B}`, "invalid_payload", "not valid JSON", ""},
		{"missing field", "angle", `{"id": "m"}`, "invalid_payload", `"angle" is missing`, "m"},
		{"invalid UTF-8", "hotel", "\xff\xfeB", "invalid_payload", "UTF-8", ""},
		{"parameter of a button", "home", `{"id": "p", "angle": 3}`, "invalid_payload", `unknown field "angle"`, "p"},
		{"too large a payload", "hotel", strings.Repeat("B", 16<<10+1), "payload_too_large", "16385 bytes", ""},
		{"unknown operation", "shelf", "B", "unknown_operation", `"shelf"`, ""},
	})
}

// expectRejections sends commands, checks the answers, and that nothing has moved.
func (d *device) expectRejections(t *testing.T, rejections []rejection) {
	t.Helper()
	for _, r := range rejections {
		d.send(t, r.name, r.payload)
		op := d.watch.event(t)
		if op.State != "rejected" || op.Operation != r.name || op.Error.Code != r.code || !strings.Contains(op.Error.Message, r.message) {
			t.Errorf("%s was answered with %+v, want a rejection with %s and %q", r.what, op, r.code, r.message)
		}
		if op.ID == "" || r.id != "" && op.ID != r.id {
			t.Errorf("%s was answered with the id %q, want %q", r.what, op.ID, r.id)
		}
	}
	d.expectNoMove(t)
}

// Nothing is what clearing a retained message looks like.
func TestEmptyPayloads(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	for _, name := range []string{"hotel", "angle", "home", "reset"} {
		d.send(t, name, "")
		d.send(t, name, " \r\n")
	}
	d.expectNoMove(t)
	if events := d.watch.events(t, func(op operation) bool { return op.State == "rejected" }); len(events) > 0 {
		t.Errorf("empty payloads were answered: %+v", events)
	}
}

// expectNoMove fails the test if anything has been started so far. It moves to where the carousel has
// been from the start, so that all that was sent before has had its turn.
func (d *device) expectNoMove(t *testing.T) {
	t.Helper()
	d.do(t, "angle", `{"angle": 0, "id": "after all"}`, "after all")
	for _, op := range d.watch.events(t, func(op operation) bool { return op.ID != "after all" && op.State != "rejected" }) {
		t.Errorf("an operation was obeyed: %+v", op)
	}
	lines, _ := d.watch.process.transcript()
	for _, line := range lines {
		if m, ok := parseMessage(line); ok && m.topic == d.topic("state") {
			if s := decode[state](t, m); s.Angle != nil && *s.Angle != 0 {
				t.Errorf("the carousel has turned to %v°", *s.Angle)
			}
		}
	}
}
