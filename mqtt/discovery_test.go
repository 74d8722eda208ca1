package mqtt

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plate-resort/plate-resort/device"
)

var update = flag.Bool("update", false, "write what the discovery message is now to testdata")

var lab = discovery{topics: NewTopics("plate-resort", "lab"), deviceID: "lab", prefix: "homeassistant"}

// xc330 is a view of a device with a servo that measures its current.
func xc330() *device.View {
	return &device.View{
		State: &device.Snapshot{Hotels: []string{"A", "B", "C", "D"}, SpeedLimit: new(445)},
		Health: &device.Health{
			Model: "XC330-T288", ModelNumber: 1220, Firmware: 52, Current: new(134.5), Version: "v1.2.0",
		},
		Queue: new([]device.Operation), History: new([]device.Operation),
	}
}

// The message was read field by field; go test ./mqtt -run TestDiscovery -update writes a new one to be read.
func TestDiscoveryIsAsItWasRead(t *testing.T) {
	const golden = "testdata/discovery.json"
	got, err := json.MarshalIndent(lab.message(xc330()), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("-%s +now\n%s", golden, diff)
	}
	if topic := lab.topic(); topic != "homeassistant/device/plate_resort/lab/config" {
		t.Errorf("it is published on %s", topic)
	}
}

// Home Assistant reads what the device publishes.
func TestDiscoveryNamesTopicsThatArePublished(t *testing.T) {
	published := []string{
		lab.topics.Availability(), lab.topics.State(), lab.topics.Health(), lab.topics.Operation(), lab.topics.History(),
	}
	m := lab.message(xc330())
	check := func(id, topic string) {
		if !slices.Contains(published, topic) {
			t.Errorf("%s reads %s, which is not published", id, topic)
		}
	}
	for _, a := range m.Availability {
		check("the device", a.Topic)
	}
	for id, e := range m.Components {
		for _, a := range e.Availability {
			check(id, a.Topic)
		}
		for _, topic := range []string{e.StateTopic, e.JSONAttributesTopic} {
			if topic != "" {
				check(id, topic)
			}
		}
	}
}

// commands are the payloads that Home Assistant sends for an entity.
func (e entity) commands(t *testing.T) []string {
	switch e.Platform {
	case "select":
		return e.Options
	case "number":
		var payloads []string
		for _, n := range []float64{*e.Min, *e.Min + e.Step, *e.Max} {
			payload, _ := json.Marshal(n)
			payloads = append(payloads, string(payload))
		}
		return payloads
	case "button":
		if e.PayloadPress != "" {
			return []string{e.PayloadPress}
		}
		return []string{"PRESS"}
	case "switch":
		return []string{"ON", "OFF"}
	}
	t.Errorf("a %s sends no commands", e.Platform)
	return nil
}

// Home Assistant sends what the device takes, and every operation can be asked for.
func TestDiscoverySendsWhatTheDeviceTakes(t *testing.T) {
	operations := make(map[device.Name]bool)
	for id, e := range lab.message(xc330()).Components {
		if e.CommandTopic == "" {
			continue
		}
		name, ok := lab.topics.operation(e.CommandTopic)
		if !ok || !name.Known() {
			t.Errorf("%s sends to %s, which is no input", id, e.CommandTopic)
			continue
		}
		operations[name] = true
		for _, payload := range e.commands(t) {
			if _, err := decode(name, []byte(payload), false); err != nil {
				t.Errorf("%s sends %s: %v", id, payload, err)
			}
		}
	}
	for _, name := range device.Names {
		if !operations[name] {
			t.Errorf("no entity sends %s", name)
		}
	}
}

func TestDiscoveryFollowsTheServo(t *testing.T) {
	removed := entity{Platform: "sensor"}
	unknown := xc330()
	unknown.State.SpeedLimit, unknown.Health.Model, unknown.Health.Current = nil, "", nil
	xl430 := xc330()
	xl430.Health.Model, xl430.Health.Current, xl430.Health.Load = "XL430-W250", nil, new(3.0)
	for _, test := range []struct {
		name          string
		view          *device.View
		hardware      string
		fastest       float64
		current, load string // the unit; "removed" or "" for neither
	}{
		{"current", xc330(), "XC330-T288, firmware 52", 445, "mA", "removed"},
		{"load", xl430, "XL430-W250, firmware 52", 445, "removed", "%"},
		{"not known", unknown, "", anySpeed, "", ""},
	} {
		m := lab.message(test.view)
		sensor := func(id string) string {
			if e := m.Components[id]; !reflect.DeepEqual(e, removed) {
				return e.UnitOfMeasurement
			}
			return "removed"
		}
		if m.Device.HWVersion != test.hardware || *m.Components["speed"].Max != test.fastest ||
			sensor("current") != test.current || sensor("load") != test.load {
			t.Errorf("%s: the servo is %q with speeds up to %v, current %q, load %q; want %+v",
				test.name, m.Device.HWVersion, *m.Components["speed"].Max, sensor("current"), sensor("load"), test)
		}
	}
}

// What needs the motor is greyed out with it; what helps when it is gone is not.
func TestDiscoveryTellsProcessFromMotor(t *testing.T) {
	var needMotor []string
	m := lab.message(xc330())
	for id, e := range m.Components {
		switch {
		case reflect.DeepEqual(e.Availability, []availability(nil)):
		case len(e.Availability) == 2 && e.Availability[0] == m.Availability[0] && e.AvailabilityMode == "all":
			needMotor = append(needMotor, id)
		default:
			t.Errorf("%s is available as %+v, %s", id, e.Availability, e.AvailabilityMode)
		}
	}
	slices.Sort(needMotor)
	want := []string{"angle", "current", "home", "hotel", "moving", "present_angle", "reboot", "refresh", "speed", "temperature", "voltage"}
	if diff := cmp.Diff(want, needMotor); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Home Assistant takes an entity id as it is if it has this form, and a diagnostic category of sensors only.
func TestDiscoveryKeepsHomeAssistantsRules(t *testing.T) {
	entityID := regexp.MustCompile(`^[a-z_]+\.[a-z0-9]+(_[a-z0-9]+)*$`)
	for _, id := range []string{"lab", "lab-1", "lab__1_", "1"} {
		d := discovery{topics: NewTopics("a/b", id), deviceID: id, prefix: "homeassistant"}
		seen := make(map[string]bool)
		m := d.message(xc330())
		for _, key := range slices.Sorted(maps.Keys(m.Components)) {
			e := m.Components[key]
			if e.Name == "" {
				continue
			}
			if !entityID.MatchString(e.DefaultEntityID) || !strings.HasPrefix(e.DefaultEntityID, e.Platform+".") {
				t.Errorf("device %s: %s has the entity id %s", id, key, e.DefaultEntityID)
			}
			if seen[e.UniqueID] || !strings.Contains(e.UniqueID, id) {
				t.Errorf("device %s: %s has the unique id %s", id, key, e.UniqueID)
			}
			seen[e.UniqueID] = true
			if strings.HasSuffix(e.Platform, "sensor") && e.EntityCategory != "" && e.EntityCategory != "diagnostic" {
				t.Errorf("%s is a sensor with the category %s", key, e.EntityCategory)
			}
			if e.DeviceClass == "enum" && (len(e.Options) == 0 || e.UnitOfMeasurement != "" || e.StateClass != "") {
				t.Errorf("%s is an enum with %+v", key, e)
			}
		}
	}
}
