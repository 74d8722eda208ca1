package client

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// A Topic is the last level of a topic that a device publishes.
type Topic string

// The topics. What they carry stands with the functions of [mqtt.Topics].
const (
	Availability Topic = "availability"
	State        Topic = "state"
	Health       Topic = "health"
	Operation    Topic = "operation"
	Queue        Topic = "queue"
	History      Topic = "history"
	Schedules    Topic = "schedules"
	Log          Topic = "log"
	// Broker is the client's own: the message is a [Connection] in JSON, and of no device.
	Broker Topic = "broker"
)

// retained are the topics whose latest message the broker keeps, and passing are the others.
var (
	retained = []Topic{Availability, State, Health, Queue, History, Schedules}
	passing  = []Topic{Operation, Log}
)

// A Message is something that a device has published.
type Message struct {
	Device   string // its id; "" with [Broker]
	Topic    Topic
	Payload  []byte // empty when a retained message was cleared
	Retained bool   // it was with the broker before the client subscribed
	Received time.Time
}

// Watch follows what the client's devices publish. First come the state of the connection to the broker and what
// is known of the retained topics, then everything as it comes; after a reconnection, which comes first, the retained
// ones come again.
// The channel is closed when ctx ends or the client is closed. Who reads slowly misses nothing until 10,000 messages
// wait; then the oldest are given up.
func (c *Client) Watch(ctx context.Context) <-chan Message {
	w := &watcher{added: make(chan struct{}, 1)}
	c.mu.Lock()
	w.queue = append(w.queue, c.connection())
	for _, topics := range c.latest {
		for _, m := range topics {
			w.queue = append(w.queue, m)
		}
	}
	slices.SortStableFunc(w.queue, func(a, b Message) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(slices.Index(retained, a.Topic), slices.Index(retained, b.Topic)))
	})
	c.watchers[w] = true
	c.mu.Unlock()

	messages := make(chan Message)
	go func() {
		defer close(messages)
		c.pump(ctx, w, messages)
		c.mu.Lock()
		delete(c.watchers, w)
		c.mu.Unlock()
	}()
	return messages
}

// maxWaiting is how many messages wait for one watcher.
const maxWaiting = 10_000

// A watcher is one Watch. The client's lock guards its queue.
type watcher struct {
	queue []Message
	added chan struct{} // receives when there is something in the queue
}

// pass hands a message to every watcher.
func (c *Client) pass(m Message) {
	for w := range c.watchers {
		if over := len(w.queue) + 1 - maxWaiting; over > 0 {
			w.queue = w.queue[over:]
		}
		w.queue = append(w.queue, m)
		select {
		case w.added <- struct{}{}:
		default:
		}
	}
}

// pump passes on what is in the queue.
func (c *Client) pump(ctx context.Context, w *watcher, messages chan<- Message) {
	for {
		m, ok := c.take(w)
		next, added := messages, w.added
		if ok {
			added = nil
		} else {
			next = nil
		}
		select {
		case next <- m:
		case <-added:
		case <-ctx.Done():
			return
		case <-c.ended:
			return
		}
	}
}

// take takes the oldest message out of the queue, if there is one.
func (c *Client) take(w *watcher) (m Message, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(w.queue) == 0 {
		return m, false
	}
	m, w.queue = w.queue[0], w.queue[1:]
	return m, true
}
