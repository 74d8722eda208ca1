package scheduler

import (
	"encoding/json"
	"log/slog"
	"maps"
	"sync"
	"time"
)

// saveInterval is the time between two attempts to save what could not be saved.
const saveInterval = time.Second

// A saver hands schedules to the store on a goroutine of its own, all that have changed since the last time
// at once.
type saver struct {
	store Store
	warn  func(message string) // "" takes it back
	log   *slog.Logger
	added chan struct{}

	mu      sync.Mutex
	changed map[string]json.RawMessage // nil is deleted
	saved   []chan<- struct{}          // closed when what has changed so far is saved
}

func newSaver(store Store, warn func(string), log *slog.Logger) *saver {
	return &saver{store: store, warn: warn, log: log, added: make(chan struct{}, 1), changed: make(map[string]json.RawMessage)}
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
	failed := false
	for {
		ending := false
		select {
		case <-s.added:
		case <-retry:
		case <-done:
			ending = true
		}
		err := s.flush()
		switch {
		case err != nil:
			retry = time.After(saveInterval)
			s.warn("Schedules cannot be stored and would be lost with the process: " + err.Error())
			if !failed {
				s.log.Error("cannot store schedules, they would be lost with the process", "error", err)
			}
		case failed:
			s.warn("")
		}
		failed = err != nil
		if ending {
			return
		}
	}
}

// flush saves what has changed. What could not be saved is kept for the next time.
func (s *saver) flush() error {
	s.mu.Lock()
	changed, saved := s.changed, s.saved
	s.changed, s.saved = make(map[string]json.RawMessage), nil
	s.mu.Unlock()
	if len(changed) == 0 {
		return nil
	}
	if err := s.store.SaveSchedules(changed); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		maps.Copy(changed, s.changed) // what is newer
		s.changed, s.saved = changed, append(saved, s.saved...)
		return err
	}
	for _, c := range saved {
		close(c)
	}
	return nil
}
