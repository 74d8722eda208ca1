package device

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync/atomic"
	"time"
)

const (
	// immediateTimeout bounds an operation that does not move the carousel.
	immediateTimeout = 5 * time.Second
	// latchTimeout bounds how long Stop waits for the latch to be stored.
	latchTimeout = time.Second
	// haltTimeout bounds how long Run waits, when it is told to end, for a move to be halted.
	haltTimeout = time.Second
	// storeTimeout bounds how long Run waits, when it is told to end, for the store.
	storeTimeout = time.Second
)

var errShutDown = Errorf(CodeInterrupted, "the device is shutting down")

// Config is what a Device is made of; every field is needed.
type Config struct {
	Carousel  Carousel
	QueueSize int           // how many operations may wait
	NewID     func() string // makes an id for an operation whose sender gave none; called concurrently
	Motor     Motor
	Store     Store
	Log       *slog.Logger
}

// A Device is one carousel.
type Device struct {
	carousel  Carousel
	hotels    []string
	queueSize int
	newID     func() string
	motor     Motor
	log       *slog.Logger
	recorder  *recorder
	outbox    *Outbox
	warnings  *warnings

	inbox    *inbox
	finished chan outcome
	ended    chan struct{} // closed when Run has ended
	changed  chan struct{}
	snapshot atomic.Pointer[Snapshot]

	// What follows belongs to Run.
	accepted      *ledger
	queue         []*task
	running       *task
	underway      map[*task]struct{} // those whose goroutine will send an outcome
	closing       bool
	latched       bool
	lastPress     uint64
	lastError     *Failure
	activitySince time.Time
	total         uint64 // operations that have ended
}

// A press is a use of the emergency stop on its way to Run.
type press struct {
	command *Command // nil when it has been answered already
	motor   Press
	saved   chan struct{} // closed when the latch is stored
}

// New makes a device that continues from what the store holds. A latched stop reaches the motor here,
// before it can connect.
func New(c Config) (*Device, error) {
	saved, err := c.Store.Load()
	if err != nil {
		return nil, fmt.Errorf("read the stored state: %w", err)
	}
	outbox := newOutbox(c.Log)
	d := &Device{
		carousel:      c.Carousel,
		hotels:        c.Carousel.Names(),
		queueSize:     c.QueueSize,
		newID:         c.NewID,
		motor:         c.Motor,
		log:           c.Log,
		recorder:      newRecorder(c.Store, outbox, c.Log),
		outbox:        outbox,
		warnings:      newWarnings(),
		inbox:         newInbox(),
		finished:      make(chan outcome),
		ended:         make(chan struct{}),
		underway:      make(map[*task]struct{}),
		changed:       make(chan struct{}, 1),
		accepted:      newLedger(),
		latched:       saved.Latched,
		activitySince: now(),
	}
	if d.latched {
		d.lastPress = d.motor.Stop().Number
	}
	for _, op := range saved.Operations {
		t := &task{operation: op}
		d.accepted.add(t)
		if op.State == Queued || op.State == Running {
			d.end(t, Result{}, Errorf(CodeInterrupted, "the process ended before the operation did"))
		}
	}
	d.snapshot.Store(d.look())
	return d, nil
}

// Snapshot returns the state of the device now.
func (d *Device) Snapshot() *Snapshot { return d.snapshot.Load() }

// Changed receives after Snapshot has changed. Changes that come faster than they are received are
// joined. It has one receiver.
func (d *Device) Changed() <-chan struct{} { return d.changed }

// Outbox returns the events of the operations.
func (d *Device) Outbox() *Outbox { return d.outbox }

// Warn sets the warning on a subject, which makes the device degraded; "" takes it back.
func (d *Device) Warn(subject, message string) { d.warnings.set(subject, message) }

// Submit hands a command to Run, in the order of the calls. It never waits. The answer is an event.
func (d *Device) Submit(c Command) {
	if err := d.inbox.put(c); err != nil {
		d.Reject(c, err)
	}
}

// Reject answers a command that cannot be obeyed. It never waits.
func (d *Device) Reject(c Command, err *Error) {
	if c.ID == "" {
		c.ID = d.newID()
	}
	at := now()
	answered := d.outbox.addRejection(Operation{
		ID: c.ID, Name: c.Name, Parameters: c.Parameters, Source: c.Source,
		State: Rejected, QueuedAt: at, FinishedAt: &at, Error: err,
	})
	if answered {
		d.log.Info("command rejected", "id", c.ID, "operation", c.Name, "error", err)
	}
}

// Stop is the emergency stop. It signals the motor at once, then returns when the latch is stored,
// after a second at the latest. The command, asked for after the signal, says how to answer; nil is
// for another copy of a press that has its answer: it is obeyed all the same, also after a reset, but
// does not wait for the store.
func (d *Device) Stop(command func() *Command) {
	p := press{motor: d.motor.Stop(), saved: make(chan struct{})}
	p.command = command()
	if taken := d.inbox.press(p); !taken {
		d.recorder.saveLate(p.saved)
	}
	if p.command == nil {
		return
	}
	timeout := time.NewTimer(latchTimeout)
	defer timeout.Stop()
	select {
	case <-p.saved:
	case <-timeout.C:
	}
}

// Run owns the state of the device until ctx ends. Then it halts what moves, ends what waits as
// interrupted, and returns when everything is stored. It waits for a motor or a store that hangs, but
// not for long. It is called once.
func (d *Device) Run(ctx context.Context) error {
	stopRecorder, recorderDone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(recorderDone)
		d.recorder.run(stopRecorder)
	}()
	d.run(ctx)
	close(stopRecorder)
	select {
	case <-recorderDone:
	case <-time.After(storeTimeout):
		d.log.Error("the last operations could not be stored in time", "timeout", storeTimeout)
	}
	return nil
}

func (d *Device) run(ctx context.Context) {
	for {
		d.startNext()
		d.update()
		select {
		case <-ctx.Done():
			d.shutDown()
			return
		case <-d.inbox.arrived:
			d.open()
		case o := <-d.finished:
			d.finish(o)
		case <-d.motor.Changed():
		case <-d.warnings.changed:
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

func (d *Device) shutDown() {
	d.closing = true
	d.open()
	if d.running != nil {
		d.running.cancel(errShutDown)
	}
	for _, t := range d.queue {
		d.end(t, Result{}, errShutDown)
	}
	d.queue = nil
	d.update()

	timeout := time.NewTimer(haltTimeout)
	defer timeout.Stop()
	for len(d.underway) > 0 {
		select {
		case <-d.inbox.arrived:
			d.open()
		case o := <-d.finished:
			d.finish(o)
		case <-timeout.C:
			d.log.Error("the motor did not come to rest in time", "timeout", haltTimeout)
			for t := range d.underway {
				d.finish(outcome{t, Result{}, errShutDown})
			}
		}
	}
	d.inbox.close()
	d.open()
	close(d.ended)
	d.update()
}

// update makes the snapshot current.
func (d *Device) update() {
	last, next := d.snapshot.Load(), d.look()
	if next.Activity != last.Activity {
		d.activitySince = next.UpdatedAt
		next.ActivitySince = next.UpdatedAt
	}
	at := next.UpdatedAt
	next.UpdatedAt = last.UpdatedAt
	if reflect.DeepEqual(next, last) {
		return
	}
	next.UpdatedAt = at
	d.snapshot.Store(next)
	select {
	case d.changed <- struct{}{}:
	default:
	}
}
