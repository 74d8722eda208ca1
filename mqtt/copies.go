package mqtt

import (
	"hash/maphash"
	"sync"
	"time"
)

// A stop reaches the device twice, once on each connection. Both copies are obeyed, and the first one
// is answered.

// A way is one of the two connections.
type way int

const (
	stopWay    way = iota // the stop's own connection
	commandWay            // the connection of all other inputs
)

const (
	// copyWindow is how long after the first copy the second one may come: about how late a message
	// can be on a connection that stalls.
	copyWindow = 30 * time.Second
	// maxCopies is how many stops of one connection may wait for their second copy.
	maxCopies = 100
)

// copies pairs the copies of each stop. Safe for concurrent use.
type copies struct {
	mu      sync.Mutex
	waiting [2][]arrival // came on this way, but not on the other
}

type arrival struct {
	payload uint64 // its hash
	at      time.Time
}

var seed = maphash.MakeSeed()

// first reports whether a stop that came on that way is the first copy.
func (c *copies) first(w way, payload []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, hash := time.Now(), maphash.Bytes(seed, payload)
	other := &c.waiting[1-w]
	for len(*other) > 0 && now.Sub((*other)[0].at) > copyWindow {
		*other = (*other)[1:]
	}
	for i, a := range *other {
		if a.payload == hash {
			*other = append((*other)[:i:i], (*other)[i+1:]...)
			return false
		}
	}
	mine := &c.waiting[w]
	if len(*mine) == maxCopies {
		*mine = (*mine)[1:]
	}
	*mine = append(*mine, arrival{hash, now})
	return true
}

// lost says that what came on the other way will not come on this one any more.
func (c *copies) lost(w way) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting[1-w] = nil
}
