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
	errGone         = Errorf(CodeInterrupted, "the process ended before the operation did")
	errAnotherSetup = Errorf(CodeInterrupted, "the process ended before the operation did, and the servo or the speed, which commands had changed, is that of the settings again")
	errMissed       = Errorf(CodeInterrupted, "the process ended before the operation did, and the broker has no session that would have kept a stop since")
	errNoAttempts   = Errorf(CodeInterrupted, "the process ended before the operation did, and it has no attempts left")
)

// restore continues from what the store holds. What had not ended goes on, in its order, or ends.
func (d *Device) restore(saved Saved) {
	ended, pending := d.accepted.load(saved.Records)
	for _, e := range ended[max(0, len(ended)-listed):] {
		d.history.add(e.operation)
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
	for _, e := range pending {
		op := &e.operation
		t := &task{entry: e, command: Command{ID: op.ID, Name: op.Name, Parameters: op.Parameters, Source: op.Source}}
		valid := d.validate(t.command) == nil
		if valid && op.Name.Moves() {
			t.move = d.move(t.command)
		}
		if err := d.lost(saved, t, valid); err != nil {
			d.end(t, Result{}, err)
			continue
		}
		op.State, op.Error = Retrying, errGone
		d.queue = append(d.queue, t)
		d.record(e)
	}
	if d.resuming() {
		left := d.window - *saved.Away
		d.resumeBy, d.resumeLate = time.Now().Add(left), time.After(left)
		d.log.Warn("going on with what was interrupted, once a stop would be heard", "operations", len(d.queue), "within", left)
	}
}

// lost tells why an operation that the last process left does not go on, or nil. Only moves go on, as
// they are to absolute angles, and those that are still valid.
func (d *Device) lost(saved Saved, t *task, valid bool) *Error {
	switch {
	case t.givenUp != nil:
		return t.givenUp
	case d.latched, d.released, !t.operation.Name.Moves(), !valid:
		return errGone
	case d.window == 0:
		return errGone
	case saved.Away == nil:
		return Errorf(CodeInterrupted, "the process ended before the operation did, and the machine may have been off since, or not everything was stored")
	case *saved.Away > d.window:
		return d.errTooLate()
	case saved.Setup != d.setup:
		return errAnotherSetup
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
// for a while and it is known whether the motor is there; if that does not come in time, it ends.
func (d *Device) mayGoOn() bool {
	switch {
	case !d.resuming():
	case d.hearing.mayHaveMissed():
		d.endResuming(errMissed)
	case !time.Now().Before(d.resumeBy):
		d.endResuming(d.errTooLate())
	case d.hearing.lasts() && d.motor.Status().Contacted:
		d.wentOn = true
		d.log.Info("going on with what was interrupted", "operations", len(d.queue))
	default:
		return false
	}
	return true
}

// endResuming ends what would go on.
func (d *Device) endResuming(reason *Error) {
	d.queueChanged = true
	for d.resuming() {
		t := d.queue[0]
		d.queue = d.queue[1:]
		d.end(t, Result{}, reason)
	}
}

func (d *Device) errTooLate() *Error {
	return Errorf(CodeInterrupted, "the process ended before the operation did, and it could not go on within %v", d.window)
}

// aliveInterval is how often the store is told that the process lives: so much earlier than it does the
// window begin.
func (d *Device) aliveInterval() time.Duration { return max(d.window/10, time.Second) }

// wouldGoOn reports whether something would go on if the process ended now, from now on.
func (d *Device) wouldGoOn() bool {
	return d.window > 0 && !d.resuming() && (d.running != nil || len(d.queue) > 0)
}

// StopHeard says that a stop would be heard from now on, or would not. Until it is, nothing goes on that
// the end of the last process has interrupted.
func (d *Device) StopHeard(heard bool) { d.hearing.set(heard) }

// StopMissed says that a stop that was sent while nobody listened may be lost, so that what the end of the
// last process has interrupted must not go on.
func (d *Device) StopMissed() { d.hearing.miss() }

// A hearing knows for how long a stop would have been heard, and whether one may be lost. Safe for concurrent use.
type hearing struct {
	changed chan struct{} // receives when it may have lasted long enough, or one may be lost

	mu     sync.Mutex
	since  time.Time // zero when a stop would not be heard
	due    *time.Timer
	missed bool
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
	h.due = time.AfterFunc(hearingTime, h.announce)
}

func (h *hearing) miss() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.missed = true
	h.announce()
}

func (h *hearing) mayHaveMissed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.missed
}

func (h *hearing) announce() {
	select {
	case h.changed <- struct{}{}:
	default:
	}
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
		return Errorf(CodeClockUntrusted, "the device's clock says %s, and an operation is stored of %s: the clock is behind, or was ahead then; set it if it is behind, else send the command without expires_at until that time",
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
