package scheduler

import (
	"encoding/json"
	"log/slog"
	"time"

	"github.com/plate-resort/plate-resort/device"
)

// A Status is a schedule with what has become of it, as it is published.
type Status struct {
	Schedule
	NextRun *time.Time `json:"next_run"` // nil when there is none to come
	LastRun *time.Time `json:"last_run"`
	// MissedRuns were due while the process was away, or were skipped by the clock. SkippedRuns were due
	// while the operation of the run before had not ended.
	MissedRuns  int `json:"missed_runs"`
	SkippedRuns int `json:"skipped_runs"`
	// Over is that the time of an at has come. It is published as not enabled, and kept as it was set.
	Over          bool       `json:"over"`
	LastOperation *Operation `json:"last_operation"` // that of the last run
}

// An Operation is that of a run.
type Operation struct {
	ID    string        `json:"id"`
	State device.State  `json:"state"`
	Error *device.Error `json:"error"`
}

// ended reports whether nothing more will come of it.
func (o *Operation) ended() bool {
	return o == nil || o.State != device.Queued && o.State != device.Running && o.State != device.Retrying
}

// A record is what is kept of a schedule.
type record struct {
	Status           // NextRun is not kept
	Since  time.Time `json:"since"` // every_seconds counts from it
	// Through is until when everything that was due has been dealt with.
	Through time.Time `json:"through"`
}

// An entry is a schedule at work.
type entry struct {
	record
	name  string
	times times
	due   time.Time // the next run, or zero
	began bool      // this process has made a run
}

// loadEntry continues with what was kept.
func loadEntry(name string, content json.RawMessage) (*entry, error) {
	e := &entry{name: name}
	if err := json.Unmarshal(content, &e.record); err != nil {
		return nil, err
	}
	var err error
	if e.times, err = newTimes(e.Schedule, e.Since); err != nil {
		return nil, err
	}
	if !e.LastOperation.ended() { // the device says so if it goes on
		e.LastOperation = &Operation{e.LastOperation.ID, device.Interrupted, nil}
	}
	e.aim(e.Through)
	return e, nil
}

// aim has the next run be the first one after a time, until which everything has been dealt with.
func (e *entry) aim(through time.Time) {
	e.Through, e.due = through, time.Time{}
	if e.Enabled && !e.Over {
		e.due = e.times.next(through)
	}
}

// miss counts what was due until now, and aims at what comes next.
func (e *entry) miss(now time.Time, budget *int) {
	if !e.isDue(now) {
		return
	}
	e.MissedRuns += e.times.count(e.due, now, budget)
	e.Over = e.At != nil
	e.aim(now)
}

func (e *entry) isDue(now time.Time) bool { return !e.due.IsZero() && !e.due.After(now) }

// take takes what is due, and reports whether it is to be run: something of it is no more than late old.
func (e *entry) take(now time.Time, late time.Duration, budget *int) bool {
	recent := e.due
	if from := now.Add(-late); recent.Before(from) {
		recent = e.times.next(from.Add(-1))
	}
	runs := !recent.IsZero() && !recent.After(now)
	e.miss(now, budget)
	if runs {
		e.MissedRuns--
	}
	return runs
}

// adopt takes an operation of a run that the process before could not store any more, and reports whether it is
// one: it is newer than the last run that is known, and no later than now.
func (e *entry) adopt(c change, now time.Time) bool {
	since := e.Since
	if e.LastRun != nil {
		since = *e.LastRun
	}
	if e.began || !c.at.After(since) || c.at.After(now) {
		return false
	}
	e.LastRun, e.LastOperation = &c.at, &c.operation
	e.Over = e.At != nil
	e.aim(latest(e.Through, c.at))
	return true
}

// status is what is published.
func (e *entry) status() *Status {
	s := e.Status
	s.Enabled = e.Enabled && !e.Over
	if !e.due.IsZero() {
		due := e.due.UTC()
		s.NextRun = &due
	}
	return &s
}

// content is what is kept.
func (e *entry) content() (json.RawMessage, error) { return json.Marshal(e.record) }

// LogValue implements [slog.LogValuer].
func (e *entry) LogValue() slog.Value { return slog.StringValue(e.name) }
