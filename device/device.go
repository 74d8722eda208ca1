package device

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"
)

// latchTimeout bounds how long Stop waits for the latch to be stored.
const latchTimeout = time.Second

// Config is what a Device is made of.
type Config struct {
	Carousel   Carousel
	Tolerance  Degrees       // how near to its goal a move has arrived
	Precise    Precise       // how a precise move goes on where friction ends a plain one
	IsPrecise  bool          // whether moves are precise, if their command does not say
	Bauds      []int         // the rates that servos have, in bits a second
	QueueSize  int           // how many operations may wait
	Limits     Limits        // of the motor's health
	Retries    int           // how many more attempts an operation has, if its command does not say
	RetryDelay time.Duration // before each of them
	// ResumeWindow is how long the process may have been away for moves to go on; 0 is never.
	ResumeWindow time.Duration
	Setup        Setup            // of the motor, until a command changes it
	NewID        func() string    // makes an id for an operation whose sender gave none; called concurrently
	Now          func() time.Time // the wall clock
	Motor        Motor
	Store        Store
	// Gather is how long changes are gathered before they are stored while an operation runs or waits: a motion has
	// begun by then, so that the disk does not compete with it, and its first events are stored at once.
	Gather time.Duration
	Log    *slog.Logger

	Version   string // of the program
	Simulated bool   // the servo is made of software
}

// A Device is one carousel.
type Device struct {
	carousel   Carousel
	hotels     []string
	angles     map[string]Degrees // of the hotels
	tolerance  Degrees
	precise    Precise
	isPrecise  bool
	bauds      []int
	queueSize  int
	limits     Limits
	maxRetries int
	retryDelay time.Duration
	newID      func() string
	now        func() time.Time
	motor      Motor
	log        *slog.Logger
	version    string
	simulated  bool
	began      time.Time
	recorder   *recorder
	outbox     *Outbox
	warnings   *warnings
	observe    func(Operation) // of everything that happens; may be nil
	hearing    *hearing
	window     time.Duration // of resuming

	inbox    *inbox
	asked    chan struct{} // by Alive
	finished chan outcome
	retries  chan *task
	ended    chan struct{} // closed when Run has ended
	changed  chan struct{}
	contact  chan struct{} // closed after the first contact with the motor
	view     atomic.Pointer[View]

	// What follows belongs to Run.
	accepted      *ledger
	queue         []*task
	queueChanged  bool
	history       history
	running       *task
	underway      map[*task]struct{} // those whose goroutine will send an outcome
	latest        map[Name]*task     // of the immediate ones, whose order matters to the motor
	closing       bool
	contacted     bool
	latched       bool
	setup         Setup // as it was commanded last
	released      bool  // by command, though the motor may not have come to it
	lastPress     uint64
	lastError     *Failure
	activitySince time.Time
	lastTime      time.Time // the latest that the store knows
	wentOn        bool      // what the last process left does not wait any longer
	resumeBy      time.Time // when it has waited for too long
	resumeLate    <-chan time.Time
	healthAt      time.Time   // when the health of the view was made
	healthDue     *time.Timer // when the next one may be worth publishing
	total         uint64      // operations that have ended, ever
}

// A press is a use of the emergency stop on its way to Run.
type press struct {
	command func() *Command // returns nil for what has been answered already
	motor   Press
	saved   chan struct{} // closed when the latch is stored, or is not to be waited for
}

// New makes a device that continues from what the store holds. A latched stop reaches the motor here,
// before it can connect.
func New(c Config) (*Device, error) {
	saved, err := c.Store.Load()
	if err != nil {
		return nil, fmt.Errorf("read the stored state: %w", err)
	}
	warnings := newWarnings()
	warnings.set(journalWarning, saved.Warning)
	standing := saved.Standing
	standing.Setup, standing.Resuming = c.Setup, false
	outbox := newOutbox(c.Log, saved.Events, saved.NextEvent, c.QueueSize)
	d := &Device{
		carousel:      c.Carousel,
		hotels:        c.Carousel.Names(),
		angles:        c.Carousel.angles(),
		tolerance:     c.Tolerance,
		precise:       c.Precise,
		isPrecise:     c.IsPrecise,
		bauds:         c.Bauds,
		queueSize:     c.QueueSize,
		limits:        c.Limits,
		maxRetries:    c.Retries,
		retryDelay:    c.RetryDelay,
		window:        c.ResumeWindow,
		now:           c.Now,
		version:       c.Version,
		simulated:     c.Simulated,
		began:         time.Now(),
		newID:         c.NewID,
		motor:         c.Motor,
		log:           c.Log,
		recorder:      newRecorder(c.Store, c.Gather, outbox, standing, warnings, c.Log),
		outbox:        outbox,
		warnings:      warnings,
		hearing:       newHearing(),
		inbox:         newInbox(),
		asked:         make(chan struct{}),
		finished:      make(chan outcome),
		ended:         make(chan struct{}),
		underway:      make(map[*task]struct{}),
		latest:        make(map[Name]*task),
		healthAt:      time.Now(),
		healthDue:     time.NewTimer(healthInterval),
		retries:       make(chan *task, 1), // one operation at a time waits for its retry
		changed:       make(chan struct{}, 1),
		contact:       make(chan struct{}),
		accepted:      newLedger(),
		latched:       saved.Latched,
		setup:         c.Setup,
		released:      saved.Released,
		total:         saved.OperationsTotal,
		activitySince: now(),
	}
	if d.latched {
		d.lastPress = d.motor.Stop().Number
	}
	if saved.Released {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // there is nothing to wait for: the motor does not run yet
		_ = d.motor.Release(ctx)
	}
	d.restore(saved)
	motor := d.motor.Status()
	d.view.Store(&View{State: d.look(motor), Health: d.examine(motor), Queue: listQueue(d.queue), History: d.history.list()})
	return d, nil
}

// View returns what the device shows now.
func (d *Device) View() *View { return d.view.Load() }

// Changed receives after View has changed. Changes that come faster than they are received are joined.
// It has one receiver.
func (d *Device) Changed() <-chan struct{} { return d.changed }

// Contacted receives once it is known whether the motor is there.
func (d *Device) Contacted() <-chan struct{} { return d.contact }

// Outbox returns the events of the operations.
func (d *Device) Outbox() *Outbox { return d.outbox }

// Warn sets the warning on a subject, which makes the device degraded; "" takes it back.
func (d *Device) Warn(subject, message string) { d.warnings.set(subject, message) }

// Alive returns once Run has answered, which it does between two pieces of its work. It returns ctx's error
// if that ends first: Run has ended, was never called, or hangs.
func (d *Device) Alive(ctx context.Context) error {
	select {
	case d.asked <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Submit hands a command to Run, in the order of the calls. It never waits. The answer is an event. A stop
// signals the motor at once and is never refused, as one by [Device.Stop].
func (d *Device) Submit(c Command) {
	if c.Name == StopOperation {
		d.signal(func() *Command { return &c })
		return
	}
	if err := d.inbox.put(c); err != nil {
		d.Reject(c, err)
		return
	}
	runtime.Gosched() // what else the caller has to do would hold up a motion
}

// Reject answers a command that cannot be obeyed. It never waits.
func (d *Device) Reject(c Command, err *Error) {
	if c.ID == "" {
		c.ID = d.newID()
	}
	at := now()
	op := Operation{
		ID: c.ID, Name: c.Name, Parameters: c.Parameters, Source: c.Source,
		State: Rejected, QueuedAt: at, FinishedAt: &at, Error: err,
	}
	if d.observe != nil {
		d.observe(op)
	}
	if d.outbox.addRejection(op) {
		d.log.Info("command rejected", "id", c.ID, "operation", c.Name, "error", err)
	}
}

// Stop is the emergency stop. It signals the motor at once, then returns when the latch is stored,
// after a second at the latest. The command, which Run asks for after the signal, says how to answer; nil is
// for another copy of a press that has its answer: it is obeyed all the same, also after a reset, but
// waits only for Run, not for the store.
func (d *Device) Stop(command func() *Command) {
	p := d.signal(command)
	timeout := time.NewTimer(latchTimeout)
	defer timeout.Stop()
	select {
	case <-p.saved:
	case <-timeout.C:
	}
}

// signal stops the motor, and hands the press to Run.
func (d *Device) signal(command func() *Command) press {
	p := press{command, d.motor.Stop(), make(chan struct{})}
	taken := d.inbox.press(p)
	runtime.Gosched() // the motor before everything else that follows from it
	if taken {
		d.inbox.announce()
	} else {
		d.recorder.latchLate(p.saved)
	}
	return p
}

// Run owns the state of the device until ctx ends. Then it halts what moves, ends what waits as
// interrupted, and has whoever sends commands take leave: a stop that comes meanwhile is obeyed and
// answered, other commands are refused. It returns when everything is stored. It waits for a motor or a
// store that hangs, but not for long. It is called once.
func (d *Device) Run(ctx context.Context, leave func()) error {
	stopRecorder, recorderDone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(recorderDone)
		d.recorder.run(stopRecorder)
	}()
	d.run(ctx)
	d.shutDown(leave)
	close(stopRecorder)
	select {
	case <-recorderDone:
	case <-time.After(storeTimeout):
		d.log.Error("the last operations could not be stored in time", "timeout", storeTimeout)
	}
	return nil
}

func (d *Device) run(ctx context.Context) {
	defer d.healthDue.Stop()
	alive := time.NewTicker(d.aliveInterval())
	defer alive.Stop()
	for {
		d.startNext()
		d.update()
		select {
		case <-ctx.Done():
			return
		case <-d.inbox.arrived:
			d.open()
		case o := <-d.finished:
			d.finish(o)
		case t := <-d.retries:
			d.tryAgain(t)
		case <-d.motor.Changed():
		case <-d.warnings.changed:
		case <-d.hearing.changed:
		case <-d.asked:
		case <-d.resumeLate:
		case <-d.healthDue.C:
		case <-alive.C:
			if d.wouldGoOn() {
				d.recorder.alive()
			}
		}
	}
}

// open looks at what has come, the presses of the emergency stop first.
func (d *Device) open() {
	presses, commands := d.inbox.take()
	for _, p := range presses {
		d.press(p)
	}
	for _, c := range commands {
		d.accept(c)
	}
}

// update makes the view current.
func (d *Device) update() {
	motor, last := d.motor.Status(), d.view.Load()
	if motor.Contacted && !d.contacted {
		d.contacted = true
		close(d.contact)
	}
	next := *last
	if state := d.look(motor); state.differs(last.State) {
		if state.Activity != last.State.Activity {
			d.activitySince, state.ActivitySince = state.UpdatedAt, state.UpdatedAt
		}
		next.State = state
	}
	health := d.examine(motor)
	wait := health.due(last.Health) - time.Since(d.healthAt)
	if wait <= 0 {
		next.Health, d.healthAt, wait = health, time.Now(), healthInterval
	}
	d.healthDue.Reset(wait)
	if d.queueChanged && len(d.queue)+len(*last.Queue) > 0 {
		next.Queue = listQueue(d.queue)
	}
	d.queueChanged = false
	if d.history.changed {
		next.History = d.history.list()
	}
	if next == *last {
		return
	}
	d.view.Store(&next)
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// press obeys an emergency stop, of which the motor knows already.
func (d *Device) press(p press) {
	d.lastPress = max(d.lastPress, p.motor.Number)
	wasLatched := d.latched
	if !wasLatched {
		d.log.Warn("emergency stop")
	}
	d.latched = true
	command, saved := p.command(), p.saved
	if command == nil {
		close(saved)
		saved = nil
	}
	d.recorder.stand(d.standing(), saved)

	err := Errorf(CodeEmergencyStopped, "the emergency stop was pressed")
	d.giveUp(err, err)
	if command == nil {
		return
	}
	c := *command
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

// finish takes note that a task's goroutine has ended.
func (d *Device) finish(o outcome) {
	delete(d.underway, o.task)
	if t := o.task; t.operation.Name == ResetOperation && o.err == nil && t.press == d.lastPress && d.latched {
		d.latched = false // which is stored with the end of the operation
		d.log.Info("emergency stop reset")
	}
	d.attempted(o)
}

// standing is what the store keeps of the device, apart from its operations.
func (d *Device) standing() Standing {
	return Standing{Latched: d.latched, Released: d.released, OperationsTotal: d.total, Resuming: d.resuming(), Setup: d.setup}
}
