//go:build e2e

package cmd_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/plate-resort/plate-resort/mqtt"
	"github.com/plate-resort/plate-resort/mqtt/asyncapitest"
)

// document is the one that the program prints.
var document = sync.OnceValues(func() (*asyncapitest.Document, error) {
	text, err := exec.Command(plateResort, "asyncapi").Output()
	if err == nil && string(text) != mqtt.AsyncAPI {
		err = errors.New("plate-resort asyncapi prints another document")
	}
	if err != nil {
		return nil, err
	}
	return asyncapitest.Load(string(text), map[string]string{"base": "plate-resort", "prefix": "homeassistant"})
})

// A ledger holds what the messages on a broker add up to.
type ledger struct {
	valid    map[string]int             // inputs that the document has, by the operation's topic level
	validIDs map[string]bool            // the ids in them
	invalid  map[string]string          // inputs with an id that it does not have: the payload by the id
	obeyed   map[string]map[string]bool // ids of the operations that were accepted, by the topic level
}

// observe begins to see every message that passes the broker.
func (b *broker) observe(t *testing.T) {
	t.Helper()
	observer := start(t, "observer", nil, mosquittoSub, "-h", "127.0.0.1", "-p", b.port, "-q", "1",
		"-t", "plate-resort/#", "-t", "homeassistant/#", "-t", subscribedTopic, "-F", "observed %t %x")
	observer.awaitText(t, "observed "+subscribedTopic)
	b.observers = append(b.observers, observer)
}

// validate holds every message that was seen against the AsyncAPI document. What the device publishes must be in
// it, and so must be what the device has obeyed: what is not, must have been rejected.
func (b *broker) validate(t *testing.T) {
	t.Helper()
	d, err := document()
	if err != nil {
		t.Error(err)
		return
	}
	l := ledger{make(map[string]int), make(map[string]bool), make(map[string]string), make(map[string]map[string]bool)}
	for _, observer := range b.observers {
		lines, _ := observer.transcript()
		for _, line := range lines {
			rest, ok := strings.CutPrefix(line, "observed ")
			topic, payload, _ := strings.Cut(rest, " ")
			if !ok || topic == subscribedTopic {
				continue
			}
			text, err := hex.DecodeString(payload)
			if err != nil {
				t.Errorf("mosquitto_sub printed %.100q: %v", line, err)
			}
			l.enter(t, d, topic, text)
		}
	}
	for name, ids := range l.obeyed {
		// Of a stop the document has every payload, and the broker may keep one that is obeyed more than once.
		if len(ids) > l.valid[name] && name != "stop" {
			t.Errorf("%d operations %s were obeyed, and the document has %d of the messages", len(ids), name, l.valid[name])
		}
		for id := range ids {
			if payload, invalid := l.invalid[id]; invalid && !l.validIDs[id] {
				t.Errorf("%s was obeyed, which the document does not have: %.200s", name, payload)
			}
		}
	}
}

// enter validates one message.
func (l *ledger) enter(t *testing.T, d *asyncapitest.Document, topic string, payload []byte) {
	err := d.Validate(topic, payload)
	level, input := strings.CutSuffix(topic, "/set")
	if !input {
		removed := len(payload) == 0 && strings.HasSuffix(topic, "/config")
		if err != nil && !removed {
			t.Errorf("%s has %.1000s: %v", topic, payload, err)
		}
		var op operation
		if strings.HasSuffix(topic, "/operation") && json.Unmarshal(payload, &op) == nil && op.Source == "mqtt" && op.State != "rejected" {
			if l.obeyed[op.Operation] == nil {
				l.obeyed[op.Operation] = make(map[string]bool)
			}
			l.obeyed[op.Operation][op.ID] = true
		}
		return
	}
	levels := strings.Split(level, "/")
	name := levels[len(levels)-1]
	if len(levels) == 4 { // schedules/<name>
		name = "schedule"
	}
	var object struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(payload, &object) // the id, if there is one
	switch {
	case err == nil:
		l.valid[name]++
		l.validIDs[object.ID] = true
	case object.ID != "":
		l.invalid[object.ID] = string(payload)
	}
}
