package session

import (
	"errors"
	"net/url"
	"slices"
	"sync"
)

// A Place is where connections meet if there are several brokers: those that share it are up at the same one. The last
// one where they were is tried first, then those after it in the list, and then those before it. While a connection is
// up the others join it; nothing calls it away to a broker that comes first in the list. Safe for concurrent use.
type Place struct {
	mu sync.Mutex
	at int // index in the list
	up int // how many connections are up there
}

// order returns the brokers in the order in which they are to be tried.
func (p *Place) order(brokers []*url.URL) []*url.URL {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.up > 0 {
		return brokers[p.at : p.at+1]
	}
	return slices.Concat(brokers[p.at:], brokers[:p.at])
}

// enter notes that a connection is up, unless others are up elsewhere.
func (p *Place) enter(at int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.up > 0 && p.at != at {
		return errElsewhere
	}
	p.at = at
	p.up++
	return nil
}

var errElsewhere = errors.New("the other connection is to another broker by now")

// leave notes that a connection that was up is so no longer.
func (p *Place) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up--
}

// avoid notes that a broker has taken a connection, of which nothing came. Others are tried before it.
func (p *Place) avoid(at int, brokers []*url.URL) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.up == 0 {
		p.at = (at + 1) % len(brokers)
	}
}
