package device

import (
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// An Event is one change of state of one operation, on its way to those who asked for it.
type Event struct {
	// Sequence numbers the events, from 1. What the store has kept goes on with its numbers.
	Sequence  uint64
	Operation Operation
	// Durable says that neither the end of the process nor a power cut loses the operation. It is no
	// receipt without. A rejection has nothing to lose.
	Durable bool
}

// MarshalJSON is the operation as it is published, with "durable": false where that is so.
func (e Event) MarshalJSON() ([]byte, error) {
	event := struct {
		Operation
		Durable *bool `json:"durable,omitempty"`
	}{Operation: e.Operation}
	if !e.Durable {
		event.Durable = &e.Durable
	}
	return json.Marshal(event)
}

// UnmarshalJSON reads an event as it is published. It has no sequence number there.
func (e *Event) UnmarshalJSON(text []byte) error {
	event := struct {
		Operation
		Durable bool `json:"durable"`
	}{Durable: true}
	if err := json.Unmarshal(text, &event); err != nil {
		return err
	}
	*e = Event{Operation: event.Operation, Durable: event.Durable}
	return nil
}

const (
	// spareEvents is how many events are kept for a broker that is away, besides the ends of all operations
	// that may wait.
	spareEvents = 1000
	// answersPerSecond is how many commands that become no operation are answered; more are only counted.
	answersPerSecond = 20
)

// An Outbox holds events, in order, until they have been delivered. Each is held back until the store has
// it, or has failed to take it, and so are those behind it. It is safe for concurrent use.
type Outbox struct {
	added chan struct{}
	log   *slog.Logger
	size  int // how many events are kept

	mu       sync.Mutex
	events   []Event // the first is that after the last delivered
	next     uint64  // sequence number of the next event
	held     uint64  // those from here on are held back
	dropping bool

	// The flood rule: how many answers the second that began at since has seen.
	since      time.Time
	answers    int
	flooded    bool // and said so
	unanswered uint64
}

// newOutbox makes an outbox with the events that were not delivered before. The next one has the number
// next, or 1. All operations that may wait can end at once.
func newOutbox(log *slog.Logger, undelivered []Event, next uint64, queueSize int) *Outbox {
	next = max(next, 1)
	for i := range undelivered {
		undelivered[i].Durable = true
	}
	return &Outbox{added: make(chan struct{}, 1), log: log, size: spareEvents + queueSize, events: undelivered, next: next, held: next}
}

// Added receives after events have been added. It has one receiver.
func (o *Outbox) Added() <-chan struct{} { return o.added }

// After returns, oldest first, the undelivered events with a higher sequence number, limit at the
// most.
func (o *Outbox) After(sequence uint64, limit int) []Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	events := o.events
	for len(events) > 0 && events[0].Sequence <= sequence {
		events = events[1:]
	}
	n := 0
	for n < min(limit, len(events)) && events[n].Sequence < o.held {
		n++
	}
	return append([]Event(nil), events[:n]...)
}

// Delivered forgets the events up to and including that sequence number. The store forgets them later.
func (o *Outbox) Delivered(sequence uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.events) > 0 && o.events[0].Sequence <= sequence {
		o.events = o.events[1:]
	}
	if len(o.events) == 0 {
		o.events, o.dropping = nil, false
	}
}

// Unanswered returns the number of commands that were counted instead of being answered.
func (o *Outbox) Unanswered() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.unanswered
}

// bounds returns the sequence numbers of the first event that is here and of the next that will be.
func (o *Outbox) bounds() (first, next uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.events) == 0 {
		return o.next, o.next
	}
	return o.events[0].Sequence, o.next
}

// from returns the events with that sequence number or a higher one, but for rejections.
func (o *Outbox) from(sequence uint64) []Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	var events []Event
	for _, e := range slices.Backward(o.events) {
		if e.Sequence < sequence {
			break
		}
		if e.Operation.State != Rejected {
			events = append(events, e)
		}
	}
	slices.Reverse(events)
	return events
}

// hold adds an event that is held back. If full, the caller is to call warnFull once it holds no mutex.
func (o *Outbox) hold(op Operation) (full bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, full = o.add(op, false)
	return full
}

func (o *Outbox) warnFull() {
	o.log.Warn("too many events wait for the broker, the oldest are given up", "waiting", o.size)
}

// release lets the events before that sequence number go, durable as they are now or not, and the
// rejections behind them.
func (o *Outbox) release(before uint64, durable bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.events {
		e := &o.events[i]
		switch {
		case e.Sequence < o.held:
		case e.Sequence < before:
			e.Durable = e.Durable || durable
			o.letGo(e.Sequence)
		case e.Durable && e.Sequence == o.held:
			o.letGo(e.Sequence)
		}
	}
}

// addRejection adds a rejection, unless this second has had its share, and reports whether. There is
// nothing to store of it, so it waits only for what is before it.
func (o *Outbox) addRejection(op Operation) bool {
	if !o.mayAnswer() {
		return false
	}
	o.mu.Lock()
	e, full := o.add(op, true)
	if e.Sequence == o.held {
		o.letGo(e.Sequence)
	}
	o.mu.Unlock()
	if full {
		o.warnFull()
	}
	return true
}

// The following three are for those who hold the mutex.

// add adds an event. Full says that it is the first one for which another is given up.
func (o *Outbox) add(op Operation, durable bool) (e Event, full bool) {
	if len(o.events) >= o.size {
		o.events = o.events[len(o.events)-o.size+1:] // a store may have more than one too many
		o.held = max(o.held, o.events[0].Sequence)
		full, o.dropping = !o.dropping, true
	}
	e = Event{o.next, op, durable}
	o.next++
	o.events = append(o.events, e)
	return e, full
}

func (o *Outbox) letGo(sequence uint64) {
	o.held = sequence + 1
	select {
	case o.added <- struct{}{}:
	default:
	}
}

// count counts a command that becomes no operation. Flood says that it is the first of a flood that gets no
// answer.
func (o *Outbox) count(now time.Time) (answered, flood bool) {
	if now.Sub(o.since) >= time.Second {
		if o.answers <= answersPerSecond {
			o.flooded = false
		}
		o.since, o.answers = now, 0
	}
	o.answers++
	if o.answers <= answersPerSecond {
		return true, false
	}
	o.unanswered++
	flood, o.flooded = !o.flooded, true
	return false, flood
}

// mayAnswer applies the flood rule: it reports whether this second still has an answer for a command that
// becomes no operation, and counts those that get none.
func (o *Outbox) mayAnswer() bool {
	now := time.Now()
	o.mu.Lock()
	answered, flood := o.count(now)
	o.mu.Unlock()
	if flood {
		o.log.Warn("a flood of commands that cannot be obeyed, or came before: not all are answered",
			"answered_per_second", answersPerSecond)
	}
	return answered
}
