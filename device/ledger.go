package device

import (
	"cmp"
	"slices"
)

// remembered is how many accepted operations are known by their id at least.
const remembered = 1000

// A ledger knows operations by their id: those that have not ended, and those that have, in the order of
// their ends, until 1,000 others have been accepted since. It gives each a slot in the store. Adding and
// ending take the same time however many there are.
type ledger struct {
	byID     map[string]*task
	ended    []*task // oldest first
	free     []int   // slots
	slots    int     // slots in use, and free ones
	accepted uint64  // operations so far
	ends     uint64
}

func newLedger() *ledger { return &ledger{byID: make(map[string]*task)} }

// add remembers a task that has been accepted. It takes over its id from an earlier task.
func (l *ledger) add(t *task) {
	l.accepted++
	for len(l.ended) > 0 && l.ended[0].kept.Accepted+remembered <= l.accepted {
		l.forgetOldest()
	}
	if len(l.free) == 0 {
		l.free = append(l.free, l.slots)
		l.slots++
	}
	last := len(l.free) - 1
	t.kept = Record{Slot: l.free[last], Accepted: l.accepted}
	l.free = l.free[:last]
	l.byID[t.operation.ID] = t
}

// end takes note that a task has ended.
func (l *ledger) end(t *task) {
	l.ends++
	t.kept.Ended = l.ends
	l.ended = append(l.ended, t)
}

func (l *ledger) forgetOldest() {
	t := l.ended[0]
	l.ended[0] = nil
	l.ended = l.ended[1:]
	l.free = append(l.free, t.kept.Slot)
	if l.byID[t.operation.ID] == t {
		delete(l.byID, t.operation.ID)
	}
}

// find returns the task with that id, or nil.
func (l *ledger) find(id string) *task { return l.byID[id] }

// load remembers what a store has kept, before anything else is added. It returns the tasks of what has
// ended, in the order of the ends, and of what has not, in the order of acceptance.
func (l *ledger) load(records []Record) (ended, pending []*task) {
	taken := make(map[int]bool)
	for _, r := range records {
		t := &task{operation: r.Operation, givenUp: r.GivenUp, kept: Record{Slot: r.Slot, Accepted: r.Accepted, Ended: r.Ended}}
		taken[r.Slot] = true
		l.slots = max(l.slots, r.Slot+1)
		l.accepted, l.ends = max(l.accepted, r.Accepted), max(l.ends, r.Ended)
		if r.Ended > 0 {
			ended = append(ended, t)
		} else {
			pending = append(pending, t)
		}
	}
	for slot := range l.slots {
		if !taken[slot] {
			l.free = append(l.free, slot)
		}
	}
	slices.SortFunc(ended, func(a, b *task) int { return cmp.Compare(a.kept.Ended, b.kept.Ended) })
	slices.SortFunc(pending, func(a, b *task) int { return cmp.Compare(a.kept.Accepted, b.kept.Accepted) })
	for _, t := range slices.Concat(ended, pending) {
		l.byID[t.operation.ID] = t
	}
	l.ended = slices.Clone(ended)
	return ended, pending
}
