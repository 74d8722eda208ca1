package device

import (
	"maps"
	"slices"
	"sync"
)

// warnings are what is wrong without preventing work, by subject. Safe for concurrent use.
type warnings struct {
	changed chan struct{}

	mu        sync.Mutex
	bySubject map[string]string
}

func newWarnings() *warnings {
	return &warnings{changed: make(chan struct{}, 1), bySubject: make(map[string]string)}
}

func (w *warnings) set(subject, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bySubject[subject] == message {
		return
	}
	w.bySubject[subject] = message
	if message == "" {
		delete(w.bySubject, subject)
	}
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// list returns the messages in the order of their subjects.
func (w *warnings) list() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var messages []string
	for _, subject := range slices.Sorted(maps.Keys(w.bySubject)) {
		messages = append(messages, w.bySubject[subject])
	}
	return messages
}
