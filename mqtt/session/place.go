package session

import (
	"context"
	"sync"
	"time"
)

const (
	// patience is how many attempts in a row a connection makes where the others are, before it looks elsewhere. Two
	// processes with one id, which take each other's connections, find that out before.
	patience = 5
	// lasting is how long connections must be up together so that nothing is wrong with the broker. One that does not
	// acknowledge what is published is found out in less.
	lasting = 30 * time.Second
	// Connections are called away at once, and then again after pauses that grow.
	minPause, maxPause = time.Minute, time.Hour
)

// A Place is where connections meet if there are several brokers: those that share it are up at the same one. The last
// one where they were is tried first, then those after it in the list, and then those before it. While a connection is
// up the others join it; nothing calls it away to a broker that comes first in the list. One that cannot join it looks
// at the other brokers in turn, and when it is up at one of them it calls the others there. Safe for concurrent use.
type Place struct {
	mu     sync.Mutex
	at     int                                     // index in the list
	up     map[*Connection]context.CancelCauseFunc // those that are up there, and how they are called away
	tries  map[*Connection]int                     // in a row, to join them; that they are well together ends the row
	paired time.Time                               // since when they are two
	called time.Time                               // when they were last called away
	pause  time.Duration                           // until they may be again
}

// order returns the indices of the brokers, of so many, in the order in which they are to be tried.
func (p *Place) order(c *Connection, brokers int) (order []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.up) > 0 {
		ahead := 0
		if p.tries[c]++; p.mayCall(c) {
			ahead = p.tries[c] - patience
		}
		return []int{(p.at + ahead) % brokers}
	}
	for i := range brokers {
		order = append(order, (p.at+i)%brokers)
	}
	return order
}

// mayCall reports whether a connection that cannot join the others may call them to where it can be.
func (p *Place) mayCall(c *Connection) bool {
	return p.tries[c] > patience && time.Since(p.called) >= p.pause
}

// enter notes that a connection is up, unless others are up elsewhere. It is told to leave when one of them calls it.
func (p *Place) enter(c *Connection, at int, leave context.CancelCauseFunc) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.up) > 0 && p.at != at {
		if !p.mayCall(c) {
			return errElsewhere
		}
		for _, leave := range p.up {
			leave(errCalled)
		}
		clear(p.up)
		p.called, p.pause = time.Now(), min(max(2*p.pause, minPause), maxPause)
	}
	if len(p.up) == 0 {
		p.at, p.up, p.tries = at, make(map[*Connection]context.CancelCauseFunc), make(map[*Connection]int)
	}
	if p.up[c] = leave; len(p.up) == 2 {
		p.paired = time.Now()
	}
	return nil
}

const (
	errElsewhere Intended = "the other connection is to another broker by now"
	errCalled    Intended = "the other connection cannot be to this broker, and is to another one"
)

// exit notes that a connection is over that one of so many brokers had taken. If it was never up there, others are
// tried before that one.
func (p *Place) exit(c *Connection, at, brokers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.up) == 0 {
		p.at = (at + 1) % brokers
	}
	if together := time.Since(p.paired); p.up[c] != nil && len(p.up) > 1 && together >= lasting {
		clear(p.tries)
		if together >= p.pause {
			p.pause = 0
		}
	}
	delete(p.up, c)
}
