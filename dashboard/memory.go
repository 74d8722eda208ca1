package dashboard

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/device"
)

const (
	healthSpan = time.Hour
	healthStep = 5 * time.Second
	maxLog     = 200 // lines
	// maxDetail is how many bytes are kept of the lines of a device's log, and of its ended operations.
	maxDetail = 128 << 10
	// maxOperations is how many ended operations are kept, and maxRejected how many of them may have been rejected, of
	// which a broken program can send any number.
	maxOperations = 100
	maxRejected   = 20
	// maxMemory is how many bytes all of this comes to for one device, most of them for a thousand schedules.
	maxMemory = maxSchedules + 4*maxPayload + 2*maxDetail + int(healthSpan/healthStep+1)*overhead + 20*overhead
	// overhead is how many bytes a thing takes that is kept, besides its text.
	overhead = 100
)

// retained are the topics whose latest message is kept, in the order of a snapshot.
var retained = []client.Topic{client.Availability, client.State, client.Health, client.Queue, client.History, client.Schedules}

// A memory is what is kept of one device. It is bounded by maxMemory: what is retained has the bounds of its kind, and
// health, log and ended operations have theirs.
type memory struct {
	size       int                   // bytes, as they were counted last
	latest     map[client.Topic]item // of the retained topics
	heard      bool                  // any of them, since the broker was away
	announced  bool                  // its availability, since then
	health     []point               // oldest first
	log        []json.RawMessage
	operations []ended // newest first
}

func newMemory() *memory { return &memory{latest: make(map[client.Topic]item)} }

// keep keeps a message.
func (d *memory) keep(m client.Message, i item) {
	if slices.Contains(retained, m.Topic) {
		d.latest[m.Topic] = i
		d.heard = true
	}
	switch m.Topic {
	case client.Availability:
		d.announced = true
	case client.Health:
		if !m.Retained { // then it may be of any age
			d.keepHealth(m.Received, i.payload)
		}
	case client.Log:
		d.keepLine(i.payload)
	case client.Operation:
		d.keepOperations(i.payload)
	case client.History:
		if m.Retained { // later ones repeat the events
			d.keepHistory(i.payload)
		}
	}
}

// bytes is how many are kept.
func (d *memory) bytes() int {
	n := len(d.health) * overhead
	for _, i := range d.latest {
		n += len(i.text) + overhead
	}
	for _, line := range d.log {
		n += len(line) + overhead
	}
	for _, e := range d.operations {
		n += e.bytes()
	}
	return n
}

// shrink gives up what only the page of the one device shows, or else all that is retained but its availability. It
// fills again by what the device publishes.
func (d *memory) shrink() {
	if len(d.health)+len(d.log)+len(d.operations) > 0 {
		d.health, d.log, d.operations = nil, nil, nil
		return
	}
	maps.DeleteFunc(d.latest, func(topic client.Topic, _ item) bool { return topic != client.Availability })
}

// keepLine keeps a line of the log.
func (d *memory) keepLine(line json.RawMessage) {
	d.log = append(d.log, line)
	n, first := 0, len(d.log)
	for first > 0 && len(d.log)-first < maxLog {
		if n += len(d.log[first-1]) + overhead; n > maxDetail {
			break
		}
		first--
	}
	d.log = slices.Delete(d.log, 0, first)
}

// A point is the motor's health at one time.
type point struct {
	at                                  int64    // ms since 1970
	temperature, voltage, current, load *float64 // °C, V, mA, %; nil where it is not known
}

// MarshalJSON is the point as the page gets it.
func (p point) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{p.at, p.temperature, p.voltage, p.current, p.load})
}

// keepHealth keeps the last point of every step.
func (d *memory) keepHealth(at time.Time, payload []byte) {
	var h struct{ Temperature, Voltage, Current, Load *float64 }
	if json.Unmarshal(payload, &h) != nil || h.Temperature == nil && h.Voltage == nil {
		return // nothing was read from the motor
	}
	p := point{at.UnixMilli(), h.Temperature, h.Voltage, h.Current, h.Load}
	step := healthStep.Milliseconds()
	if last := len(d.health) - 1; last >= 0 && d.health[last].at/step == p.at/step {
		d.health[last] = p
		return
	}
	d.health = append(d.recentHealth(at), p)
}

// recentHealth is the health of the last hour.
func (d *memory) recentHealth(now time.Time) []point {
	since := now.Add(-healthSpan).UnixMilli()
	old := slices.IndexFunc(d.health, func(p point) bool { return p.at >= since })
	if old < 0 {
		old = len(d.health)
	}
	d.health = slices.Delete(d.health, 0, old)
	return d.health
}

// An ended operation is kept as it was published.
type ended struct {
	id       string
	finished time.Time
	rejected bool
	payload  json.RawMessage
}

// bytes is how many it takes.
func (e ended) bytes() int { return len(e.id) + len(e.payload) + overhead }

// keepOperations keeps those of the operations that have ended. A copy replaces what it is a copy of; the rejection of
// another command with the same id does not.
func (d *memory) keepOperations(payloads ...json.RawMessage) {
	for _, payload := range payloads {
		var op struct {
			ID         string       `json:"id"`
			State      device.State `json:"state"`
			FinishedAt time.Time    `json:"finished_at"`
		}
		if len(payload) > maxEvent || json.Unmarshal(payload, &op) != nil || op.ID == "" || op.State == "" || !op.State.Ended() {
			continue
		}
		e := ended{op.ID, op.FinishedAt, op.State == device.Rejected, payload}
		same := slices.IndexFunc(d.operations, func(o ended) bool { return o.id == e.id })
		switch {
		case same < 0:
			// Most are the newest.
			at := slices.IndexFunc(d.operations, func(o ended) bool { return !o.finished.After(e.finished) })
			if at < 0 {
				at = len(d.operations)
			}
			d.operations = slices.Insert(d.operations, at, e)
		case !e.rejected || d.operations[same].rejected:
			d.operations[same] = e
		}
	}
	d.forget(maxRejected, maxDetail/4, func(e ended) bool { return e.rejected })
	d.forget(maxOperations, maxDetail, func(ended) bool { return true })
}

// forget removes the oldest of these operations, if there are more of them than so many, or they take more bytes.
func (d *memory) forget(most, bytes int, of func(ended) bool) {
	n, size := 0, 0
	d.operations = slices.DeleteFunc(d.operations, func(e ended) bool {
		if !of(e) {
			return false
		}
		n++
		size += e.bytes()
		return n > most || size > bytes
	})
}

// keepHistory adds what the device itself has kept.
func (d *memory) keepHistory(payload []byte) {
	var history []json.RawMessage
	if json.Unmarshal(payload, &history) == nil {
		d.keepOperations(history...)
	}
}

// A detail is what is kept of a device, as the page gets it.
type detail struct {
	Health     []point           `json:"health"`     // of the last hour, oldest first
	Log        []json.RawMessage `json:"log"`        // oldest first
	Operations []json.RawMessage `json:"operations"` // that have ended, newest first
}

// detail returns a copy.
func (d *memory) detail(now time.Time) *detail {
	d.keepHistory(d.latest[client.History].payload) // its events may have been missed
	v := &detail{
		Health:     append([]point{}, d.recentHealth(now)...),
		Log:        append([]json.RawMessage{}, d.log...),
		Operations: make([]json.RawMessage, len(d.operations)),
	}
	for n, e := range d.operations {
		v.Operations[n] = e.payload
	}
	return v
}
