package motor

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/plate-resort/plate-resort/device"
)

// A desk knows whether somebody needs the port. Safe for concurrent use.
type desk struct {
	mu    sync.Mutex
	users int
	free  time.Time // since when nobody has needed it
	nap   *nap      // while it is closed for want of work
}

// A nap is a time for which the port is closed although the servo could be reached.
type nap struct {
	once  sync.Once
	woken chan struct{}
	over  chan struct{} // closed when the port is open again, or cannot be opened
}

// wake ends a nap; over says when it has come to that.
func (n *nap) wake() { n.once.Do(func() { close(n.woken) }) }

// sit takes part in the use of the port, until leave. It waits while a nap ends.
func (d *desk) sit(ctx context.Context) error {
	d.mu.Lock()
	d.users++
	n := d.nap
	d.mu.Unlock()
	if n == nil {
		return nil
	}
	n.wake()
	select {
	case <-n.over:
		return nil
	case <-ctx.Done():
		d.leave()
		return coded(context.Cause(ctx))
	}
}

func (d *desk) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.users--
	d.free = time.Now()
}

// rest begins a nap if nobody has needed the port for so long; if not, it says when to ask again.
func (d *desk) rest(long time.Duration) (n *nap, again time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.users > 0 {
		return nil, long
	}
	if left := long - time.Since(d.free); left > 0 {
		return nil, left
	}
	d.nap = &nap{woken: make(chan struct{}), over: make(chan struct{})}
	return d.nap, 0
}

// rise ends a nap, if there is one: the port is open, or it is known why not.
func (d *desk) rise() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.nap != nil {
		close(d.nap.over)
		d.nap = nil
	}
	d.free = time.Now()
}

// waker is what wakes the nap, if there is one.
func (n *nap) waker() func() {
	if n == nil {
		return nil
	}
	return n.wake
}

// napping is why a session ends with a nap.
type napping struct{ *nap }

func (napping) Error() string { return "the port is closed for want of work" }

// napOf returns the nap that a session ended with, or nil.
func napOf(err error) *nap {
	var n napping
	errors.As(err, &n)
	return n.nap
}

// sleep waits until the port is needed. A motor that is released meanwhile is connected once more, to switch
// its torque off; the error says what went wrong then.
func (m *Motor) sleep(ctx context.Context, n *nap, l line, retargeted <-chan struct{}) error {
	m.log.Info("serial port closed until it is needed")
	m.disconnected(device.Napping, "")
	select {
	case <-n.woken:
	case <-ctx.Done():
	case <-retargeted:
		defer m.wakeUp()
		if !m.isReleased() {
			return nil
		}
		if _, err := m.session(ctx, l, 0, retargeted); !errors.Is(err, errRetargeted) {
			return err
		}
	}
	return nil
}

// wakeUp ends a nap although the port is not open: those who need it wait no longer.
func (m *Motor) wakeUp() {
	m.stops.detach(nil)
	m.desk.rise()
}
