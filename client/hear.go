package client

import (
	"encoding/json"
	"slices"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt"
)

// maxOpen is how many submissions are remembered that have not ended.
const maxOpen = 1000

// remember has the client listen for the events of a submission. Of one that was given up for newer ones, as nobody
// waited for it, the device is asked again.
func (c *Client) remember(s *Submission) {
	if s.remembered {
		return
	}
	if len(c.open) >= maxOpen {
		if idle := slices.IndexFunc(c.open, func(s *Submission) bool { return s.waiting == 0 }); idle >= 0 {
			c.forget(c.open[idle])
		}
	}
	c.open = append(c.open, s)
	s.remembered, s.heard = true, 0
}

func (c *Client) forget(s *Submission) {
	c.open = slices.DeleteFunc(c.open, func(other *Submission) bool { return other == s })
	s.remembered = false
}

// hear takes from a message what it says of the submissions. The first event of each is the answer to it; of what was
// accepted what is retained tells, too, as events may have been missed.
func (c *Client) hear(m Message) {
	switch {
	case m.Topic == Availability:
		if string(m.Payload) != mqtt.Online {
			c.unhear(m.Device)
		}
		c.broadcast()
	case len(c.open) == 0:
	case m.Topic == Operation && !m.Retained:
		c.hearOf(m.Device, true, decode[device.Event](m))
	case m.Topic == History && !m.Retained:
		c.miss(m)
	case m.Topic == History, m.Topic == Queue && m.Retained:
		c.hearOf(m.Device, false, decode[[]device.Event](m)...)
	case m.Topic == State && m.Retained:
		if op := decode[device.Snapshot](m).Operation; op != nil {
			c.hearOf(m.Device, false, device.Event{Operation: *op, Durable: true})
		}
	}
}

// miss looks for ends whose event has not come yet. A broker may drop it for a client that is slow.
func (c *Client) miss(history Message) {
	for _, e := range decode[[]device.Event](history) {
		for _, s := range c.open {
			if s.Device == history.Device && len(s.events) > 0 && s.is(e.Operation) && s.missed.IsZero() {
				s.heard, s.missed = 0, history.Received
				c.broadcast()
			}
		}
	}
}

// unhear notes that a device is away: one whose disk has failed forgets what it has accepted.
func (c *Client) unhear(device string) {
	for _, s := range c.open {
		if s.Device == device {
			s.heard = 0
		}
	}
}

// decode returns what a message says, or nothing if it cannot be read.
func decode[T any](m Message) (v T) {
	_ = json.Unmarshal(m.Payload, &v)
	return v
}

// hearOf adds to the submissions what a message says of their operations. Answers are what devices say when they are
// asked.
func (c *Client) hearOf(id string, answers bool, events ...device.Event) {
	for _, e := range events {
		for _, s := range slices.Clone(c.open) {
			if s.Device == id && s.is(e.Operation) && (len(s.events) > 0 || answers && s.sentIn > 0) {
				c.add(s, e)
			}
		}
	}
}

// add adds an event to a submission, unless it is a copy. What was accepted is rejected only by a device that has
// forgotten it and is asked again; else that is the answer to another command with the same id, or to none at all.
func (c *Client) add(s *Submission, e device.Event) {
	op := e.Operation
	if op.State == device.Rejected && len(s.events) > 0 && (s.heard == c.session || code(op) == device.CodeDuplicateID || code(op) == device.CodeQueueFull) {
		return
	}
	if e.Durable && s.missed.IsZero() {
		s.heard = c.session
	}
	if len(s.events) == 0 {
		s.ID = op.ID
		s.count()
	}
	if !slices.ContainsFunc(s.events, func(e device.Event) bool {
		return e.Operation.State == op.State && e.Operation.Attempt == op.Attempt
	}) {
		s.events = append(s.events, e)
	}
	if op.State.Ended() {
		c.forget(s)
	}
	c.broadcast()
}

// is reports whether the operation is that of the submission. A cancel is known by what it cancels, until its answer
// tells its id.
func (s *Submission) is(op device.Operation) bool {
	if s.ID != "" {
		return op.ID == s.ID
	}
	return op.Name == s.name && op.Parameters.Target != nil && *op.Parameters.Target == s.cancels
}

// code is why an operation has not been completed.
func code(op device.Operation) device.Code {
	if op.Error == nil {
		return ""
	}
	return op.Error.Code
}
