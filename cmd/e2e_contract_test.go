//go:build e2e

package cmd_test

import (
	"slices"
	"strings"
	"testing"
)

// Every input of the contract, once right and once wrong. The rows build on each other.
func TestEveryInput(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.rewatch(t, "health", "queue", "history", "log")
	for _, row := range []struct {
		name, payload, id string // an id of "" is one that the device makes
		end, code         string
		message           string // a part of it
	}{
		{"hotel", "B", "", "completed", "", ""},
		{"hotel", `{"hotel": "C", "precise": true, "tolerance": 1, "id": "h"}`, "h", "completed", "", ""},
		{"hotel", "Z", "", "rejected", "invalid_payload", `hotel "Z" is not one of A, B, C, D`},
		{"hotel", `{"hotel": "C", "tolerance": 90, "id": "h2"}`, "h2", "rejected", "invalid_payload", "tolerance is 90; it must be from 0.1 to 5 degrees"},
		{"hotel", `{"hotel": "C", "overrides": {"pulses": 3}, "id": "h3"}`, "h3", "rejected", "invalid_payload", `unknown override "pulses"`},
		{"angle", "90", "", "completed", "", ""},
		{"angle", `{"angle": 45, "timeout_seconds": 30, "retries": 1, "retry_delay_seconds": 1, "id": "a"}`, "a", "completed", "", ""},
		{"angle", `{"angle": 45, "expires_at": "2001-01-01T00:00:00Z", "id": "a2"}`, "a2", "expired", "expired", "expires_at"},
		{"angle", `{"angle": 90, "timeout_seconds": 0, "id": "a3"}`, "a3", "rejected", "invalid_payload", "timeout_seconds is 0; it must be from 0.1"},
		{"angle", "360", "", "rejected", "invalid_payload", "less than 360"},
		{"home", "PRESS", "", "completed", "", ""},
		{"home", "HOME", "", "rejected", "invalid_payload", "send PRESS"},
		{"speed", "120", "", "completed", "", ""},
		{"speed", "0", "", "rejected", "invalid_payload", "speed is 0; it must be from 1"},
		{"speed", "9999", "", "rejected", "invalid_payload", "speed is 9999; it must be from 1 to 320"},
		{"refresh", "PRESS", "", "completed", "", ""},
		{"refresh", `{"now": true}`, "", "rejected", "invalid_payload", `unknown field "now"`},
		{"cancel", "all", "", "completed", "", ""},
		{"cancel", "nobody", "", "rejected", "invalid_payload", `no operation with the id "nobody"`},
		{"reboot", `{"wait_seconds": 1, "id": "b"}`, "b", "completed", "", ""},
		{"reboot", `{"wait_seconds": "long"}`, "", "rejected", "invalid_payload", "wait_seconds must be a number"},
		{"connection", "OFF", "", "completed", "", ""},
		{"connection", "MAYBE", "", "rejected", "invalid_payload", `state is "MAYBE"; it must be ON or OFF`},
		{"hotel", "A", "", "rejected", "motor_disconnected", "connect it first"},
		{"connection", `{"state": "ON", "port": "/dev/nowhere", "timeout_seconds": 0.5, "id": "c"}`, "c", "failed", "motor_disconnected", "/dev/nowhere"},
		{"connection", `{"state": "ON", "port": "` + d.terminal + `", "id": "c2"}`, "c2", "completed", "", ""},
		{"stop", `{"id": "s"}`, "s", "completed", "", ""},
		{"hotel", "A", "", "rejected", "emergency_stopped", "reset it when it is safe"},
		{"reset", "RESET", "", "rejected", "invalid_payload", "send PRESS"},
		{"reset", "PRESS", "", "completed", "", ""},
		{"hotel", "A", "", "completed", "", ""},
	} {
		d.send(t, row.name, row.payload)
		op := d.watch.event(t)
		if op.Operation != row.name || op.State != row.end || op.Error.Code != row.code || !strings.Contains(op.Error.Message, row.message) ||
			op.ID == "" || row.id != "" && op.ID != row.id {
			t.Errorf("%s %s was answered with %+v, want %s %s %q", row.name, row.payload, op, row.end, row.code, row.message)
		}
	}
	s := d.watch.state(t, "hotel A", func(s state) bool { return s.Status == "ready" && s.Hotel == "A" })
	want := []string{"hotel", "angle", "home", "speed", "stop", "reset", "connection", "reboot", "refresh", "cancel"}
	if !slices.Equal(s.AllowedActions, want) {
		t.Errorf("allowed_actions are %v, want %v", s.AllowedActions, want)
	}
}

// What is published besides states and operations.
func TestHealthQueueHistoryAndLog(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	d.rewatch(t, "health", "queue", "history", "log")
	type health struct {
		Status      string   `json:"status"`
		Temperature *int     `json:"temperature"`
		Voltage     *float64 `json:"voltage"`
		Current     *float64 `json:"current"`
		Load        *float64 `json:"load"`
		Model       string   `json:"model"`
		Firmware    int      `json:"firmware"`
	}
	d.watch.until(t, "health", "the servo's health", func(m message) bool {
		h := decode[health](t, m)
		return m.retained && h.Status == "ok" && h.Model == "XC330-T288" && h.Firmware == 52 &&
			h.Temperature != nil && *h.Voltage == 12 && h.Current != nil && h.Load == nil
	})
	ids := func(m message) (ids []string) {
		for _, op := range decode[[]operation](t, m) {
			ids = append(ids, op.ID)
		}
		return ids
	}
	for _, id := range []string{"1", "2", "3"} {
		d.send(t, "hotel", `{"hotel": "C", "id": "`+id+`"}`)
	}
	d.watch.until(t, "queue", "two that wait", func(m message) bool { return slices.Equal(ids(m), []string{"2", "3"}) })
	d.send(t, "cancel", "2")
	d.watch.operation(t, "2", "cancelled")
	d.watch.until(t, "queue", "one that waits", func(m message) bool { return slices.Equal(ids(m), []string{"3"}) })
	d.watch.until(t, "history", "the one that was cancelled", func(m message) bool { return slices.Contains(ids(m), "2") })
	d.send(t, "cancel", "all")
	d.watch.until(t, "queue", "nothing that waits", func(m message) bool { return m.payload == "[]" })
	d.watch.operation(t, "1", "cancelled")
	d.watch.state(t, "torque after a cancelled move", func(s state) bool { return s.Status == "ready" && s.Torque })
	d.watch.until(t, "log", "a line of the log", func(m message) bool { return strings.Contains(m.payload, `"msg":"operation ended"`) })

	// A broker that has forgotten everything gets everything again.
	d.broker.process.kill(t)
	d.broker.start(t)
	d.rewatch(t, "health", "queue", "history", "log")
	d.watch.availability(t, "online")
	for _, leaf := range []string{"state", "health", "queue", "history"} {
		d.watch.until(t, leaf, "a message", func(message) bool { return true })
	}
	d.rewatch(t, "health", "queue", "history", "log")
	for _, leaf := range []string{"availability", "state", "health", "queue", "history"} {
		d.watch.until(t, leaf, "a retained message", func(m message) bool { return m.retained })
	}
}

// With run, the broker keeps commands while the device is away.
func TestSentWhileAwayToBeRun(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk, "PLATE_RESORT_MQTT_OFFLINE_COMMANDS=run", "PLATE_RESORT_RETRIES=0")
	d.shutDown(t)
	d.send(t, "speed", `{"speed": 77, "id": "kept"}`, "-q", "2")
	d.send(t, "refresh", `{"id": "never kept"}`, "-q", "0")
	d.run(t)
	d.watch.availability(t, "online")
	d.watch.until(t, "operation", "answer to what was kept", func(m message) bool {
		op := decode[operation](t, m)
		if op.ID == "never kept" {
			t.Error("a message with QoS 0 was kept")
		}
		return op.ID == "kept" && op.State == "completed"
	})
}

// The availability is put right when somebody else has changed it, as the will of a dead connection can.
func TestAvailabilityIsPutRight(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.broker.publish(t, d.topic("availability"), "offline", "-r")
	d.watch.availability(t, "offline")
	d.watch.availability(t, "online")
}
