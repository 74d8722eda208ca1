package device

import (
	"log/slog"
	"sync"
	"time"
)

// saveInterval is the time between two attempts to save what could not be saved.
const saveInterval = time.Second

// A recorder hands records to the store on a goroutine of its own, all that have come since the last
// time at once, and adds the events to the outbox when the store has them.
type recorder struct {
	store   Store
	outbox  *Outbox
	log     *slog.Logger
	added   chan struct{}
	unsaved bool // the last records could not be saved

	mu      sync.Mutex
	records []Record
	saved   []chan<- struct{} // closed when the records so far are saved
}

func newRecorder(store Store, outbox *Outbox, log *slog.Logger) *recorder {
	return &recorder{store: store, outbox: outbox, log: log, added: make(chan struct{}, 1)}
}

// add takes records in order. If saved is not nil it is closed once they are durable. It never waits.
func (r *recorder) add(saved chan<- struct{}, records ...Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, records...)
	if saved != nil {
		r.saved = append(r.saved, saved)
	}
	select {
	case r.added <- struct{}{}:
	default:
	}
}

// saveLate saves a latch after run has ended.
func (r *recorder) saveLate(saved chan<- struct{}) {
	go func() { // the disk may be what run has not waited for
		latched := true
		if err := r.store.Save([]Record{{Latched: &latched}}); err != nil {
			r.log.Error("cannot store the emergency stop", "error", err)
			return
		}
		close(saved)
	}()
}

// run saves what is added until done is closed, and then what is left.
func (r *recorder) run(done <-chan struct{}) {
	retry := time.NewTicker(saveInterval)
	defer retry.Stop()
	for {
		select {
		case <-r.added:
			r.flush()
		case <-retry.C:
			if r.unsaved {
				r.flush()
			}
		case <-done:
			r.flush()
			return
		}
	}
}

// flush saves the records, and has their events published, saved or not. A latch or a release that could
// not be saved is kept for the next time.
func (r *recorder) flush() {
	r.mu.Lock()
	records, saved := r.records, r.saved
	r.records, r.saved = nil, nil
	r.mu.Unlock()
	if err := r.store.Save(records); err != nil {
		r.log.Error("cannot store operations, they would be lost with the process", "error", err)
		r.keep(records, saved)
	} else {
		r.unsaved = false
		for _, c := range saved {
			close(c)
		}
	}
	var events []Operation
	for _, record := range records {
		if record.Operation != nil {
			events = append(events, *record.Operation)
		}
	}
	r.outbox.add(events...)
}

func (r *recorder) keep(records []Record, saved []chan<- struct{}) {
	r.unsaved = true
	var last Record
	for _, record := range records {
		if record.Latched != nil {
			last.Latched = record.Latched
		}
		if record.Released != nil {
			last.Released = record.Released
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append([]Record{last}, r.records...)
	r.saved = append(saved, r.saved...)
}
