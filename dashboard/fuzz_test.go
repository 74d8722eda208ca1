package dashboard

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/mqtt"
)

// FuzzMessages publishes whatever comes on a topic of a device, or of what has no valid id: what the browsers get is
// an event on its lines, with JSON, and holds the payload if that is one of its topic.
func FuzzMessages(f *testing.F) {
	topics := append(slices.Sorted(maps.Keys(kinds)), client.Availability, "nonsense")
	f.Fuzz(func(t *testing.T, device string, topicIndex uint8, payload []byte, retained bool) {
		topic := topics[int(topicIndex)%len(topics)]
		switch {
		case topic == client.Broker: // the client's own, of no device
			device = ""
		case len(device)%4 != 3: // most often
			device = "lab"
		}
		m := client.Message{Device: device, Topic: topic, Payload: payload, Retained: retained, Received: time.Now()}
		h := newHub("", quiet)
		h.take(m)
		b, pieces := h.join(time.Now())
		if topic != client.Availability {
			h.take(m)
		}
		h.pass(time.Now())
		snapshot, batch := bytes.Join(pieces, nil), <-b.batches
		for _, text := range [][]byte{snapshot, batch} {
			_, data, _ := bytes.Cut(text, []byte("data: "))
			data, rest, ended := bytes.Cut(data, []byte("\n"))
			if !ended || string(rest) != "\n" || bytes.ContainsRune(data, '\r') || !json.Valid(data) {
				t.Errorf("the event is %q", text)
			}
		}
		var compact bytes.Buffer
		if topic != client.Availability && (topic == client.Broker || mqtt.DeviceIDPattern.MatchString(device)) && json.Compact(&compact, payload) == nil {
			kind, isPublished := kinds[topic]
			isPublished = isPublished && compact.Bytes()[0] == kind.begin && len(payload) <= kind.most
			if passed := bytes.Contains(batch, slices.Concat([]byte(`"payload":`), compact.Bytes(), []byte("}"))); passed != isPublished {
				t.Errorf("%s %q is passed on: %v; the event is %q", topic, payload, passed, batch)
			}
		}
		if d := h.detail(device, time.Now()); d != nil {
			if _, err := json.Marshal(d); err != nil {
				t.Error(err)
			}
		}
	})
}
