package device

// A ledger knows the latest accepted operations by their id.
type ledger struct {
	byID map[string]*task
	ring [remembered]*task // in order of acceptance
	next int
}

func newLedger() *ledger { return &ledger{byID: make(map[string]*task)} }

// add remembers the task, in place of the oldest one. It takes over its id from an earlier task.
func (l *ledger) add(t *task) {
	if oldest := l.ring[l.next]; oldest != nil && l.byID[oldest.operation.ID] == oldest {
		delete(l.byID, oldest.operation.ID)
	}
	l.ring[l.next] = t
	l.byID[t.operation.ID] = t
	l.next = (l.next + 1) % len(l.ring)
}

// find returns the task with that id, or nil.
func (l *ledger) find(id string) *task { return l.byID[id] }
