package scheduler

import (
	"encoding/json"
	"sync"
	"time"
)

// clockKey is where the store keeps what is known of the clock. It is no name of a schedule.
const clockKey = ".clock"

// A clock is the wall clock, with the latest time that it has shown. It is safe for concurrent use.
type clock struct {
	read func() time.Time

	mu         sync.Mutex
	known      time.Time // the latest that it has shown, to the schedules or to an operation
	wrongUntil time.Time // it was ahead, once: until then, what operations have of it says nothing
}

// now is what the clock shows, and nothing of what has passed.
func (c *clock) now() time.Time { return c.read().UTC().Round(0) }

// latest is the latest time that it has shown.
func (c *clock) latest() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known
}

// saw takes note of a time that it has shown to the schedules.
func (c *clock) saw(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = latest(c.known, at)
}

// sawOperation takes note of a time that it has shown to an operation.
func (c *clock) sawOperation(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.After(c.wrongUntil) {
		c.known = latest(c.known, at)
	}
}

// behind reports whether it is behind the latest time that it has shown.
func (c *clock) behind() bool { return c.now().Add(slack).Before(c.latest()) }

// trust has what it shows now be right, and all later times that it has shown be wrong.
func (c *clock) trust() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known, c.wrongUntil = time.Time{}, latest(c.wrongUntil, c.known)
}

// A clockRecord is what is kept of a clock.
type clockRecord struct {
	WrongUntil time.Time `json:"wrong_until"`
}

func (c *clock) content() (json.RawMessage, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return json.Marshal(clockRecord{c.wrongUntil})
}

// load continues with what was kept.
func (c *clock) load(content json.RawMessage) error {
	if content == nil {
		return nil
	}
	var kept clockRecord
	err := json.Unmarshal(content, &kept)
	c.wrongUntil = kept.WrongUntil
	return err
}
