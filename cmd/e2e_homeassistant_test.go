//go:build e2e

package cmd_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Whoever knows nothing but the discovery message can use the device.
func TestHomeAssistant(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	const topic = "homeassistant/device/plate_resort/lab/config"
	config := func() *watch { return d.broker.watch(t, topic) }
	var found struct {
		Components map[string]struct {
			CommandTopic string   `json:"command_topic"`
			PayloadPress string   `json:"payload_press"`
			Options      []string `json:"options"`
			Max          float64  `json:"max"`
		} `json:"components"`
	}
	config().until(t, "config", "a device with its servo", func(m message) bool {
		return json.Unmarshal([]byte(m.payload), &found) == nil && strings.Contains(m.payload, "XC330-T288")
	})
	press := func(id, payload string) {
		c := found.Components[id]
		if c.PayloadPress != "" {
			payload = c.PayloadPress
		}
		d.broker.publish(t, c.CommandTopic, payload)
		if op := d.watch.event(t); op.State != "completed" {
			t.Errorf("%s %s was answered with %s: %s", id, payload, op.State, op.Error.Message)
		}
	}
	for _, hotel := range found.Components["hotel"].Options {
		press("hotel", hotel)
	}
	for _, id := range []string{"home", "refresh", "reboot", "cancel_all", "stop", "reset"} {
		press(id, "PRESS")
	}
	for _, id := range []string{"angle", "speed"} {
		press(id, fmt.Sprint(found.Components[id].Max))
	}
	press("connection", "OFF")
	press("connection", "ON")

	d.shutDown(t)
	d.settings = append(d.settings, "PLATE_RESORT_MQTT_DISCOVERY_PREFIX=")
	w := config()
	w.until(t, "config", "the device", func(m message) bool { return m.retained })
	d.run(t)
	w.until(t, "config", "its removal", func(m message) bool { return m.payload == "" })
}
