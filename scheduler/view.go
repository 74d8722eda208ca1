package scheduler

import (
	"maps"
	"time"
)

// showInterval is the least time between two views that differ in what has become of runs, for each schedule
// in them.
const showInterval = time.Millisecond

// A View is all schedules by name. It is never changed after it was published.
type View map[string]*Status

// View returns a pointer to the [View] as it is now, for whoever publishes it. Another pointer is another view.
func (s *Scheduler) View() any { return s.view.Load() }

// Changed receives after View has changed. Changes that come faster than they are received are joined.
// It has one receiver.
func (s *Scheduler) Changed() <-chan struct{} { return s.changed }

// show has the schedule published as it is now.
func (s *Scheduler) show(e *entry) {
	s.next[e.name] = e.status()
	s.dirty = true
}

// publish changes the view if it is not current. What has become of runs may have to wait, so that schedules
// of which there are many are not published all the time; it returns how long.
func (s *Scheduler) publish() (wait time.Duration) {
	if !s.dirty {
		return 0
	}
	interval := time.Duration(len(s.entries)) * showInterval
	if wait := interval - time.Since(s.shown); wait > 0 && !s.urgent {
		return wait
	}
	s.dirty, s.urgent, s.shown = false, false, time.Now()
	view := maps.Clone(s.next)
	s.view.Store(&view)
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return 0
}
