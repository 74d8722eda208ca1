package scheduler

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/payload"
)

// An Overlap says what becomes of a run while the operation of the last one is queued, running or retrying.
type Overlap string

// The overlaps.
const (
	Skip  Overlap = "skip"  // there is none
	Queue Overlap = "queue" // its operation waits for its turn
)

// A Schedule says what is to be done when. Exactly one of Cron, EverySeconds and At is set.
type Schedule struct {
	Cron         string            `json:"cron,omitempty"`          // five fields, or a descriptor such as @daily
	EverySeconds *int              `json:"every_seconds,omitempty"` // from 1; the first run is so long after it was set
	At           *time.Time        `json:"at,omitempty"`            // once
	Timezone     string            `json:"timezone"`                // of cron: a name of the IANA database
	Operation    device.Name       `json:"operation"`
	Parameters   device.Parameters `json:"parameters"`
	Enabled      bool              `json:"enabled"`
	Overlap      Overlap           `json:"overlap"`
}

// Operations lists what a schedule may do. It never resets an emergency stop, nor connects what somebody
// has released.
var Operations = []device.Name{
	device.HotelOperation, device.AngleOperation, device.HomeOperation, device.SpeedOperation,
	device.RefreshOperation, device.RebootOperation, device.StopOperation,
}

// Fields lists the fields of a schedule, as people send it.
var Fields = []string{"cron", "every_seconds", "at", "timezone", "operation", "parameters", "enabled", "overlap"}

var kinds = map[string]payload.Kind{
	"cron":          `a string, as in "0 8 * * 1-5"`,
	"every_seconds": payload.Whole,
	"at":            payload.Instant,
	"timezone":      `a string, as in "America/Toronto"`,
	"operation":     `a string, as in "hotel"`,
	"enabled":       payload.Truth,
	"overlap":       `a string, "skip" or "queue"`,
}

// Decode reads a schedule as people send it, and refuses one that no device would take. Whether the
// carousel has the hotel, its device knows.
func Decode(text []byte) (Schedule, error) {
	fields, err := payload.Object(text)
	if err != nil {
		return Schedule{}, err
	}
	return decode(fields)
}

func decode(fields map[string]json.RawMessage) (Schedule, error) {
	s := Schedule{Timezone: "UTC", Enabled: true, Overlap: Skip}
	if err := payload.Check(fields, "a schedule", Fields); err != nil {
		return s, err
	}
	for _, name := range Fields {
		raw, given := fields[name]
		if !given || name == "parameters" {
			continue
		}
		if err := payload.Field(&s, name, kinds[name], raw); err != nil {
			return s, err
		}
	}
	if err := oneOf(fields, "cron", "every_seconds", "at"); err != nil {
		return s, err
	}
	switch {
	case fields["operation"] == nil:
		return s, payload.Invalid(`the field "operation" is missing; it must be one of %s`, payload.Join(Operations))
	case !slices.Contains(Operations, s.Operation):
		return s, payload.Invalid("operation is %q; it must be one of %s", payload.Shorten(string(s.Operation)), payload.Join(Operations))
	case s.Overlap != Skip && s.Overlap != Queue:
		return s, payload.Invalid("overlap is %q; it must be skip or queue", payload.Shorten(string(s.Overlap)))
	}
	if s.At != nil {
		*s.At = s.At.UTC()
	}
	times, err := newTimes(s, time.Time{})
	switch {
	case err != nil:
		return s, err
	case times.cron != nil && times.cron.next(time.Now()).IsZero():
		return s, payload.Invalid("cron is %q, which is never: no such day comes in the next years", payload.Shorten(s.Cron))
	}
	if err := s.decodeParameters(fields["parameters"]); err != nil {
		return s, err
	}
	if _, err := json.Marshal(s); err != nil {
		return s, payload.Invalid("it cannot be kept: %w", err)
	}
	return s, nil
}

// oneOf refuses none of the fields and more than one.
func oneOf(fields map[string]json.RawMessage, names ...string) error {
	given := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return fields[name] == nil })
	if len(given) == 1 {
		return nil
	}
	but := payload.Join(given)
	if len(given) == 0 {
		but = "none"
	}
	return payload.Invalid("give exactly one of %s; there is %s", payload.Join(names), but)
}

// decodeParameters reads the parameters of the operation. It takes no expires_at: each run is for now.
func (s *Schedule) decodeParameters(raw json.RawMessage) error {
	if raw == nil {
		raw = json.RawMessage("{}")
	}
	if raw[0] != '{' {
		return payload.Invalid(`parameters must be an object, as in {"hotel": "A"}, not %s`, payload.Quote(raw))
	}
	fields, err := payload.Object(raw)
	if err == nil {
		known := slices.Concat(s.Operation.Fields(), s.Operation.Options())
		known = slices.DeleteFunc(known, func(name string) bool { return name == "expires_at" })
		err = payload.Parameters(&s.Parameters, fields, s.Operation, known)
	}
	if err != nil {
		return payload.Invalid("parameters: %w", err)
	}
	return nil
}

// Runs returns the first n times when the schedule is due, or fewer when there are no more, if it is set at
// that time.
func (s Schedule) Runs(set time.Time, n int) (runs []time.Time) {
	t, err := newTimes(s, set)
	if err != nil {
		return nil
	}
	for due := t.next(set); !due.IsZero() && len(runs) < n; due = t.next(due) {
		runs = append(runs, due)
	}
	return runs
}

// content is the schedule as it is sent, without what goes without saying in it left out: schedules that say
// the same have the same.
func (s Schedule) content() json.RawMessage {
	content, _ := json.Marshal(s) // decode has tried
	return content
}

// same reports whether both say the same.
func (s Schedule) same(other Schedule) bool { return bytes.Equal(s.content(), other.content()) }
