package dashboard

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/device"
)

const (
	healthSpan = time.Hour
	healthStep = 5 * time.Second
	maxLog     = 200 // lines
	// maxOperations is how many ended operations are kept, and maxRejected how many of them may have been rejected, of
	// which a broken program can send any number.
	maxOperations = 100
	maxRejected   = 20
)

// retained are the topics whose latest message is kept, in the order of a snapshot.
var retained = []client.Topic{client.Availability, client.State, client.Health, client.Queue, client.History, client.Schedules}

// A memory is what is kept of one device.
type memory struct {
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
		if len(d.log) == maxLog {
			d.log = slices.Delete(d.log, 0, 1)
		}
		d.log = append(d.log, json.RawMessage(i.payload))
	case client.Operation:
		d.keepOperations(i.payload)
	case client.History:
		if m.Retained { // later ones repeat the events
			d.keepHistory(i.payload)
		}
	}
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

// keepOperations keeps those of the operations that have ended. A copy replaces what it is a copy of; the rejection of
// another command with the same id does not.
func (d *memory) keepOperations(payloads ...json.RawMessage) {
	for _, payload := range payloads {
		var op struct {
			ID         string       `json:"id"`
			State      device.State `json:"state"`
			FinishedAt time.Time    `json:"finished_at"`
		}
		if json.Unmarshal(payload, &op) != nil || op.ID == "" || op.State == "" || !op.State.Ended() {
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
	d.forget(maxRejected, func(e ended) bool { return e.rejected })
	d.forget(maxOperations, func(ended) bool { return true })
}

// forget removes the oldest of these operations, if there are more of them than so many.
func (d *memory) forget(most int, of func(ended) bool) {
	n := 0
	d.operations = slices.DeleteFunc(d.operations, func(e ended) bool {
		if of(e) {
			n++
		}
		return of(e) && n > most
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
