package cmd

import (
	"fmt"
	"strings"
	"testing"

	"github.com/plate-resort/plate-resort/client"
)

const turning = `{"status": "busy", "message": "Moving to hotel B", "activity": "running", "angle": %d, "target_angle": 109,
	"operation": {"id": "x", "operation": "hotel", "parameters": {"hotel": "B"}, "state": "running"}}`

// The last line is there while a carousel turns, as far as is known.
func TestFollow(t *testing.T) {
	const progress = "lab  running  57.00° → 109.00°  hotel B"
	f := newFollower(&screen{})
	for _, test := range []struct {
		topic   client.Topic
		payload string
		line    string // with which it begins; "" is none
		last    string // the last line after it
	}{
		{client.Broker, `{"connected": true, "broker": "tcp://here"}`, "connected to the broker tcp://here", ""},
		{client.State, fmt.Sprintf(turning, 56), "busy, Moving to hotel B", ""}, // retained, and of a device that may be away
		{client.Availability, "online", "online", ""},
		{client.State, fmt.Sprintf(turning, 57), "", progress},
		{client.Health, `{}`, "", progress},
		{client.Availability, "online", "", progress},
		{client.Availability, "offline", "offline", ""},
		{client.State, fmt.Sprintf(turning, 57), "", ""},
		{client.Availability, "online", "online", ""},
		{client.State, fmt.Sprintf(turning, 57), "", progress},
		{client.Broker, `{"connected": false, "error": "gone"}`, "no connection to the broker, trying again until there is: gone", ""},
		{client.Broker, `{"connected": true, "broker": "tcp://here"}`, "connected to the broker", ""},
		{client.State, fmt.Sprintf(turning, 57), "", progress},
		{client.State, `{"status": "ready", "message": "Ready at 12.00°", "angle": 12}`, "ready, Ready at 12.00°", ""},
		{client.State, `{"status": "ready", "message": "Ready at 13.00°", "angle": 13}`, "", ""}, // somebody's hand
		{client.State, `{"status": "ready", "message": "Ready at hotel A", "angle": 19, "hotel": "A"}`, "ready, Ready at hotel A", ""},
		{client.State, `{"activity": "running"}`, ", ", ""},
		{client.State, `{`, "", ""},
		{client.Operation, `[]`, "", ""},
		{client.Log, `{"level": "INFO", "msg": "operation ended"}`, "", ""},
		{client.Log, `{"level": "WARN", "msg": "hot", "time": "now", "id": "a b", "n": 1, "part": "motor"}`, `log: WARN hot id="a b" n=1 part=motor`, ""},
		{client.Log, `{"level": "WARN", "msg": "\u001b[2J"}`, "log: WARN \ufffd[2J", ""},
		{client.Operation, `{"operation": "home", "state": "running", "source": "schedule:night"}`, "home: running (schedule night)", ""},
	} {
		line := f.describe(client.Message{Device: "lab", Topic: test.topic, Payload: []byte(test.payload)})
		if (line == "") != (test.line == "") || !strings.HasPrefix(line, test.line) {
			t.Errorf("%s %s has the line %q, want %q", test.topic, test.payload, line, test.line)
		}
		if last := f.progress(); last != test.last {
			t.Errorf("after %s %s the last line is %q, want %q", test.topic, test.payload, last, test.last)
		}
	}
}
