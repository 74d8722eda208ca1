package device

import (
	"sync"
	"time"
)

const (
	// hearingTime is how long a stop must have been heard for before what was interrupted goes on: one
	// that was sent meanwhile has come by then.
	hearingTime = time.Second
	// journalWarning is the subject of the warning that the past could not be read.
	journalWarning = "journal"
)

var (
	errGone       = Errorf(CodeInterrupted, "the process ended before the operation did")
	errNoAttempts = Errorf(CodeInterrupted, "the process ended before the operation did, and it has no attempts left")
)

// restore continues from what the store holds. What had not ended goes on, in its order, or ends.
func (d *Device) restore(saved Saved) {
	ended, pending := d.accepted.load(saved.Records)
	for _, t := range ended[max(0, len(ended)-listed):] {
		d.history.add(t.operation)
	}
	for _, r := range saved.Records {
		op := r.Operation
		d.lastTime = latest(d.lastTime, op.QueuedAt)
		for _, at := range []*time.Time{op.StartedAt, op.FinishedAt} {
			if at != nil {
				d.lastTime = latest(d.lastTime, *at)
			}
		}
	}
	for _, t := range pending {
		op := &t.operation
		t.command = Command{ID: op.ID, Name: op.Name, Parameters: op.Parameters, Source: op.Source}
		if err := d.lost(saved, t); err != nil {
			d.end(t, Result{}, err)
			continue
		}
		t.move = d.newTask(t.command).move
		op.State, op.Error = Retrying, errGone
		d.queue = append(d.queue, t)
		d.record(t)
	}
	if d.resuming() {
		d.log.Warn("going on with what was interrupted, once a stop would be heard", "operations", len(d.queue))
	}
}

// lost tells why an operation that the last process left does not go on, or nil. Only moves go on, as
// they are to absolute angles.
func (d *Device) lost(saved Saved, t *task) *Error {
	switch {
	case d.latched, d.released, !t.operation.Name.Moves(), d.validate(t.command) != nil:
		return errGone
	case d.window == 0:
		return errGone
	case saved.Away == nil:
		return Errorf(CodeInterrupted, "the process ended before the operation did, and the machine may have been off since")
	case *saved.Away > d.window:
		return Errorf(CodeInterrupted, "the process ended before the operation did, and was away for longer than %v", d.window)
	case !d.attemptsLeft(t):
		return errNoAttempts
	}
	return nil
}

// resuming reports whether what the last process left waits until it may go on, and all behind it.
func (d *Device) resuming() bool {
	return !d.wentOn && len(d.queue) > 0 && d.queue[0].operation.State == Retrying
}

// mayGoOn reports whether the next operation may start. What was interrupted may when a stop has been heard
// for a while and it is known whether the motor is there.
func (d *Device) mayGoOn() bool {
	if d.resuming() && d.hearing.lasts() && d.motor.Status().Contacted {
		d.wentOn = true
		d.log.Info("going on with what was interrupted", "operations", len(d.queue))
	}
	return !d.resuming()
}

// aliveInterval is how often the store is told that the process lives, while something runs or waits: so
// much earlier than it does the window begin.
func (d *Device) aliveInterval() time.Duration { return max(d.window/10, time.Second) }

// StopHeard says that a stop would be heard from now on, or would not. Until it is, nothing goes on that
// the end of the last process has interrupted.
func (d *Device) StopHeard(heard bool) { d.hearing.set(heard) }

// A hearing knows for how long a stop would have been heard. Safe for concurrent use.
type hearing struct {
	changed chan struct{} // receives when it may have lasted long enough

	mu    sync.Mutex
	since time.Time // zero when a stop would not be heard
	due   *time.Timer
}

func newHearing() *hearing { return &hearing{changed: make(chan struct{}, 1)} }

func (h *hearing) set(heard bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.due != nil {
		h.due.Stop()
	}
	h.since = time.Time{}
	if !heard {
		return
	}
	h.since = time.Now()
	h.due = time.AfterFunc(hearingTime, func() {
		select {
		case h.changed <- struct{}{}:
		default:
		}
	})
}

// lasts reports whether a stop would have been heard for long enough.
func (h *hearing) lasts() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.since.IsZero() && time.Since(h.since) >= hearingTime
}

// distrust tells why the command cannot be accepted by this clock, or nil. A clock that is behind what the
// store has seen, as that of a Raspberry Pi without network after a power cut, does not tell what has
// expired.
func (d *Device) distrust(c Command) *Error {
	if now := d.now(); c.Parameters.ExpiresAt != nil && now.Before(d.lastTime) {
		return Errorf(CodeClockUntrusted, "the device's clock says %s, and an operation is stored of %s; set the clock, or send it without expires_at",
			now.UTC().Format(time.RFC3339), d.lastTime.Format(time.RFC3339))
	}
	return nil
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
