//go:build e2e

package mqtt

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
)

// jinja renders as Home Assistant does, with the real Jinja2; a field that is not there is an error.
const jinja = `
import json, sys
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
def render(template, payload):
    value = json.loads(payload)
    # The rest is for the examples: an operation, as entities and as what has triggered.
    return environment.from_string(template).render(
        value=payload, value_json=value, what="it", states=lambda id: value["state"],
        state_attr=lambda id, name: dict(value, message="Why")[name],
        trigger={"id": "operation", "to_state": {"attributes": dict(value, event_type=value["state"])}}
        if isinstance(value, dict) and "state" in value else None)
print(json.dumps([render(job["template"], job["payload"]) for job in json.load(sys.stdin)]))
`

// A job is a template that is rendered with a payload.
type job struct {
	Template string `json:"template"`
	Payload  string `json:"payload"`

	entity  entity
	id, use string
}

func render(t *testing.T, jobs []job) (rendered []string) {
	t.Helper()
	stdin, err := json.Marshal(jobs)
	if err != nil {
		t.Fatal(err)
	}
	python := "python3"
	if exec.Command(python, "-c", "import jinja2").Run() != nil {
		python = "/usr/bin/python3" // Debian's, which make test gives Jinja2
	}
	c := exec.Command(python, "-c", jinja)
	c.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	if err := json.Unmarshal(out, &rendered); err != nil || len(rendered) != len(jobs) {
		t.Fatalf("%d of %d templates were rendered: %v", len(rendered), len(jobs), err)
	}
	return rendered
}

// templates lists what is to be rendered when the payload has come on the topic.
func (m discoveryMessage) templates(topic string, value any) (jobs []job) {
	payload, err := json.Marshal(value)
	if err != nil {
		panic(err) // nothing that is published fails
	}
	for id, e := range m.Components {
		add := func(use, from, template string) {
			if from == topic && template != "" {
				jobs = append(jobs, job{template, string(payload), e, id, use})
			}
		}
		add("state", e.StateTopic, e.ValueTemplate)
		add("attributes", e.JSONAttributesTopic, e.JSONAttributesTemplate)
		for _, a := range e.Availability {
			add("availability", a.Topic, a.ValueTemplate)
		}
	}
	return jobs
}

// fits reports whether Home Assistant takes the value. None is unknown.
func (j job) fits(value string) bool {
	e := j.entity
	object := make(map[string]any)
	switch {
	case j.use == "availability":
		return value == Online || value == Offline
	case j.use == "attributes":
		return json.Unmarshal([]byte(value), &object) == nil
	case e.Platform == "event":
		err := json.Unmarshal([]byte(value), &object)
		kind, _ := object["event_type"].(string)
		return err == nil && slices.Contains(e.EventTypes, kind)
	case e.Platform == "switch", e.Platform == "binary_sensor":
		return value == "ON" || value == "OFF"
	case value == "None":
		return true
	case e.Options != nil:
		return slices.Contains(e.Options, value)
	}
	number, err := strconv.ParseFloat(value, 64)
	return err == nil && (e.Platform != "number" || number >= *e.Min && number <= *e.Max)
}

// states are states of each kind.
func states() (all []*device.Snapshot) {
	for _, status := range []device.Status{
		device.StatusEStop, device.StatusError, device.StatusUnknown, device.StatusRequiresInit,
		device.StatusDegraded, device.StatusBusy, device.StatusReady,
	} {
		s := *xc330().State
		s.Status, s.Message, s.Connection, s.Activity = status, `It's "so" <now>`, device.Connected, device.Idle
		all = append(all, &s)
	}
	for _, c := range []device.Connection{device.Connecting, device.Connected, device.Disconnected, device.Released, device.Napping} {
		s := *xc330().State
		s.Status, s.Connection, s.Activity = device.StatusBusy, c, device.Turning
		s.Hotel, s.Angle, s.Speed, s.EmergencyStop, s.QueueLength = new("B"), new(device.Degrees(359.99)), 445, true, 3
		all = append(all, &s)
	}
	return all
}

// operations are operations of each kind.
func operations() (all []device.Operation) {
	for _, state := range []device.State{
		device.Queued, device.Running, device.Retrying, device.Completed, device.Failed,
		device.Cancelled, device.Expired, device.Interrupted, device.Rejected,
	} {
		all = append(all, device.Operation{
			ID: "it's", Name: device.HotelOperation, Parameters: device.Parameters{Hotel: new("B")}, State: state,
			QueuedAt: time.Unix(0, 0), Result: &device.Result{Hotel: "B"}, Error: device.Errorf(device.CodeStalled, `"<why>"`),
		})
	}
	return all
}

// Every template gives a value that Home Assistant takes, whatever the device publishes.
func TestDiscoveryTemplatesFitWhatIsPublished(t *testing.T) {
	view := xc330()
	m := lab.message(view)
	var jobs []job
	for _, s := range states() {
		jobs = append(jobs, m.templates(lab.topics.State(), s)...)
	}
	for _, op := range operations() {
		jobs = append(jobs, m.templates(lab.topics.Operation(), op)...)
		if slices.Contains(m.Components["last_operation"].Options, string(op.State)) {
			jobs = append(jobs, m.templates(lab.topics.History(), []device.Operation{op, {}})...)
		}
	}
	jobs = append(jobs, m.templates(lab.topics.History(), []device.Operation{})...)
	h := *view.Health
	jobs = append(jobs, m.templates(lab.topics.Health(), &h)...)
	h.Temperature, h.Voltage = new(41), new(11.9)
	jobs = append(jobs, m.templates(lab.topics.Health(), &h)...)

	used := make(map[string]bool)
	for i, value := range render(t, jobs) {
		j := jobs[i]
		used[j.id+j.use] = true
		if !j.fits(value) {
			t.Errorf("the %s of %s is %q, from %s", j.use, j.id, value, j.Payload)
		}
	}
	for id, e := range m.Components {
		if e.ValueTemplate != "" && !used[id+"state"] {
			t.Errorf("the template of %s was not rendered", id)
		}
	}
}

// The values say what they should.
func TestDiscoveryTemplatesSayWhatTheDeviceSays(t *testing.T) {
	m := lab.message(xc330())
	rest, turning, lost := xc330().State, xc330().State, xc330().State
	rest.Status, rest.Activity, rest.Connection, rest.Hotel, rest.Angle = device.StatusReady, device.Idle, device.Napping, new("B"), new(device.Degrees(109.04))
	rest.Speed, rest.OperationsTotal, rest.QueueLength = 50, 128, 2
	turning.Status, turning.Activity, turning.Connection, turning.Angle = device.StatusBusy, device.Turning, device.Connected, new(device.Degrees(0))
	lost.Status, lost.Connection, lost.EmergencyStop, lost.Message = device.StatusError, device.Disconnected, true, "Why"
	released := *lost
	released.Connection = device.Released
	op := operations()[4]
	for _, test := range []struct {
		topic   string
		payload any
		want    map[string]string // by entity and use
	}{
		{lab.topics.State(), rest, map[string]string{
			"hotel state": "B", "angle state": "109.04", "present_angle state": "109.04", "speed state": "50",
			"status state": "ready", "activity state": "idle", "queue_length state": "2", "operations_total state": "128",
			"moving state": "OFF", "problem state": "OFF", "emergency_stop state": "OFF", "motor_connected state": "ON",
			"connection state": "ON", "hotel availability": "online",
		}},
		{lab.topics.State(), turning, map[string]string{
			"hotel state": "None", "angle state": "0", "moving state": "ON", "activity state": "running", "home availability": "online",
		}},
		{lab.topics.State(), lost, map[string]string{
			"problem state": "ON", "emergency_stop state": "ON", "motor_connected state": "OFF", "connection state": "ON",
			"angle state": "None", "speed state": "None", "home availability": "offline", "problem attributes": `{"message": "Why"}`,
		}},
		{lab.topics.State(), &released, map[string]string{"connection state": "OFF", "motor_connected state": "OFF"}},
		{lab.topics.Health(), &device.Health{Temperature: new(41), Voltage: new(11.9), Current: new(134.5)}, map[string]string{
			"temperature state": "41", "voltage state": "11.9", "current state": "134.5",
		}},
		{lab.topics.History(), []device.Operation{op, operations()[3]}, map[string]string{"last_operation state": "failed"}},
		{lab.topics.History(), []device.Operation{}, map[string]string{"last_operation state": "None", "last_operation attributes": "{}"}},
	} {
		jobs := m.templates(test.topic, test.payload)
		got := make(map[string]string)
		for i, value := range render(t, jobs) {
			got[jobs[i].id+" "+jobs[i].use] = value
		}
		for what, want := range test.want {
			if got[what] != want {
				t.Errorf("%s is %q, want %q", what, got[what], want)
			}
		}
	}

	// The event, and the attributes, are the operation as it is published.
	jobs := slices.Concat(m.templates(lab.topics.Operation(), op), m.templates(lab.topics.History(), []device.Operation{op}))
	for i, value := range render(t, jobs) {
		if jobs[i].entity.Platform == "sensor" && jobs[i].use == "state" {
			continue
		}
		var got, want map[string]any
		payload := strings.TrimSuffix(strings.TrimPrefix(jobs[i].Payload, "["), "]")
		if json.Unmarshal([]byte(value), &got) != nil || json.Unmarshal([]byte(payload), &want) != nil {
			t.Fatalf("%s is not an object", value)
		}
		if jobs[i].entity.Platform == "event" {
			want["event_type"] = "failed"
		}
		if !equalJSON(got, want) {
			t.Errorf("the %s of %s is %v, want %v", jobs[i].use, jobs[i].id, got, want)
		}
	}
}

func equalJSON(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

// The templates of the examples render, from what the entities are then.
func TestHomeAssistantExamplesHaveTemplatesThatRender(t *testing.T) {
	payload, err := json.Marshal(operations()[4])
	if err != nil {
		t.Fatal(err)
	}
	var jobs []job
	for _, name := range []string{"dashboard.yaml", "automations.yaml"} {
		visitTexts(readYAML[any](t, examples+name), func(text string) {
			if strings.Contains(text, "{") {
				jobs = append(jobs, job{Template: text, Payload: string(payload), id: name})
			}
		})
	}
	all := ""
	for i, value := range render(t, jobs) {
		all += "\n" + strings.TrimSpace(value)
		if strings.Contains(value, "None") {
			t.Errorf("%s of %s renders %q", jobs[i].Template, jobs[i].id, value)
		}
	}
	for _, want := range []string{`**hotel** failed : "<why>"`, `hotel failed: "<why>"`, "Why", "True"} {
		if !strings.Contains(all, want) {
			t.Errorf("the templates render\n%s\nwithout %q", all, want)
		}
	}
}
