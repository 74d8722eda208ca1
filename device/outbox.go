package device

import (
	"log/slog"
	"sync"
	"time"
)

// An Event is one change of state of one operation, on its way to those who asked for it.
type Event struct {
	// Sequence numbers the events of one process, from 1.
	Sequence  uint64
	Operation Operation
}

const (
	// outboxSize is how many events are kept for a broker that is away.
	outboxSize = 1000
	// answersPerSecond is how many commands that become no operation are answered; more are only counted.
	answersPerSecond = 20
)

// An Outbox holds events, in order, until they have been delivered. It is safe for concurrent use.
type Outbox struct {
	added chan struct{}
	log   *slog.Logger

	mu       sync.Mutex
	last     uint64 // sequence number of the newest event
	events   []Event
	dropping bool

	// The flood rule: how many answers the second that began at since has seen.
	since      time.Time
	answers    int
	flooded    bool // and said so
	unanswered uint64
}

func newOutbox(log *slog.Logger) *Outbox {
	return &Outbox{added: make(chan struct{}, 1), log: log}
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
	return append([]Event(nil), events[:min(limit, len(events))]...)
}

// Delivered forgets the events up to and including that sequence number.
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

func (o *Outbox) add(operations ...Operation) {
	if len(operations) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, op := range operations {
		if len(o.events) == outboxSize {
			o.events = o.events[1:]
			if !o.dropping {
				o.dropping = true
				o.log.Warn("too many events wait for the broker, the oldest are given up", "waiting", outboxSize)
			}
		}
		o.last++
		o.events = append(o.events, Event{o.last, op})
	}
	select {
	case o.added <- struct{}{}:
	default:
	}
}

// addRejection adds a rejection, unless this second has had its share, and reports whether.
func (o *Outbox) addRejection(op Operation) bool {
	if !o.mayAnswer() {
		return false
	}
	o.add(op)
	return true
}

// mayAnswer applies the flood rule: it reports whether this second still has an answer for a command that
// becomes no operation, and counts those that get none.
func (o *Outbox) mayAnswer() bool {
	now := time.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.Sub(o.since) >= time.Second {
		if o.answers <= answersPerSecond {
			o.flooded = false
		}
		o.since, o.answers = now, 0
	}
	o.answers++
	if o.answers <= answersPerSecond {
		return true
	}
	o.unanswered++
	if !o.flooded {
		o.flooded = true
		o.log.Warn("a flood of commands that cannot be obeyed, or came before: not all are answered",
			"answered_per_second", answersPerSecond)
	}
	return false
}
