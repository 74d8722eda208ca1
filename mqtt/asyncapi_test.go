package mqtt

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt/asyncapitest"
)

func loadAsyncAPI(t *testing.T) *asyncapitest.Document {
	t.Helper()
	d, err := asyncapitest.Load(AsyncAPI, map[string]string{"base": "plate-resort", "prefix": "homeassistant"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAsyncAPIHasEveryTopic(t *testing.T) {
	topics := NewTopics("{base}", "{device}")
	d := discovery{topics: topics, deviceID: "{device}", prefix: "{prefix}"}
	want := []string{
		topics.Availability(), topics.Instance(), topics.State(), topics.Health(), topics.Operation(), topics.Queue(), topics.History(), topics.Log(),
		topics.root + "/schedules", topics.root + "/schedules/{schedule}/set",
		d.topic(), d.birth(),
	}
	for _, name := range device.Names {
		want = append(want, topics.Set(name))
	}
	sorted := cmpopts.SortSlices(strings.Compare)
	if diff := cmp.Diff(want, loadAsyncAPI(t).Addresses(), sorted); diff != "" {
		t.Errorf("-the code's topics +the document's\n%s", diff)
	}
}

// The schemas of what is published have the fields of the structs, and require those that are always there.
func TestAsyncAPIHasEveryPublishedField(t *testing.T) {
	document := loadAsyncAPI(t)
	for name, value := range map[string]any{
		"State": device.Snapshot{}, "Health": device.Health{}, "Operation": device.Operation{}, "Result": device.Result{},
		"Parameters": device.Parameters{}, "Error": device.Error{}, "Failure": device.Failure{},
	} {
		schema := document.Object("components", "schemas", name)
		properties, _ := schema["properties"].(map[string]any)
		var required, wantRequired []string
		if list, ok := schema["required"].([]any); ok {
			for _, field := range list {
				required = append(required, field.(string))
			}
		}
		kind := reflect.TypeOf(value)
		for i := range kind.NumField() {
			field, options, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			if field == "" {
				continue
			}
			if properties[field] == nil {
				t.Errorf("%s has no property %s", name, field)
			}
			if options == "" {
				wantRequired = append(wantRequired, field)
			}
		}
		if diff := cmp.Diff(wantRequired, required); diff != "" {
			t.Errorf("%s: -always there +required\n%s", name, diff)
		}
	}
}

// samples are values of each field that the device takes, and some that it does not.
var samples = map[string]struct{ good, bad []string }{
	"hotel":               {[]string{`"B"`, `"Zürich"`}, []string{"5", "null", "true"}},
	"angle":               {[]string{"0", "12.5", "359.99", "1e2"}, []string{`"90"`, "null", "[]"}},
	"precise":             {[]string{"true", "false"}, []string{"1", `"yes"`, "null"}},
	"tolerance":           {[]string{"0.1", "5"}, []string{`"0.5"`, "null"}},
	"overrides":           {[]string{"{}", `{"pulse_max": 10}`}, []string{"[]", `{"pulse_max": "ten"}`, "null"}},
	"speed":               {[]string{"1", "445"}, []string{"50.5", `"50"`, "null"}},
	"state":               {[]string{`"ON"`}, []string{"true", "1", "null"}},
	"port":                {[]string{`"/dev/ttyUSB1"`}, []string{"1", "null"}},
	"baud":                {[]string{"57600"}, []string{`"57600"`, "1.5"}},
	"motor_id":            {[]string{"0", "252"}, []string{`"1"`, "0.5"}},
	"wait_seconds":        {[]string{"0.8"}, []string{`"long"`, "null"}},
	"reapply":             {[]string{"true"}, []string{"1", "null"}},
	"id":                  {[]string{`"x 1"`, `"ü"`}, []string{"5", "null", `""`}},
	"expires_at":          {[]string{`"2026-11-23T08:00:00Z"`, `"2026-11-23T08:00:00.5+01:00"`}, []string{`"tomorrow"`, "5", "null"}},
	"timeout_seconds":     {[]string{"0.1", "3600"}, []string{`"1"`, "null"}},
	"retries":             {[]string{"0", "100"}, []string{"1.5", `"1"`, "null"}},
	"retry_delay_seconds": {[]string{"0", "0.5"}, []string{`"1"`, "null"}},
}

// What the document says of an input's fields is what the device takes.
func TestAsyncAPITakesTheFieldsThatTheDeviceTakes(t *testing.T) {
	document := loadAsyncAPI(t)
	check := func(name device.Name, payload string) {
		t.Helper()
		_, refused := decode(name, []byte(payload), false)
		invalid := document.Validate("plate-resort/lab/"+string(name)+"/set", []byte(payload))
		if (refused == nil) != (invalid == nil) {
			t.Errorf("%s %s\nthe device says: %v\nthe document says: %v", name, payload, refused, invalid)
		}
	}
	for _, name := range device.Names {
		if name == device.StopOperation { // which takes anything
			if err := document.Validate("plate-resort/lab/stop/set", []byte(" \xff{")); err != nil {
				t.Error(err)
			}
			continue
		}
		for _, payload := range []string{"{}", "ON", "OFF", "PRESS", " PRESS\n", "[]", "90", "12.5", "fast"} {
			if name == device.ConnectionOperation && !strings.HasPrefix(payload, "O") && payload != "{}" {
				continue // decoding takes any text, and leaves it to the core to refuse it
			}
			check(name, payload)
		}
		value := make(map[string]string) // what must be given
		if field := name.Value(); field != "" {
			value[field] = samples[field].good[0]
		}
		for field, sample := range samples {
			for _, raw := range slices.Concat(sample.good, sample.bad) {
				fields := maps.Clone(value)
				fields[field] = raw
				var members []string
				for key, raw := range fields {
					key, _ := json.Marshal(key)
					members = append(members, string(key)+": "+raw)
				}
				check(name, "{"+strings.Join(members, ", ")+"}")
			}
		}
	}
}

// The limits are those of the device.
func TestAsyncAPIHasTheLimitsOfTheOverrides(t *testing.T) {
	properties := loadAsyncAPI(t).Object("components", "schemas", "Overrides", "properties")
	if len(properties) != len(device.Overrides) {
		t.Errorf("there are %d overrides, want %d", len(properties), len(device.Overrides))
	}
	number := func(v any) float64 {
		if n, ok := v.(int); ok {
			return float64(n)
		}
		n, _ := v.(float64)
		return n
	}
	for _, o := range device.Overrides {
		p, _ := properties[o.Name].(map[string]any)
		if number(p["minimum"]) != o.Least || number(p["maximum"]) != o.Most || (p["type"] == "integer") != o.Whole {
			t.Errorf("%s is %v, want %v to %v", o.Name, p, o.Least, o.Most)
		}
	}
}

// What the document refuses, beyond what decoding does, the device refuses too.
func TestAsyncAPIRefusesWhatIsOutOfRange(t *testing.T) {
	document := loadAsyncAPI(t)
	for topic, payloads := range map[string][]string{
		"angle/set":      {`{"angle": 360}`, `{"angle": -1}`, `{"angle": 1, "tolerance": 0}`, `{"angle": 1, "retries": 101}`, `{"angle": 1, "overrides": {"pulses": 1}}`},
		"speed/set":      {`{"speed": 0}`, "0"},
		"connection/set": {`{"state": "MAYBE"}`, `{"state": "OFF", "port": "/dev/ttyUSB0"}`, `{"state": "ON", "motor_id": 253}`},
		"schedules/a/set": {
			`{"operation": "hotel"}`, `{"cron": "@daily", "every_seconds": 1, "operation": "home"}`, `{"cron": "@daily", "operation": "reset"}`,
			`{"delete": false}`, `{"every_seconds": 0, "operation": "home"}`,
		},
		"operation":    {`{}`},
		"availability": {"away"},
	} {
		for _, payload := range payloads {
			if document.Validate("plate-resort/lab/"+topic, []byte(payload)) == nil {
				t.Errorf("the document takes %s on %s", payload, topic)
			}
		}
	}
	for _, payload := range []string{
		`{"cron": "0 8 * * 1-5", "timezone": "America/Toronto", "operation": "hotel", "parameters": {"hotel": "A"}, "enabled": true, "overlap": "skip"}`,
		`{"delete": true}`,
	} {
		if err := document.Validate("plate-resort/lab/schedules/a/set", []byte(payload)); err != nil {
			t.Error(err)
		}
	}
}
