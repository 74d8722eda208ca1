package device

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"
)

// A task is an accepted operation while the core works on it.
type task struct {
	*entry
	command Command
	move    Move
	started time.Time                   // the present attempt
	wait    func(context.Context) error // of a schedule: for the end of its work
	press   uint64                      // of a reset: the last press it releases
	cancel  context.CancelFunc
	done    chan struct{} // closed when the goroutine of the present attempt has ended
	retry   *time.Timer   // while it waits for its next attempt
}

// An outcome is how the goroutine of a task ended.
type outcome struct {
	task   *task
	result Result
	err    error
}

func (t *task) message() string {
	if t.operation.State == Retrying {
		return t.command.doing() + ": trying again after: " + t.operation.Error.Message
	}
	return t.command.doing()
}

// accept takes a command as an operation, or refuses it.
func (d *Device) accept(c Command) {
	if err := d.validate(c); err != nil {
		d.Reject(c, err)
		return
	}
	if known := d.accepted.find(c.ID); known != nil {
		if op := known.operation; op.Name != c.Name || !op.Parameters.same(c.Parameters) {
			d.Reject(c, Errorf(CodeDuplicateID, "the id %q belongs to another operation, %s with its own parameters; give each operation an id of its own", c.ID, op.Name))
			return
		}
		d.repeat(known)
		return
	}
	if err := d.refusal(c.Name, d.motor.Status()); err != nil {
		d.Reject(c, err)
		return
	}
	if c.Name == CancelOperation && *c.Parameters.Target != cancelAll && d.pending(*c.Parameters.Target) == nil {
		d.Reject(c, Errorf(CodeInvalidPayload, "no operation with the id %q is running or waiting", *c.Parameters.Target))
		return
	}
	if err := d.distrust(c); err != nil {
		d.Reject(c, err)
		return
	}
	var wait func(context.Context) error
	if c.Work != nil {
		var refusal *Error
		if wait, refusal = c.Work(); refusal != nil {
			d.Reject(c, refusal)
			return
		}
	}
	t := d.newTask(c)
	t.wait = wait
	switch {
	case d.expired(t):
		d.end(t, Result{}, errExpired)
	case !c.Name.Queues():
		d.startImmediate(t)
	default:
		d.queue = append(d.queue, t)
		d.queueChanged = true
		d.record(t.entry)
		d.startNext()
	}
}

// newTask makes an accepted operation of a command.
func (d *Device) newTask(c Command) *task {
	if c.ID == "" {
		c.ID = d.newID()
	}
	t := &task{command: c, entry: d.accepted.add(Operation{
		ID: c.ID, Name: c.Name, Parameters: c.Parameters, Source: c.Source, State: Queued, QueuedAt: now(),
	})}
	if c.Name.Moves() {
		t.move = d.move(c)
	}
	return t
}

var errExpired = Errorf(CodeExpired, "its turn came after expires_at")

// expired reports whether it is too late to start the operation. What has been started may be tried again.
func (d *Device) expired(t *task) bool {
	at := t.command.Parameters.ExpiresAt
	return at != nil && d.now().After(*at)
}

// startNext starts the operation whose turn it is. One that cannot be carried out ends here.
func (d *Device) startNext() {
	for d.running == nil && d.mayGoOn() && len(d.queue) > 0 {
		t := d.queue[0]
		d.queue[0] = nil
		d.queue = d.queue[1:]
		d.queueChanged = true
		if t.operation.Attempt == 0 && d.expired(t) {
			d.end(t, Result{}, errExpired)
			continue
		}
		d.start(t)
	}
}

// start begins an attempt of a queued operation. What cannot be carried out is an attempt only if others
// follow.
func (d *Device) start(t *task) {
	d.running = t
	hindrance := d.hindrance(t.operation.Name, d.motor.Status())
	if hindrance != nil {
		if d.triesAgain(t, hindrance) {
			t.began()
			d.record(t.entry)
		}
		d.attempted(outcome{t, Result{}, hindrance})
		return
	}
	t.began()
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	var speedSet <-chan struct{}
	if last := d.latest[SpeedOperation]; last != nil {
		speedSet = last.done
	}
	d.perform(t, func() (Result, error) {
		defer cancel()
		_ = await(ctx, speedSet) // the speed that was sent before it is its speed
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		return d.carryOut(ctx, t)
	})
	runtime.Gosched() // the motion before its events, of which the encoding takes longer
	d.record(t.entry)
}

// carryOut is the work of a queued operation.
func (d *Device) carryOut(ctx context.Context, t *task) (Result, error) {
	p := t.command.Parameters
	if t.operation.Name == RebootOperation {
		ctx, cancel := context.WithTimeout(ctx, seconds(p.TimeoutSeconds, rebootTimeout+seconds(p.WaitSeconds, rebootWait)))
		defer cancel()
		return Result{}, d.motor.Reboot(ctx, seconds(p.WaitSeconds, rebootWait), p.Reapply == nil || *p.Reapply)
	}
	arrival, err := d.motor.MoveTo(ctx, t.move)
	if err != nil {
		return Result{}, err
	}
	angle, deviation := arrival.Angle.Round(), arrival.Angle.From(t.move.Goal)
	return Result{Hotel: d.carousel.At(angle), Angle: &angle, Deviation: &deviation, Stage: arrival.Stage, Pulses: arrival.Pulses}, nil
}

// perform runs the work of an operation on a goroutine of its own.
func (d *Device) perform(t *task, work func() (Result, error)) {
	d.underway[t] = struct{}{}
	done := make(chan struct{})
	t.done = done
	go func() {
		defer close(done)
		result, err := work()
		select {
		case d.finished <- outcome{t, result, err}:
		case <-d.ended: // without waiting for it
		}
	}()
}

func (t *task) began() {
	t.started = time.Now()
	at := now()
	t.operation.State, t.operation.StartedAt, t.operation.Error = Running, &at, nil
	t.operation.Attempt++
}

// attempted takes note that an attempt has ended: with it the operation, unless it may be tried again.
func (d *Device) attempted(o outcome) {
	t := o.task
	if t.givenUp != nil && o.err != nil {
		o.err = t.givenUp
	}
	if d.running != t {
		d.end(t, o.result, o.err)
		return
	}
	if failure := asError(o.err); failure != nil && d.triesAgain(t, failure) {
		t.operation.State, t.operation.Error = Retrying, failure
		t.retry = time.AfterFunc(seconds(t.command.Parameters.RetryDelaySeconds, d.retryDelay), func() {
			select {
			case d.retries <- t:
			case <-d.ended:
			}
		})
		d.record(t.entry)
		return
	}
	d.running = nil
	d.end(t, o.result, o.err)
}

// triesAgain reports whether the operation has another attempt after this failure. What may be somebody's
// hand in the carousel, or a servo that is gone, is tried again only on demand.
func (d *Device) triesAgain(t *task, failure *Error) bool {
	switch failure.Code {
	case CodeTimeout, CodeSerialError:
	case CodeStalled, CodeMotorDisconnected:
		if t.command.Parameters.Retries == nil {
			return false
		}
	default:
		return false
	}
	return d.attemptsLeft(t)
}

// attemptsLeft reports whether the operation may have another attempt, whatever ended the last one.
func (d *Device) attemptsLeft(t *task) bool {
	retries := d.maxRetries
	if demanded := t.command.Parameters.Retries; demanded != nil {
		retries = *demanded
	}
	return t.operation.Attempt <= retries
}

// tryAgain begins the next attempt of the operation that waits for it.
func (d *Device) tryAgain(t *task) {
	if d.running != t || t.operation.State != Retrying {
		return // it was given up in the meantime
	}
	t.retry = nil
	d.start(t)
}

// giveUp ends what runs, with its reason once the motor is at rest, and what waits, at once.
func (d *Device) giveUp(reason *Error, waiting *Error) {
	d.giveUpRunning(reason)
	queue := d.queue
	d.queue, d.queueChanged = nil, true
	for _, t := range queue {
		t.givenUp = waiting
		d.end(t, Result{}, waiting)
	}
}

func (d *Device) giveUpRunning(reason *Error) {
	t := d.running
	switch {
	case t == nil:
	case t.retry != nil:
		t.retry.Stop()
		t.retry = nil
		d.running = nil
		d.end(t, Result{}, reason)
	case t.givenUp == nil:
		t.givenUp = reason
		d.recorder.note(d.standing(), t.record())
		t.cancel()
	}
}

// pending returns the task with that id if it runs or waits.
func (d *Device) pending(id string) *task {
	if d.running != nil && d.running.operation.ID == id {
		return d.running
	}
	for _, t := range d.queue {
		if t.operation.ID == id {
			return t
		}
	}
	return nil
}

// withdraw takes a task out of the queue.
func (d *Device) withdraw(t *task, reason *Error) {
	d.queue = slices.DeleteFunc(d.queue, func(other *task) bool { return other == t })
	d.queueChanged = true
	d.end(t, Result{}, reason)
}

// end brings an operation to its end and records it.
func (d *Device) end(t *task, result Result, err error) {
	at := now()
	op := &t.operation
	op.FinishedAt = &at
	failure := asError(err)
	op.Error = failure
	switch {
	case failure == nil:
		op.State = Completed
		result.DurationSeconds = float64(time.Since(t.started).Milliseconds()) / 1000
		op.Result = &result
	case failure.Code == CodeInterrupted:
		op.State = Interrupted
	case failure.Code == CodeEmergencyStopped, failure.Code == CodeCancelled, failure == t.givenUp:
		op.State = Cancelled
	case failure.Code == CodeExpired:
		op.State = Expired
	default:
		op.State = Failed
		d.lastError = &Failure{failure.Code, failure.Message, "error", at}
	}
	d.total++
	d.accepted.end(t.entry)
	d.history.add(*op)
	d.record(t.entry)
	log := d.log.With("id", op.ID, "operation", op.Name, "state", op.State)
	if op.Name.Moves() {
		log = log.With("goal", t.move.Goal)
	}
	if failure != nil {
		log = log.With("error", failure)
	}
	log.Info("operation ended")
}

// asError gives an error its code, if it has none.
func asError(err error) *Error {
	var failure *Error
	if err != nil && !errors.As(err, &failure) {
		failure = Errorf(CodeSerialError, "%w", err)
	}
	return failure
}

// repeat answers a command that came again with the present state of its operation. It is subject to the
// flood rule, as a repetition is no receipt that somebody could miss.
func (d *Device) repeat(e *entry) {
	if d.outbox.mayAnswer() {
		d.record(e)
	}
}

// record stores the operation as it is now, and has it published after.
func (d *Device) record(e *entry) {
	d.recorder.record(d.standing(), e.record(), d.running != nil || len(d.queue) > 0)
	d.lastTime = latest(d.lastTime, now())
	if d.observe != nil {
		d.observe(e.operation)
	}
}
