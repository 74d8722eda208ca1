package scheduler

import "time"

// Look is what Run does each time it looks at the clock.
func (s *Scheduler) Look() time.Duration { return s.look(false) }
