package motor

import (
	"context"
	"sync"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// A line is where a servo is found.
type line struct {
	port string
	baud int // bits a second
	id   byte
}

// A target is what Run aims at: a line, or none while the motor is released. Safe for concurrent use.
type target struct {
	mu       sync.Mutex
	line     line
	released bool
	revision uint64        // counts the changes of the two
	changed  chan struct{} // closed, and made anew, with every change

	reached uint64        // the revision that Run has brought about, or 0
	failure error         // what went wrong on the way there
	arrived chan struct{} // closed, and made anew, when that changes
}

func newTarget(l line) *target {
	return &target{line: l, revision: 1, changed: make(chan struct{}), arrived: make(chan struct{})}
}

// get returns the target, its revision, and what is closed when it changes.
func (t *target) get() (l line, released bool, revision uint64, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.line, t.released, t.revision, t.changed
}

// set changes the target, if it is another one than before, and returns the revision to wait for.
func (t *target) set(change func(*line), released bool) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.line
	change(&l)
	if l != t.line || released != t.released {
		t.line, t.released = l, released
		t.revision++
		close(t.changed)
		t.changed = make(chan struct{})
	}
	return t.revision
}

// reach says that Run has brought about that revision, for better or worse, or, with 0, that it has lost
// it again.
func (t *target) reach(revision uint64, failure error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reached, t.failure = revision, failure
	close(t.arrived)
	t.arrived = make(chan struct{})
}

// await returns once that revision, or a later one, has been reached, with what went wrong on the way.
func (t *target) await(ctx context.Context, revision uint64) error {
	for {
		t.mu.Lock()
		reached, failure, arrived := t.reached, t.failure, t.arrived
		t.mu.Unlock()
		if reached >= revision {
			return failure
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Connect implements [device.Motor].
func (m *Motor) Connect(ctx context.Context, where device.Line) error {
	revision := m.target.set(func(l *line) {
		if where.Port != "" {
			l.port = where.Port
		}
		if where.Baud != 0 {
			l.baud = where.Baud
		}
		if where.ID != nil {
			l.id = byte(*where.ID)
		}
	}, false)
	if err := m.desk.sit(ctx); err != nil { // a port that is closed for want of work is opened
		return err
	}
	defer m.desk.leave()
	if err := m.target.await(ctx, revision); err != nil {
		return device.Errorf(device.CodeMotorDisconnected, "still looking for the motor: %s", m.Status().Problem)
	}
	return nil
}

// Release implements [device.Motor].
func (m *Motor) Release(ctx context.Context) error {
	return coded(m.target.await(ctx, m.target.set(func(*line) {}, true)))
}

// isReleased reports whether the motor shall be released.
func (m *Motor) isReleased() bool {
	_, released, _, _ := m.target.get()
	return released
}

// leave makes the servo safe before the port is closed by command: with torque off where the motor is
// released, halted where another servo takes its place.
func (m *Motor) leave(b *bus) error {
	select {
	case m.turnOn <- struct{}{}: // nobody switches torque on meanwhile, and nobody can afterwards
		defer func() { <-m.turnOn }()
	case <-time.After(haltTimeout): // whoever that is, it does not keep the servo from being made safe
	}
	if !m.isReleased() {
		m.halt(b, m.stops.permit())
		b.leaving.Store(true)
		return nil
	}
	b.leaving.Store(true)
	ctx, cancel := context.WithTimeout(first(context.Background()), haltTimeout)
	defer cancel()
	if err := b.set(ctx, dynamixel.TorqueEnable, 0, 0); err != nil {
		return err
	}
	torque, err := b.get(ctx, dynamixel.TorqueEnable)
	if err != nil {
		return err
	}
	if torque != 0 {
		return device.Errorf(device.CodeSerialError, "the servo keeps its torque on")
	}
	m.update(func(status *device.MotorStatus) { status.Torque = false })
	return nil
}
