package device

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// A task is an accepted operation while the core works on it.
type task struct {
	operation Operation
	goal      Degrees // of a move
	message   string  // what a move is doing, for people
	started   time.Time
	press     uint64 // of a reset: the last press it releases
	cancel    context.CancelCauseFunc
	done      chan struct{} // closed when the operation's goroutine has ended
}

// An outcome is how the goroutine of a task ended.
type outcome struct {
	task   *task
	result Result
	err    error
}

// accept takes a command as an operation, or refuses it.
func (d *Device) accept(c Command) {
	if c.Name == StopOperation {
		d.press(press{command: &c, motor: d.motor.Stop(), saved: make(chan struct{})})
		return
	}
	if err := d.validate(c); err != nil {
		d.Reject(c, err)
		return
	}
	if known := d.accepted.find(c.ID); known != nil {
		if op := known.operation; op.Name != c.Name || !reflect.DeepEqual(op.Parameters, c.Parameters) {
			d.Reject(c, Errorf(CodeDuplicateID, "the id %q belongs to another operation, %s; give each operation its own", c.ID, op.Name))
			return
		}
		d.repeat(known)
		return
	}
	if err := d.refusal(c.Name, d.motor.Status()); err != nil {
		d.Reject(c, err)
		return
	}
	t := d.newTask(c)
	if c.Name == ResetOperation {
		d.reset(t)
		return
	}
	d.queue = append(d.queue, t)
	d.record(t)
	d.startNext()
}

// validate checks the command against the carousel.
func (d *Device) validate(c Command) *Error {
	p := c.Parameters
	switch {
	case !c.Name.Known():
		return Errorf(CodeUnknownOperation, "there is no operation %q", c.Name)
	case c.Name == HotelOperation && p.Hotel == nil, c.Name == AngleOperation && p.Angle == nil:
		return Errorf(CodeInvalidPayload, "%s needs to know where to turn", c.Name)
	case p.Hotel != nil:
		if _, ok := d.carousel.Angle(*p.Hotel); !ok {
			return Errorf(CodeInvalidPayload, "hotel %q is not one of %s", *p.Hotel, strings.Join(d.hotels, ", "))
		}
	case p.Angle != nil:
		if a := *p.Angle; !(a >= 0 && a < 360) {
			return Errorf(CodeInvalidPayload, "angle %v is not in range; it must be 0 or more and less than 360 degrees", float64(a))
		}
	}
	return nil
}

func (d *Device) newTask(c Command) *task {
	if c.ID == "" {
		c.ID = d.newID()
	}
	t := &task{
		operation: Operation{
			ID: c.ID, Name: c.Name, Parameters: c.Parameters, Source: c.Source,
			State: Queued, QueuedAt: now(),
		},
		done: make(chan struct{}),
	}
	switch c.Name {
	case HotelOperation:
		t.goal, _ = d.carousel.Angle(*c.Parameters.Hotel)
		t.message = "Moving to hotel " + *c.Parameters.Hotel
	case AngleOperation:
		t.goal = *c.Parameters.Angle
		t.message = fmt.Sprintf("Moving to %v", t.goal)
	case HomeOperation:
		t.message = "Moving to the home position"
	}
	d.accepted.add(t)
	return t
}

// startNext starts the operation whose turn it is. One that cannot be carried out ends here.
func (d *Device) startNext() {
	for d.running == nil && len(d.queue) > 0 {
		t := d.queue[0]
		d.queue[0] = nil
		d.queue = d.queue[1:]
		if err := d.hindrance(d.motor.Status()); err != nil {
			d.end(t, Result{}, err)
			continue
		}
		d.start(t)
		d.record(t)
	}
}

// start begins a move.
func (d *Device) start(t *task) {
	ctx, cancel := context.WithCancelCause(context.Background())
	t.cancel = cancel
	t.began()
	d.running = t
	d.perform(t, func() (Result, error) {
		defer cancel(nil)
		arrival, err := d.motor.MoveTo(ctx, t.goal)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			return Result{}, cause
		} else if err != nil {
			return Result{}, err
		}
		angle, deviation := arrival.Angle.Round(), arrival.Angle.From(t.goal)
		return Result{Hotel: d.carousel.At(angle), Angle: &angle, Deviation: &deviation, Stage: arrival.Stage}, nil
	})
}

// reset releases the latch in the motor. Whatever the stop has cancelled has come to its end first.
func (d *Device) reset(t *task) {
	t.press = d.lastPress
	t.began()
	var cancelled <-chan struct{} // what the stop has cancelled ends soon
	if d.latched && d.running != nil {
		cancelled = d.running.done
	}
	d.perform(t, func() (Result, error) {
		ctx, cancel := context.WithTimeout(context.Background(), immediateTimeout)
		defer cancel()
		if cancelled != nil {
			select {
			case <-cancelled:
			case <-ctx.Done():
			}
		}
		return Result{}, d.motor.Reset(ctx, t.press)
	})
}

// press obeys an emergency stop, of which the motor knows already.
func (d *Device) press(p press) {
	d.lastPress = max(d.lastPress, p.motor.Number)
	wasLatched := d.latched
	if !wasLatched {
		d.log.Warn("emergency stop")
	}
	latched := true
	d.latched = latched
	d.recorder.add(p.saved, Record{Latched: &latched})

	err := Errorf(CodeEmergencyStopped, "the emergency stop was pressed")
	if d.running != nil {
		d.running.cancel(err)
	}
	for _, t := range d.queue {
		d.end(t, Result{}, err)
	}
	d.queue = nil
	if p.command == nil {
		return
	}
	c := *p.command
	c.Name = StopOperation
	if known := d.accepted.find(c.ID); known != nil {
		if known.operation.Name == StopOperation && wasLatched {
			d.repeat(known)
			return
		}
		c.ID = "" // of another operation, or of a stop that has been reset since: this is a new one
	}
	t := d.newTask(c)
	t.began()
	d.perform(t, func() (Result, error) {
		select {
		case err := <-p.motor.Done:
			return Result{}, err
		case <-time.After(immediateTimeout):
			return Result{}, Errorf(CodeTimeout, "the motor has not confirmed within %v that torque is off", immediateTimeout)
		}
	})
}

// perform runs the work of an operation on a goroutine of its own.
func (d *Device) perform(t *task, work func() (Result, error)) {
	d.underway[t] = struct{}{}
	go func() {
		defer close(t.done)
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
	t.operation.State, t.operation.Attempt, t.operation.StartedAt = Running, 1, &at
}

// finish takes note that a task's goroutine has ended.
func (d *Device) finish(o outcome) {
	t := o.task
	delete(d.underway, t)
	if d.running == t {
		d.running = nil
	}
	if t.operation.Name == ResetOperation && o.err == nil && t.press == d.lastPress && d.latched {
		latched := false
		d.latched = latched
		d.recorder.add(nil, Record{Latched: &latched})
		d.log.Info("emergency stop reset")
	}
	d.end(t, o.result, o.err)
}

// end brings an operation to its end and records it.
func (d *Device) end(t *task, result Result, err error) {
	at := now()
	op := &t.operation
	op.FinishedAt = &at
	var failure *Error
	switch {
	case err == nil:
		op.State = Completed
		result.DurationSeconds = float64(time.Since(t.started).Milliseconds()) / 1000
		op.Result = &result
	case !errors.As(err, &failure):
		failure = Errorf(CodeSerialError, "%w", err)
	}
	if failure != nil {
		op.Error = failure
		switch failure.Code {
		case CodeEmergencyStopped, CodeCancelled:
			op.State = Cancelled
		case CodeInterrupted:
			op.State = Interrupted
		default:
			op.State = Failed
			d.lastError = &Failure{failure.Code, failure.Message, "error", at}
		}
	}
	d.total++
	d.record(t)
	log := d.log.With("id", op.ID, "operation", op.Name, "state", op.State)
	if op.Name.moves() {
		log = log.With("goal", t.goal)
	}
	if failure != nil {
		log = log.With("error", failure)
	}
	log.Info("operation ended")
}

// repeat answers a command that came again with the present state of its operation. It is subject to the
// flood rule, as a repetition is no receipt that somebody could miss.
func (d *Device) repeat(t *task) {
	if d.outbox.mayAnswer() {
		d.record(t)
	}
}

// record stores the operation as it is now, and has it published after.
func (d *Device) record(t *task) {
	op := t.operation
	d.recorder.add(nil, Record{Operation: &op})
}
