package scheduler

import "time"

// Look is what Run does each time it looks at the clock.
func (s *Scheduler) Look() time.Duration { return s.look(false) }

// Gather has what has changed wait for more before it is stored.
func (s *Scheduler) Gather(d time.Duration) { s.saver.gather = d }
