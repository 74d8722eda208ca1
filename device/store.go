package device

import (
	"slices"
	"sync"
)

// A Store keeps what must outlive the process. A call may take as long as a disk takes: nothing that moves
// or stops the carousel waits for it. Save may be called concurrently.
type Store interface {
	// Load returns what was saved, before the device starts.
	Load() (Saved, error)
	// Save keeps the records, all or none of them, before it returns.
	Save([]Record) error
}

// Saved is what a device begins with.
type Saved struct {
	// Latched says that the emergency stop was pressed and not reset.
	Latched bool
	// Released says that the motor was released and not connected again, both by command.
	Released bool
	// Operations are the latest accepted operations with their last state, oldest first.
	Operations []Operation
}

// A Record is what to keep: a new state of an operation, of the latch, of the release.
type Record struct {
	Operation *Operation
	Latched   *bool
	Released  *bool
}

// remembered is how many accepted operations are known by their id.
const remembered = 1000

// Memory is a Store that lasts as long as the program. The zero value is empty and ready for use.
type Memory struct {
	mu    sync.Mutex
	saved Saved
}

var _ Store = (*Memory)(nil)

// Load implements [Store].
func (m *Memory) Load() (Saved, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	saved := m.saved
	saved.Operations = slices.Clone(saved.Operations)
	return saved, nil
}

// Save implements [Store].
func (m *Memory) Save(records []Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range records {
		if r.Latched != nil {
			m.saved.Latched = *r.Latched
		}
		if r.Released != nil {
			m.saved.Released = *r.Released
		}
		if r.Operation != nil {
			m.keep(*r.Operation)
		}
	}
	return nil
}

func (m *Memory) keep(op Operation) {
	for i := len(m.saved.Operations) - 1; i >= 0; i-- {
		if m.saved.Operations[i].ID == op.ID {
			m.saved.Operations[i] = op
			return
		}
	}
	if len(m.saved.Operations) == remembered {
		m.saved.Operations = append(m.saved.Operations[:0], m.saved.Operations[1:]...)
	}
	m.saved.Operations = append(m.saved.Operations, op)
}
