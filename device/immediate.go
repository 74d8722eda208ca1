package device

import (
	"context"
	"time"
)

const (
	// immediateTimeout bounds an operation that does not wait for its turn.
	immediateTimeout = 5 * time.Second
	// rebootTimeout bounds a reboot, beyond the wait for the servo; rebootWait is that wait.
	rebootTimeout = 5 * time.Second
	rebootWait    = 800 * time.Millisecond

	cancelAll = "all"
	// maxReads is how many operations may have the motor read or set at once.
	maxReads = 8
)

// startImmediate begins an operation that does not wait for its turn.
func (d *Device) startImmediate(t *task) {
	t.began()
	p := t.command.Parameters
	var work func(context.Context) (Result, error)
	switch t.operation.Name {
	case SpeedOperation:
		d.setup.Speed = *p.Speed
		d.recorder.stand(d.standing(), nil)
		work = func(ctx context.Context) (Result, error) { return Result{}, d.motor.SetSpeed(ctx, *p.Speed) }
	case RefreshOperation:
		work = d.refresh
	case ResetOperation:
		work = d.reset(t)
	case ConnectionOperation:
		work = d.connection(p)
	case CancelOperation:
		work = d.cancelTarget(*p.Target)
	case ScheduleOperation:
		work = func(ctx context.Context) (Result, error) { return Result{}, t.wait(ctx) }
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), seconds(p.TimeoutSeconds, immediateTimeout),
		Errorf(CodeTimeout, "it was not done in time"))
	t.cancel = cancel
	earlier := d.earlier(t)
	d.perform(t, func() (Result, error) {
		defer cancel()
		select {
		case <-earlier: // though ctx may have ended: the motor is told in order
			return work(ctx)
		case <-d.ended:
			return Result{}, errShutDown
		}
	})
}

// earlier is closed when nothing that came before has yet to reach the motor, as far as order matters
// there: a speed after a speed, a connection after a connection. A connection that is still being waited
// for is given up for the next one.
func (d *Device) earlier(t *task) <-chan struct{} {
	none := make(chan struct{})
	close(none)
	name := t.operation.Name
	if name != SpeedOperation && name != ConnectionOperation {
		return none
	}
	if name == ConnectionOperation {
		d.giveUpConnecting(Errorf(CodeCancelled, "another command for the connection has come"))
	}
	last := d.latest[name]
	d.latest[name] = t
	if last == nil {
		return none
	}
	return last.done
}

// giveUpConnecting ends the wait for a servo that was to be connected by command.
func (d *Device) giveUpConnecting(reason *Error) {
	if t := d.latest[ConnectionOperation]; t != nil && *t.command.Parameters.State == "ON" {
		t.givenUp = reason
		t.cancel()
	}
}

func (d *Device) refresh(ctx context.Context) (Result, error) {
	if err := d.motor.Refresh(ctx); err != nil {
		return Result{}, err
	}
	health := d.examine(d.motor.Status())
	return Result{Angle: health.Angle, Health: health}, nil
}

// reset releases the latch in the motor. Whatever the stop has cancelled has come to its end first.
func (d *Device) reset(t *task) func(context.Context) (Result, error) {
	t.press = d.lastPress
	var cancelled <-chan struct{}
	if d.latched {
		cancelled = d.ending()
	}
	return func(ctx context.Context) (Result, error) {
		if err := await(ctx, cancelled); err != nil {
			return Result{}, err
		}
		return Result{}, d.motor.Reset(ctx, t.press)
	}
}

// connection connects or releases the motor. What is released, or left for another servo, must not be
// moving.
func (d *Device) connection(p Parameters) func(context.Context) (Result, error) {
	released := *p.State == "OFF"
	d.released = released
	if !released {
		return d.connect(p)
	}
	d.recorder.stand(d.standing(), nil)
	d.giveUp(
		Errorf(CodeCancelled, "the motor was released"),
		Errorf(CodeMotorDisconnected, "the motor was released; connect it first"))
	cancelled := d.ending()
	return func(ctx context.Context) (Result, error) {
		_ = await(ctx, cancelled) // it is released all the same
		return Result{}, d.motor.Release(ctx)
	}
}

func (d *Device) connect(p Parameters) func(context.Context) (Result, error) {
	line := Line{ID: p.MotorID}
	if p.MotorID != nil {
		d.setup.ID = *p.MotorID
	}
	if p.Port != nil {
		line.Port = *p.Port
		d.setup.Port = line.Port
	}
	if p.Baud != nil {
		line.Baud = *p.Baud
		d.setup.Baud = line.Baud
	}
	d.recorder.stand(d.standing(), nil)
	var cancelled <-chan struct{}
	if line != (Line{}) { // what was meant for one servo does not go on with another
		reason := Errorf(CodeCancelled, "the motor is being connected elsewhere")
		d.giveUp(reason, reason)
		cancelled = d.ending()
	}
	return func(ctx context.Context) (Result, error) {
		_ = await(ctx, cancelled) // the motor halts what has not ended
		return Result{}, d.motor.Connect(ctx, line)
	}
}

// cancelTarget gives up one operation, or all. A move that runs has come to rest when it returns.
func (d *Device) cancelTarget(id string) func(context.Context) (Result, error) {
	reason := Errorf(CodeCancelled, "it was cancelled")
	ending := d.ending()
	switch t := d.pending(id); {
	case id == cancelAll:
		d.giveUp(reason, reason)
	case t == d.running:
		d.giveUpRunning(reason)
	default:
		d.withdraw(t, reason)
		ending = nil
	}
	return func(ctx context.Context) (Result, error) {
		return Result{}, await(ctx, ending)
	}
}

// ending is closed when the goroutine of what runs has ended; nil when nothing runs.
func (d *Device) ending() <-chan struct{} {
	if d.running == nil {
		return nil
	}
	return d.running.done
}

// await returns when what is ending has ended, or an error when ctx ends before.
func await(ctx context.Context, ended <-chan struct{}) error {
	if ended == nil {
		return nil
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
