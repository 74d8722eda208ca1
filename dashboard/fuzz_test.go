package dashboard

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/client"
)

// Whatever somebody publishes, what the browsers get is an event on its lines, with JSON.
func FuzzMessages(f *testing.F) {
	f.Add("lab", "state", []byte("{\"a\":\n1}"))
	f.Add("lab", "availability", []byte("online"))
	f.Add("lab", "availability", []byte(""))
	f.Add("lab", "history", []byte(`[{"id":"1","state":"completed","finished_at":"2026-11-23T08:00:00Z"}]`))
	f.Add("lab", "operation", []byte(`{"id":"1","state":"failed","finished_at":null}`))
	f.Add("lab", "health", []byte(`{"temperature":31,"voltage":12,"current":1e999}`))
	f.Add("a\"b", "log", []byte("{}\r\ndata: x\u2028"))
	f.Fuzz(func(t *testing.T, device, topic string, payload []byte) {
		h := newHub("", quiet)
		h.take(client.Message{Device: device, Topic: client.Topic(topic), Payload: payload, Retained: len(payload)%2 == 0, Received: time.Now()})
		b, pieces := h.join(time.Now())
		if topic != string(client.Availability) {
			h.take(client.Message{Device: device, Topic: client.Topic(topic), Payload: payload, Received: time.Now()})
		}
		h.pass(time.Now())
		for _, text := range [][]byte{bytes.Join(pieces, nil), <-b.batches} {
			_, data, _ := bytes.Cut(text, []byte("data: "))
			data, rest, ended := bytes.Cut(data, []byte("\n"))
			if !ended || string(rest) != "\n" || bytes.ContainsRune(data, '\r') || !json.Valid(data) {
				t.Errorf("the event is %q", text)
			}
		}
		if d := h.detail(device, time.Now()); d != nil {
			if _, err := json.Marshal(d); err != nil {
				t.Error(err)
			}
		}
	})
}
