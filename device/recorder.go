package device

import (
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"
)

const (
	// saveTimeout is how long an event waits for the store before it is published as not durable.
	saveTimeout = 2 * time.Second
	// saveInterval is the time between two attempts to save what could not be saved, and how long the
	// store may take events for undelivered that are not.
	saveInterval = time.Second
)

// A recorder hands changes to the store on a goroutine of its own: while one is being saved, what comes
// is gathered for the next. An event is released when the store has its operation; when the store has
// failed or takes too long all are, as not durable, until it works again.
//
// What waits is bounded however long the store hangs: of each operation the latest state, of the events
// those that the outbox has.
type recorder struct {
	store    Store
	gather   time.Duration
	outbox   *Outbox
	warnings *warnings
	log      *slog.Logger
	added    chan struct{}
	saving   chan struct{} // holds a value while someone takes a batch and saves it

	mu       sync.Mutex
	standing Standing
	busy     bool // an operation runs or waits: the disk is not to compete with its motion
	next     batch
	trouble  string // why the store is not to be waited for; "" when it is
	first    uint64 // the first event that the store knows as undelivered
	unsaved  uint64 // the first event that it does not know
}

// A batch is what is saved at once.
type batch struct {
	since   time.Time // the oldest of it
	records map[int]Record
	saved   []chan<- struct{} // closed when it is durable
}

func newRecorder(store Store, gather time.Duration, outbox *Outbox, standing Standing, warnings *warnings, log *slog.Logger) *recorder {
	r := &recorder{
		store: store, gather: gather, outbox: outbox, standing: standing, warnings: warnings, log: log,
		added: make(chan struct{}, 1), saving: make(chan struct{}, 1), next: newBatch(),
	}
	r.first, r.unsaved = outbox.bounds()
	return r
}

func newBatch() batch { return batch{records: make(map[int]Record)} }

// record takes the new state of an operation and of the device, and has the operation published. It never
// waits.
func (r *recorder) record(standing Standing, record Record, busy bool) {
	r.mu.Lock()
	r.keep(standing, record)
	r.busy = busy
	full := r.outbox.hold(record.Operation)
	if r.trouble != "" {
		r.releaseAll()
	}
	r.announce()
	r.mu.Unlock()
	if full {
		r.outbox.warnFull()
	}
}

// note takes what is new of an operation without having it published. It never waits.
func (r *recorder) note(standing Standing, record Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keep(standing, record)
	r.announce()
}

// stand takes the new state of the device. If saved is not nil it is closed once that is durable. It never
// waits.
func (r *recorder) stand(standing Standing, saved chan<- struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.standing = standing
	if saved != nil {
		r.next.addSaved(saved)
	}
	r.announce()
}

// alive has the store know that the process lives.
func (r *recorder) alive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.announce()
}

// latchLate saves a latch after run has ended.
func (r *recorder) latchLate(saved chan<- struct{}) {
	go func() { // the disk may be what Run has not waited for
		r.mu.Lock()
		r.standing.Latched = true
		r.mu.Unlock()
		r.saving <- struct{}{} // an older batch must not come after this
		defer func() { <-r.saving }()
		_, change := r.take()
		if err := r.store.Save(change); err != nil {
			r.log.Error("cannot store the emergency stop", "error", err)
			return
		}
		close(saved)
	}()
}

// run saves what is added until done is closed, and then what is left. The first time there may be nothing
// to save: it shows whether the store works.
func (r *recorder) run(done <-chan struct{}) {
	tick := time.NewTicker(saveInterval)
	defer tick.Stop()
	for r.flush(); ; {
		select {
		case <-r.added:
			if r.gather > 0 && r.isBusy() {
				time.Sleep(r.gather)
			}
			if r.awaited() {
				r.flush()
			}
		case <-tick.C:
			if r.troubled() || r.delivered() {
				r.flush()
			}
		case <-done:
			r.flush()
			return
		}
	}
}

// flush saves what has come, and releases its events.
func (r *recorder) flush() {
	r.saving <- struct{}{}
	defer func() { <-r.saving }()
	b, change := r.take()
	watch := time.AfterFunc(saveTimeout-time.Since(b.since), func() {
		r.fail(fmt.Errorf("the disk has not taken them for %v; see whether it is failing or busy", saveTimeout))
	})
	began := time.Now()
	err := r.store.Save(change)
	watch.Stop()
	if err != nil {
		r.putBack(b)
		r.fail(err)
		return
	}
	r.outbox.release(change.NextEvent, true)
	for _, saved := range b.saved {
		close(saved)
	}
	r.mu.Lock()
	r.first, r.unsaved = change.FirstEvent, change.NextEvent
	well := r.trouble != "" && time.Since(began) <= saveTimeout
	if well {
		r.trouble = ""
		r.warnings.set(storeWarning, "")
	}
	r.mu.Unlock()
	if well {
		r.log.Info("the disk keeps operations again")
	}
}

// take begins a batch, and returns what there was.
func (r *recorder) take() (batch, Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.next
	r.next = newBatch()
	if b.since.IsZero() {
		b.since = time.Now()
	}
	change := Change{Standing: r.standing, Records: b.records, Events: r.outbox.from(r.unsaved)}
	change.FirstEvent, change.NextEvent = r.outbox.bounds()
	return b, change
}

// putBack returns to the next batch what could not be saved, as far as it has not changed since.
func (r *recorder) putBack(b batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(b.records, r.next.records)
	b.addSaved(r.next.saved...)
	b.since = time.Time{} // nobody waits for it
	r.next = b
}

// fail has nobody wait for the store any longer.
func (r *recorder) fail(err error) {
	r.mu.Lock()
	trouble := err.Error()
	isNew := trouble != r.trouble
	if isNew {
		r.trouble = trouble
		r.warnings.set(storeWarning, "Operations are not kept and would be lost with the program: "+trouble)
	}
	r.releaseAll()
	r.mu.Unlock()
	if isNew {
		r.log.Error("cannot store operations, they would be lost with the program", "error", err)
	}
}

func (r *recorder) isBusy() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.busy
}

func (r *recorder) troubled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble != ""
}

// awaited reports whether somebody waits for what has come: for the events nobody does while the store does
// not work.
func (r *recorder) awaited() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble == "" || len(r.next.saved) > 0
}

// delivered reports whether the store has events for undelivered that are not.
func (r *recorder) delivered() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first, _ := r.outbox.bounds()
	return first != r.first
}

// storeWarning is the subject of the warning that the store does not work.
const storeWarning = "store"

// The following three are for those who hold the mutex.

func (r *recorder) keep(standing Standing, record Record) {
	r.standing = standing
	r.next.records[record.Slot] = record
}

func (r *recorder) releaseAll() {
	_, next := r.outbox.bounds()
	r.outbox.release(next, false)
}

func (r *recorder) announce() {
	if r.next.since.IsZero() {
		r.next.since = time.Now()
	}
	select {
	case r.added <- struct{}{}:
	default:
	}
}

// addSaved adds those who wait, who do not wait for long.
func (b *batch) addSaved(saved ...chan<- struct{}) {
	b.saved = append(b.saved, saved...)
	b.saved = b.saved[max(0, len(b.saved)-inboxSize):]
}
