package mqtt

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/plate-resort/plate-resort/device"
)

// refusals are the codes that a payload alone can be refused with.
var refusals = []device.Code{
	device.CodeInvalidPayload, device.CodeUnknownOperation, device.CodePayloadTooLarge, device.CodeRetainedCommand,
}

// FuzzDecode sends whatever comes to an input. What is accepted says all that was sent: encoded again it is the
// same command. What is refused is answered with what is wrong, on one line that can be shown.
func FuzzDecode(f *testing.F) {
	for _, name := range device.Names {
		for _, payload := range []string{"B", "90", "PRESS", `{"id":"x"}`} {
			f.Add(string(name), []byte(payload), false)
		}
	}
	f.Fuzz(func(t *testing.T, name string, payload []byte, retained bool) {
		c, err := decode(device.Name(name), payload, retained)
		parameters, failure := json.Marshal(c.Parameters)
		if failure != nil {
			t.Fatalf("cannot be published: %v", failure)
		}
		if n := utf8.RuneCountInString(c.ID); n > 64 || strings.ContainsFunc(c.ID, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("the id is %q", c.ID)
		}
		if c.Source != source {
			t.Errorf("the source is %q", c.Source)
		}
		var refusal *device.Error
		switch {
		case errors.Is(err, errEmpty):
			if len(bytes.TrimSpace(payload)) > 0 {
				t.Errorf("%q is ignored", payload)
			}
		case errors.As(err, &refusal):
			if !slices.Contains(refusals, refusal.Code) || !isLine(refusal.Message) {
				t.Errorf("the answer is %s: %q", refusal.Code, refusal.Message)
			}
			if string(parameters) != "{}" && !retained {
				t.Errorf("a refused command has the parameters %s", parameters)
			}
		case err != nil:
			t.Errorf("unexpected error %v", err)
		case retained || len(payload) == 0 || len(payload) > MaxPayload || !utf8.Valid(payload):
			t.Errorf("%q is obeyed", payload)
		default:
			decodesAgain(t, c, payload, parameters)
		}
	})
}

// isLine reports whether people can be shown the text, as one line of a log for example.
func isLine(text string) bool {
	return text != "" && len(text) < 2000 && utf8.ValidString(text) &&
		!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// decodesAgain checks that a command says what the payload does.
func decodesAgain(t *testing.T, c device.Command, payload, parameters []byte) {
	t.Helper()
	fields := make(map[string]json.RawMessage)
	if err := json.Unmarshal(parameters, &fields); err != nil {
		t.Fatal(err)
	}
	for name, value := range fields {
		if !slices.Contains(c.Name.Fields(), name) && !slices.Contains(c.Name.Options(), name) {
			t.Errorf("%s has the parameter %s", c.Name, name)
		}
		if len(value) > 1000 { // written out, it may be longer than what is read
			return
		}
	}
	if c.ID != "" {
		fields["id"], _ = json.Marshal(c.ID)
	}
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	if payload = bytes.TrimSpace(payload); payload[0] == '{' && names(payload) != names(text) {
		t.Errorf("%s is taken for %s", payload, text)
	}
	again, err := decode(c.Name, text, false)
	if err != nil {
		t.Errorf("%s is refused when it comes as %s: %v", payload, text, err)
	}
	got, _ := json.Marshal(again.Parameters)
	if again.ID != c.ID || again.Name != c.Name || !bytes.Equal(got, parameters) {
		t.Errorf("%s with the id %q is %s with the id %q when it comes again", parameters, c.ID, got, again.ID)
	}
}

// names counts the names in a JSON text that is valid, but for those of an empty object in it, which says nothing.
func names(text []byte) (n int) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	var isObject []bool
	isName := false
	for {
		token, err := decoder.Token()
		if err != nil {
			return n
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			isObject = append(isObject, token == json.Delim('{'))
			if token == json.Delim('{') && !decoder.More() && len(isObject) > 1 {
				n--
			}
		case json.Delim('}'), json.Delim(']'):
			isObject = isObject[:len(isObject)-1]
		default:
			if isName {
				n++
			}
		}
		in := len(isObject)
		switch {
		case in == 0 || !isObject[in-1]:
			isName = false
		case token == json.Delim('{'):
			isName = true
		default:
			isName = !isName || token == json.Delim('}') || token == json.Delim(']')
		}
	}
}

// FuzzTopics makes the topics of two devices below any base topics. An input is understood as what it is the
// input of. The topics of a device that has a valid id are valid where the base topic is: the wildcards are
// those of the filters, and no device gets what another one publishes below the same base topic.
func FuzzTopics(f *testing.F) {
	for _, name := range device.Names {
		f.Add("plate-resort", "lab", "lab2", string(name), "plate-resort/lab/"+string(name)+"/set")
	}
	f.Fuzz(func(t *testing.T, base, id, otherID, name, topic string) {
		topics := NewTopics(base, id)
		if got, ok := topics.operation(topics.Set(device.Name(name))); !ok || string(got) != name {
			t.Errorf("the input of %q is taken for that of %q", name, got)
		}
		if got, ok := topics.schedule(topics.SetSchedule(name)); !ok || got != name {
			t.Errorf("the input of the schedule %q is taken for that of %q", name, got)
		}
		if !DeviceIDPattern.MatchString(id) || !isTopic(base) {
			return
		}
		isInput, isSchedule := matches(topics.inputs(), topic), matches(topics.SetSchedule("+"), topic)
		operation, ok := topics.operation(topic)
		if isInput && (!ok || topics.Set(operation) != topic || strings.Contains(string(operation), "/")) {
			t.Errorf("%q is taken for the input of %q", topic, operation)
		}
		schedule, ok := topics.schedule(topic)
		if isSchedule && (!ok || topics.SetSchedule(schedule) != topic || strings.Contains(schedule, "/")) {
			t.Errorf("%q is taken for the input of the schedule %q", topic, schedule)
		}
		if isInput && (isSchedule || ok) {
			t.Errorf("%q is an input of two kinds", topic)
		}
		published := []string{
			topics.Availability(), topics.Instance(), topics.State(), topics.Health(), topics.Operation(), topics.Queue(),
			topics.History(), topics.Schedules(), topics.Log(), discovery{topics, id, base}.topic(),
		}
		for _, topic := range published {
			if !isTopic(topic) {
				t.Errorf("%q is published", topic)
			}
			if matches(topics.inputs(), topic) || matches(topics.SetSchedule("+"), topic) {
				t.Errorf("%q, which is published, is an input", topic)
			}
		}
		if DeviceIDPattern.MatchString(otherID) && otherID != id {
			other := NewTopics(base, otherID)
			for _, topic := range append(published, topics.Set(device.Name(name)), topics.SetSchedule(name)) {
				if matches(other.inputs(), topic) || matches(other.SetSchedule("+"), topic) || strings.HasPrefix(topic, other.root+"/") {
					t.Errorf("%q of %s is %s's too", topic, id, otherID)
				}
			}
		}
	})
}

// isTopic reports whether a topic can be published to.
// https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html#_Toc3901241
func isTopic(topic string) bool {
	return topic != "" && len(topic) <= 65535 && topic[0] != '$' && utf8.ValidString(topic) && !strings.ContainsAny(topic, "+#\x00")
}

// matches reports whether a filter without # covers a topic, level by level.
func matches(filter, topic string) bool {
	return slices.EqualFunc(strings.Split(filter, "/"), strings.Split(topic, "/"), func(f, t string) bool { return f == "+" || f == t })
}
