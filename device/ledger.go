package device

import (
	"cmp"
	"slices"
)

// remembered is how many accepted operations are known by their id at least.
const remembered = 1000

// An entry is what is remembered of an accepted operation.
type entry struct {
	operation Operation
	givenUp   *Error // why it is not to go on; nil when it may
	slot      int    // as of a Record
	accepted  uint64 // as of a Record
	ended     uint64 // as of a Record
}

// record is what the store keeps of it.
func (e *entry) record() Record {
	record := Record{Slot: e.slot, Accepted: e.accepted, Ended: e.ended, Operation: e.operation}
	if record.Ended == 0 { // what has ended can be given up still, if it was to connect the motor
		record.GivenUp = e.givenUp
	}
	return record
}

// A ledger knows operations by their id: those that have not ended, and those that have, in the order of
// their ends, until 1,000 others have been accepted since. It gives each a slot in the store. Adding and
// ending take the same time however many there are.
type ledger struct {
	byID     map[string]*entry
	ended    []*entry // oldest first
	free     []int    // slots
	slots    int      // slots in use, and free ones
	accepted uint64   // operations so far
	ends     uint64
}

func newLedger() *ledger { return &ledger{byID: make(map[string]*entry)} }

// add remembers an operation that has been accepted. It takes over its id from an earlier one.
func (l *ledger) add(op Operation) *entry {
	l.accepted++
	for len(l.ended) > 0 && l.ended[0].accepted+remembered <= l.accepted {
		l.forgetOldest()
	}
	if len(l.free) == 0 {
		l.free = append(l.free, l.slots)
		l.slots++
	}
	last := len(l.free) - 1
	e := &entry{operation: op, slot: l.free[last], accepted: l.accepted}
	l.free = l.free[:last]
	l.byID[op.ID] = e
	return e
}

// end takes note that an operation has ended.
func (l *ledger) end(e *entry) {
	l.ends++
	e.ended = l.ends
	l.ended = append(l.ended, e)
}

func (l *ledger) forgetOldest() {
	e := l.ended[0]
	l.ended[0] = nil
	l.ended = l.ended[1:]
	l.free = append(l.free, e.slot)
	if l.byID[e.operation.ID] == e {
		delete(l.byID, e.operation.ID)
	}
}

// find returns the operation with that id, or nil.
func (l *ledger) find(id string) *entry { return l.byID[id] }

// load remembers what a store has kept, before anything else is added. It returns what has
// ended, in the order of the ends, and what has not, in the order of acceptance.
func (l *ledger) load(records []Record) (ended, pending []*entry) {
	taken := make(map[int]bool)
	for _, r := range records {
		e := &entry{operation: r.Operation, givenUp: r.GivenUp, slot: r.Slot, accepted: r.Accepted, ended: r.Ended}
		taken[r.Slot] = true
		l.slots = max(l.slots, r.Slot+1)
		l.accepted, l.ends = max(l.accepted, r.Accepted), max(l.ends, r.Ended)
		if r.Ended > 0 {
			ended = append(ended, e)
		} else {
			pending = append(pending, e)
		}
	}
	for slot := range l.slots {
		if !taken[slot] {
			l.free = append(l.free, slot)
		}
	}
	slices.SortFunc(ended, func(a, b *entry) int { return cmp.Compare(a.ended, b.ended) })
	slices.SortFunc(pending, func(a, b *entry) int { return cmp.Compare(a.accepted, b.accepted) })
	for _, e := range slices.Concat(ended, pending) {
		l.byID[e.operation.ID] = e
	}
	l.ended = slices.Clone(ended)
	return ended, pending
}
