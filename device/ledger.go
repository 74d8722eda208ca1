package device

// A ledger knows the latest accepted operations by their id.
type ledger struct {
	byID map[string]*task
	ring [remembered]string // ids in order of acceptance
	next int
}

func newLedger() *ledger { return &ledger{byID: make(map[string]*task)} }

// add remembers the task, in place of the oldest one.
func (l *ledger) add(t *task) {
	delete(l.byID, l.ring[l.next])
	l.ring[l.next] = t.operation.ID
	l.byID[t.operation.ID] = t
	l.next = (l.next + 1) % len(l.ring)
}

// find returns the task with that id, or nil.
func (l *ledger) find(id string) *task { return l.byID[id] }
