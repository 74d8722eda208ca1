package scheduler

import (
	"encoding/json"
	"maps"
	"sync"
)

// A Store keeps schedules, by name. What is in them is the scheduler's business.
type Store interface {
	// LoadSchedules returns what was saved. It is called once, before anything is saved.
	LoadSchedules() (map[string]json.RawMessage, error)
	// SaveSchedules keeps these, in place of what it had of those names, all of them or none, before it
	// returns; nil deletes one. Calls do not overlap, and may take as long as a disk takes.
	SaveSchedules(map[string]json.RawMessage) error
}

// Memory is a Store that lasts as long as the program. The zero value is empty and ready for use.
type Memory struct {
	mu    sync.Mutex
	saved map[string]json.RawMessage
}

var _ Store = (*Memory)(nil)

// LoadSchedules implements [Store].
func (m *Memory) LoadSchedules() (map[string]json.RawMessage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.saved), nil
}

// SaveSchedules implements [Store].
func (m *Memory) SaveSchedules(schedules map[string]json.RawMessage) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.saved == nil {
		m.saved = make(map[string]json.RawMessage)
	}
	for name, s := range schedules {
		if s == nil {
			delete(m.saved, name)
		} else {
			m.saved[name] = s
		}
	}
	return nil
}
