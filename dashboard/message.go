package dashboard

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/mqtt"
)

// The largest payloads that are passed on, in bytes.
const (
	maxPayload   = 64 << 10 // a queue or a history has 20 operations, none of which has 3 KiB
	maxSchedules = 1 << 20  // there may be a thousand, of some 500 bytes
	maxEvent     = 16 << 10 // of an operation, or a line of a log: a device takes no larger command
)

// kinds are the payloads of the topics, as the contract has them: objects and arrays. An availability is bare text.
var kinds = map[client.Topic]struct {
	begin byte
	most  int // bytes
}{
	client.Broker: {'{', maxPayload}, client.State: {'{', maxPayload}, client.Health: {'{', maxPayload},
	client.Queue: {'[', maxPayload}, client.History: {'[', maxPayload}, client.Schedules: {'{', maxSchedules},
	client.Operation: {'{', maxEvent}, client.Log: {'{', maxEvent},
}

// tooLarge reports whether a device of ours would never publish so much.
func tooLarge(m client.Message) bool {
	kind, known := kinds[m.Topic]
	return known && len(m.Payload) > kind.most
}

// An item is a message as browsers get it. It is never changed after it was made.
type item struct {
	text    []byte // all of it, in JSON on one line
	payload []byte // the part of text that is the payload
}

var (
	online  = []byte(`"` + mqtt.Online + `"`)
	offline = []byte(`"` + mqtt.Offline + `"`)
	gone    = []byte("null")
)

// encode makes an item of a message; ok is false of a payload that no device publishes.
func encode(m client.Message) (i item, ok bool) {
	payload := bytes.TrimSpace(m.Payload)
	if m.Topic == client.Availability {
		return newItem(m.Device, m.Topic, m.Received, availability(payload))
	}
	if len(payload) == 0 || payload[0] != kinds[m.Topic].begin {
		return item{}, false
	}
	return newItem(m.Device, m.Topic, m.Received, payload)
}

// availability makes JSON of the bare text.
func availability(payload []byte) []byte {
	switch string(payload) {
	case "":
		return gone
	case mqtt.Online:
		return online
	default:
		return offline
	}
}

// newItem needs no quoting: the device's id matches [mqtt.DeviceIDPattern]. It takes line breaks out of the payload, which would end
// the event; ok is false of what is not JSON.
func newItem(device string, topic client.Topic, at time.Time, payload []byte) (i item, ok bool) {
	const frame = len(`{"device":"","topic":"availability","at":0000000000000,"payload":}`)
	text := bytes.NewBuffer(make([]byte, 0, frame+len(device)+len(payload)))
	text.WriteString(`{"device":"`)
	text.WriteString(device)
	text.WriteString(`","topic":"`)
	text.WriteString(string(topic))
	text.WriteString(`","at":`)
	text.Write(strconv.AppendInt(text.AvailableBuffer(), at.UnixMilli(), 10))
	text.WriteString(`,"payload":`)
	begin := text.Len()
	if json.Compact(text, payload) != nil {
		return item{}, false
	}
	end := text.Len()
	text.WriteByte('}')
	all := text.Bytes()
	if len(all) < cap(all)/2 { // what is kept must not take the room of the white space that was in it
		all = bytes.Clone(all)
	}
	return item{all, all[begin:end:end]}, true
}

// maxBatch is the size, in bytes, from which on a batch does not wait for more.
const maxBatch = 256 << 10

// A batch is what goes to all browsers as one event.
type batch struct {
	items [][]byte
	size  int // bytes
}

func (b *batch) add(i item) {
	b.items = append(b.items, i.text)
	b.size += len(i.text)
}

// event returns the event, and empties the batch.
func (b *batch) event(now time.Time) []byte {
	text := make([]byte, 0, b.size+len(b.items)+100)
	text = append(text, "event: messages\ndata: {\"now\":"...)
	text = strconv.AppendInt(text, now.UnixMilli(), 10)
	text = append(text, `,"messages":[`...)
	for n, i := range b.items {
		if n > 0 {
			text = append(text, ',')
		}
		text = append(text, i...)
	}
	text = append(text, "]}\n\n"...)
	b.clear()
	return text
}

func (b *batch) clear() { *b = batch{items: slices.Delete(b.items, 0, len(b.items))} }

// reconnect is how long a browser waits before it comes again, in ms.
const reconnect = 1000

// snapshot is the event with all of these items, in pieces: there may be many, and they are shared.
func snapshot(now time.Time, version []byte, items []item) [][]byte {
	head := []byte("retry: ")
	head = strconv.AppendInt(head, reconnect, 10)
	head = append(head, "\nevent: snapshot\ndata: {\"now\":"...)
	head = strconv.AppendInt(head, now.UnixMilli(), 10)
	head = append(head, `,"version":`...)
	head = append(head, version...)
	head = append(head, `,"messages":[`...)
	pieces := make([][]byte, 0, 2*len(items)+2)
	pieces = append(pieces, head)
	for n, i := range items {
		if n > 0 {
			pieces = append(pieces, comma)
		}
		pieces = append(pieces, i.text)
	}
	return append(pieces, end)
}

var comma, end = []byte(","), []byte("]}\n\n")
