package scheduler

import (
	"sync"
	"time"

	"github.com/plate-resort/plate-resort/device"
)

// maxSchedules is how many schedules a device has.
const maxSchedules = 1000

var errShutDown = device.Errorf(device.CodeInterrupted, "the device is shutting down, and the schedule is not stored; send it again when it is back")

// An inbox holds what has come for Run. It is safe for concurrent use, and nobody waits for it.
type inbox struct {
	arrived chan struct{} // receives after something has come

	mu       sync.Mutex
	closed   bool
	known    map[string]Schedule // by name, as they will be when Run has seen the requests
	requests []request
	changes  []change
}

// A request is a schedule to be set, or deleted.
type request struct {
	name     string
	schedule *Schedule     // nil deletes it
	saved    chan struct{} // closed when it is durable
}

// A change is what the device says of the operation of a run.
type change struct {
	name      string
	operation Operation
	at        time.Time // when it came to the device
}

func newInbox() *inbox {
	return &inbox{arrived: make(chan struct{}, 1), known: make(map[string]Schedule)}
}

// put adds a request that check allows, knowing the schedule of that name, if there is one. It returns nil
// when it changes nothing.
func (i *inbox) put(r request, check func(old *Schedule) *device.Error) (saved <-chan struct{}, refusal *device.Error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var old *Schedule
	if s, ok := i.known[r.name]; ok {
		old = &s
	}
	switch {
	case i.closed:
		return nil, errShutDown
	case old != nil && r.schedule != nil && old.same(*r.schedule):
		return nil, nil
	case old == nil && len(i.known) >= maxSchedules && r.schedule != nil:
		return nil, device.Errorf(device.CodeQueueFull, "there are %d schedules already; delete one first", maxSchedules)
	}
	if err := check(old); err != nil {
		return nil, err
	}
	if r.schedule == nil {
		delete(i.known, r.name)
	} else {
		i.known[r.name] = *r.schedule
	}
	r.saved = make(chan struct{})
	i.requests = append(i.requests, r)
	i.announce()
	return r.saved, nil
}

// observe adds a change.
func (i *inbox) observe(c change) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.changes = append(i.changes, c)
	i.announce()
}

func (i *inbox) announce() {
	select {
	case i.arrived <- struct{}{}:
	default:
	}
}

// close refuses the requests that come from now on.
func (i *inbox) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
}

// take returns what has come, each kind in its order, and leaves the inbox empty.
func (i *inbox) take() (requests []request, changes []change) {
	i.mu.Lock()
	defer i.mu.Unlock()
	requests, changes = i.requests, i.changes
	i.requests, i.changes = nil, nil
	return requests, changes
}
