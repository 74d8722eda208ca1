package scheduler

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"
)

const (
	// saveInterval is the time between two attempts to save what could not be saved.
	saveInterval = time.Second
	// saveTimeout is how long the store may take before there is a warning, and how long a schedule that is set
	// waits for it.
	saveTimeout = 2 * time.Second
)

// A saver hands schedules to the store on a goroutine of its own, all that have changed since the last time
// at once.
type saver struct {
	store  Store
	gather time.Duration
	warn   func(message string) // "" takes it back
	log    *slog.Logger
	added  chan struct{}

	mu      sync.Mutex
	changed map[string]json.RawMessage // nil is deleted
	saved   []chan<- struct{}          // closed when what has changed so far is saved
	saving  bool                       // the store is at it
	trouble string                     // what there is a warning of
}

func newSaver(store Store, gather time.Duration, warn func(string), log *slog.Logger) *saver {
	return &saver{store: store, gather: gather, warn: warn, log: log, added: make(chan struct{}, 1), changed: make(map[string]json.RawMessage)}
}

// add takes the newest content of a schedule, nil when it is deleted. If saved is not nil it is closed once
// that is durable. It never waits.
func (s *saver) add(name string, content json.RawMessage, saved chan<- struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed[name] = content
	if saved != nil {
		s.saved = append(s.saved, saved)
	}
	select {
	case s.added <- struct{}{}:
	default:
	}
}

// run saves what is added until done is closed, and then what is left.
func (s *saver) run(done <-chan struct{}) {
	var retry <-chan time.Time
	for {
		ending := false
		select {
		case <-s.added:
			if s.gather > 0 {
				time.Sleep(s.gather)
			}
		case <-retry:
		case <-done:
			ending = true
		}
		if !s.flush() {
			retry = time.After(saveInterval)
		}
		if ending {
			return
		}
	}
}

// flush saves what has changed, and reports whether it is saved. What is not is kept for the next time.
func (s *saver) flush() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, saved := s.changed, s.saved
	if len(changed) == 0 {
		return true
	}
	s.changed, s.saved = make(map[string]json.RawMessage), nil
	if err := s.save(changed); err != nil {
		maps.Copy(changed, s.changed) // what is newer
		s.changed, s.saved = changed, append(saved, s.saved...)
		s.tell(err.Error())
		return false
	}
	for _, c := range saved {
		close(c)
	}
	s.tell("")
	return true
}

// The following two are for those who hold the mutex.

// save waits for the store, without the mutex.
func (s *saver) save(changed map[string]json.RawMessage) error {
	s.saving = true
	s.mu.Unlock()
	watch := time.AfterFunc(saveTimeout, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.saving {
			s.tell(fmt.Sprintf("the disk has not taken them for %v; see whether it is failing or busy", saveTimeout))
		}
	})
	err := s.store.SaveSchedules(changed)
	watch.Stop()
	s.mu.Lock()
	s.saving = false
	return err
}

// tell warns of what is the matter with the store; "" takes it back.
func (s *saver) tell(trouble string) {
	if trouble == s.trouble {
		return
	}
	s.trouble = trouble
	if trouble == "" {
		s.warn("")
		s.log.Info("schedules are stored again")
		return
	}
	s.warn("Schedules are not stored and would be lost with the process: " + trouble)
	s.log.Error("cannot store schedules, they would be lost with the process", "error", trouble)
}
