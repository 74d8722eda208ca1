package mqtt_test

import (
	"strings"
	"testing"
)

const configTopic = "homeassistant/device/plate_resort/lab/config"

// knowsServo tells whether a discovery message is of a device whose servo is known.
func knowsServo(payload []byte) bool {
	return strings.Contains(string(payload), "XC330-T288, firmware 52") && strings.Contains(string(payload), `"max":320`)
}

func TestDiscoveryIsRetainedAndKnowsTheServo(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	w := watch(t, b.Addr())
	newDiscoveredResort(t, b.Addr().String(), "homeassistant")
	w.until(configTopic, knowsServo)
	if m := watch(t, b.Addr()).until(configTopic, knowsServo); !m.Retained() {
		t.Error("the message is not retained")
	}
}

// Whoever has lost everything gets everything again.
func TestHomeAssistantsBirthBringsEverythingAgain(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	w := watch(t, b.Addr())
	newDiscoveredResort(t, b.Addr().String(), "homeassistant")
	w.until(configTopic, knowsServo)
	for range 3 {
		w.publish("homeassistant/status", "offline")
		w.publish("homeassistant/status", "online")
	}
	w.untilIs("homeassistant/status", "online")
	missing := map[string]bool{configTopic: true}
	for _, leaf := range []string{"availability", "state", "health", "queue", "history"} {
		missing["plate-resort/lab/"+leaf] = true
	}
	for len(missing) > 0 {
		m := w.next()
		if m.Topic() == configTopic && !missing[configTopic] {
			t.Error("several births bring several messages")
		}
		delete(missing, m.Topic())
	}
}

func TestEmptyPrefixTakesTheDeviceOutOfHomeAssistant(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	w := watch(t, b.Addr())
	r := newDiscoveredResort(t, b.Addr().String(), "homeassistant")
	w.until(configTopic, knowsServo)
	r.stopDevice()
	r.stopLink()
	foreign := strings.Replace(configTopic, "homeassistant", "elsewhere", 1)
	w.await(w.client.Publish(foreign, 1, true, `{"availability": [{"topic": "other/lab/availability"}]}`))
	newResort(t, b.Addr().String())
	w.untilIs(configTopic, "")
	retained := watch(t, b.Addr())
	retained.publish("end", "")
	others := false
	for m := retained.next(); m.Topic() != "end"; m = retained.next() {
		if m.Topic() == configTopic {
			t.Errorf("the broker still has %s", m.Payload())
		}
		others = others || m.Topic() == foreign
	}
	if !others {
		t.Error("the message of another device has been removed")
	}
}

func TestAnotherPrefixTakesTheDeviceAlong(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	w := watch(t, b.Addr())
	r := newDiscoveredResort(t, b.Addr().String(), "homeassistant")
	w.until(configTopic, knowsServo)
	r.stopDevice()
	r.stopLink()
	newDiscoveredResort(t, b.Addr().String(), "home/assistant")
	w.untilIs(configTopic, "")
	w.until("home/assistant/device/plate_resort/lab/config", knowsServo)
}
