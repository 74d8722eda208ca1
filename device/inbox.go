package device

import "sync"

// inboxSize is how many commands may wait for Run to look at them, which takes microseconds.
const inboxSize = 256

// An inbox holds what has come for Run: presses of the emergency stop, which are never refused, and
// commands, of which only so many may wait. It is safe for concurrent use, and nobody waits for it.
type inbox struct {
	arrived chan struct{} // receives after something has come

	mu       sync.Mutex
	closed   bool
	presses  []press
	commands []Command
}

func newInbox() *inbox { return &inbox{arrived: make(chan struct{}, 1)} }

// press adds a press, unless the inbox is closed. Run learns of it with what comes next, or by announce.
func (i *inbox) press(p press) (taken bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return false
	}
	i.presses = append(i.presses, p)
	return true
}

// put adds a command, or tells why not.
func (i *inbox) put(c Command) *Error {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.closed:
		return errShutDown
	case len(i.commands) == inboxSize:
		return Errorf(CodeQueueFull, "commands come faster than they can be looked at; send fewer")
	}
	i.commands = append(i.commands, c)
	i.announce()
	return nil
}

func (i *inbox) announce() {
	select {
	case i.arrived <- struct{}{}:
	default:
	}
}

// take returns what has come, each kind in its order, and leaves the inbox empty.
func (i *inbox) take() ([]press, []Command) {
	i.mu.Lock()
	defer i.mu.Unlock()
	presses, commands := i.presses, i.commands
	i.presses, i.commands = nil, nil
	return presses, commands
}

// close refuses what comes from now on.
func (i *inbox) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
}
