package mqtt

import "sync"

// A condition holds or does not, and can be waited for. Safe for concurrent use.
type condition struct {
	mu          sync.Mutex
	on          bool
	isOn, isOff chan struct{} // closed while on, or while not
}

func newCondition() *condition {
	c := &condition{isOn: make(chan struct{}), isOff: make(chan struct{})}
	close(c.isOff)
	return c
}

func (c *condition) set(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case on && !c.on:
		close(c.isOn)
		c.isOff = make(chan struct{})
	case !on && c.on:
		close(c.isOff)
		c.isOn = make(chan struct{})
	}
	c.on = on
}

// is receives once the condition holds.
func (c *condition) is() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isOn
}

// isNot receives once the condition does not hold.
func (c *condition) isNot() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isOff
}

func (c *condition) holds() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.on
}
