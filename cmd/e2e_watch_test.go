//go:build e2e

package cmd_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// A watch is a mosquitto_sub and what it has received.
type watch struct {
	process *process
	next    map[string]int // line after the last one that until returned, by topic
}

// A message is one that mosquitto_sub has received.
type message struct {
	retained bool // it was with the broker before the watch
	topic    string
	payload  string
}

// An operation is an event on the topic operation, as the contract has it.
type operation struct {
	ID         string `json:"id"`
	Operation  string `json:"operation"`
	Parameters struct {
		Hotel *string  `json:"hotel"`
		Angle *float64 `json:"angle"`
	} `json:"parameters"`
	Source  string `json:"source"`
	State   string `json:"state"`
	Attempt int    `json:"attempt"`
	Durable *bool  `json:"durable"`
	Queued  string `json:"queued_at"`
	Started string `json:"started_at"`
	Result  *struct {
		Hotel     string  `json:"hotel"`
		Angle     float64 `json:"angle"`
		Deviation float64 `json:"deviation"`
	} `json:"result"`
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// A state is the payload of the topic state.
type state struct {
	Status          string     `json:"status"`
	Message         string     `json:"message"`
	Activity        string     `json:"activity"`
	Hotel           string     `json:"hotel"`
	Angle           *float64   `json:"angle"`
	TargetAngle     *float64   `json:"target_angle"`
	Torque          bool       `json:"torque"`
	EmergencyStop   bool       `json:"emergency_stop"`
	Connection      string     `json:"connection"`
	Operation       *operation `json:"operation"`
	QueueLength     int        `json:"queue_length"`
	AllowedActions  []string   `json:"allowed_actions"`
	OperationsTotal int        `json:"operations_total"`
}

// watch subscribes to the topics and returns when the broker has them.
func (b *broker) watch(t *testing.T, topics ...string) *watch {
	t.Helper()
	args := []string{"-h", "127.0.0.1", "-p", b.port, "-q", "1", "-F", "message %r %t %p"}
	for _, topic := range append(topics, subscribedTopic) {
		args = append(args, "-t", topic)
	}
	w := &watch{start(t, "mosquitto_sub", nil, mosquittoSub, args...), make(map[string]int)}
	w.process.awaitText(t, "message 1 "+subscribedTopic)
	return w
}

// subscribedTopic has a retained message, which a watch subscribes to after everything else and gets
// when the broker has its subscriptions.
const subscribedTopic = "e2e/subscribed"

// until waits for a message on a topic that ends in /leaf and matches. It looks at those that came
// after the last one that it has returned for that leaf.
func (w *watch) until(t *testing.T, leaf, what string, match func(message) bool) message {
	t.Helper()
	var found message
	i := w.process.await(t, what+" on "+leaf, w.next[leaf], func(line string) bool {
		m, ok := parseMessage(line)
		found = m
		return ok && strings.HasSuffix(m.topic, "/"+leaf) && match(m)
	})
	w.next[leaf] = i + 1
	return found
}

// state waits for a state that matches, after the last one that it has returned.
func (w *watch) state(t *testing.T, what string, match func(state) bool) state {
	t.Helper()
	var s state
	w.until(t, "state", what, func(m message) bool {
		s = decode[state](t, m)
		return match(s)
	})
	return s
}

// status waits for a state with that status.
func (w *watch) status(t *testing.T, status string) state {
	t.Helper()
	return w.state(t, "status "+status, func(s state) bool { return s.Status == status })
}

// availability waits for online or offline. What state returns after an offline is of the program that
// is started next.
func (w *watch) availability(t *testing.T, payload string) message {
	t.Helper()
	m := w.until(t, "availability", payload, func(m message) bool { return m.payload == payload })
	if payload == "offline" {
		w.next["state"] = w.next["availability"]
	}
	return m
}

// event waits for the next event that is the last one of its operation.
func (w *watch) event(t *testing.T) operation {
	t.Helper()
	var op operation
	w.until(t, "operation", "end of an operation", func(m message) bool {
		op = decode[operation](t, m)
		return op.State != "queued" && op.State != "running"
	})
	return op
}

// operation waits for the operation of that id to be in the state. It looks at everything that the
// watch has received.
func (w *watch) operation(t *testing.T, id, inState string) operation {
	t.Helper()
	var op operation
	w.process.await(t, "operation "+id+" that is "+inState, 0, func(line string) bool {
		m, ok := parseMessage(line)
		if !ok || !strings.HasSuffix(m.topic, "/operation") {
			return false
		}
		op = decode[operation](t, m)
		return op.ID == id && op.State == inState
	})
	return op
}

// events returns the events so far that match.
func (w *watch) events(t *testing.T, match func(operation) bool) (events []operation) {
	t.Helper()
	lines, _ := w.process.transcript()
	for _, line := range lines {
		if m, ok := parseMessage(line); ok && strings.HasSuffix(m.topic, "/operation") {
			if op := decode[operation](t, m); match(op) {
				events = append(events, op)
			}
		}
	}
	return events
}

// states returns the states that the operation of that id has been in so far.
func (w *watch) states(t *testing.T, id string) (states []string) {
	t.Helper()
	for _, op := range w.events(t, func(op operation) bool { return op.ID == id }) {
		states = append(states, op.State)
	}
	return states
}

// expectStates fails the test unless the operation has been in these states, each once.
func (w *watch) expectStates(t *testing.T, id string, want ...string) {
	t.Helper()
	if got := w.states(t, id); !slices.Equal(got, want) {
		t.Errorf("operation %s was %v, want %v", id, got, want)
	}
}

// parseMessage reads a line in the format that watch asks for.
func parseMessage(line string) (message, bool) {
	line, ok := strings.CutPrefix(line, "message ")
	if !ok {
		return message{}, false
	}
	fields := strings.SplitN(line, " ", 3)
	return message{fields[0] == "1", fields[1], fields[2]}, true
}

func decode[T any](t *testing.T, m message) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(m.payload), &v); err != nil {
		t.Fatalf("%s has %q: %v", m.topic, m.payload, err)
	}
	return v
}
