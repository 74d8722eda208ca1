package client

import (
	"encoding/json"
	"slices"

	"github.com/plate-resort/plate-resort/device"
)

// maxOpen is how many submissions are remembered that have not ended.
const maxOpen = 1000

// remember has the client listen for the events of a submission. Of one that was given up for newer ones the device is
// asked again.
func (c *Client) remember(s *Submission) {
	if s.remembered {
		return
	}
	if len(c.open) == maxOpen {
		c.forget(c.open[0])
	}
	c.open = append(c.open, s)
	s.remembered, s.heard = true, 0
}

func (c *Client) forget(s *Submission) {
	c.open = slices.DeleteFunc(c.open, func(other *Submission) bool { return other == s })
	s.remembered = false
}

// hear takes from a message what it says of the submissions: from the events, and from what is retained when it comes
// with a subscription, as events may have been missed before.
func (c *Client) hear(m Message) {
	switch {
	case m.Topic == Availability:
		c.broadcast()
		return
	case len(c.open) == 0, m.Topic != Operation && !m.Retained: // what is retained repeats what the events have said
		return
	}
	switch m.Topic {
	case Operation:
		c.hearOf(m, decode[device.Operation](m))
	case History, Queue:
		c.hearOf(m, decode[[]device.Operation](m)...)
	case State:
		if op := decode[device.Snapshot](m).Operation; op != nil {
			c.hearOf(m, *op)
		}
	}
}

// decode returns what a message says, or nothing if it cannot be read.
func decode[T any](m Message) (v T) {
	_ = json.Unmarshal(m.Payload, &v)
	return v
}

// hearOf adds to the submissions what a message says of their operations.
func (c *Client) hearOf(m Message, operations ...device.Operation) {
	for _, op := range operations {
		for _, s := range slices.Clone(c.open) {
			if s.Device == m.Device && s.is(op, m.Retained) {
				c.add(s, op)
			}
		}
	}
}

// add adds an event to a submission, unless it is a copy.
func (c *Client) add(s *Submission, op device.Operation) {
	if len(s.events) > 0 && op.State == device.Rejected {
		return // another command with the same id
	}
	s.heard = c.session
	if s.ID == "" { // until Submit returns
		s.ID = op.ID
	}
	if !slices.ContainsFunc(s.events, func(e device.Operation) bool { return e.State == op.State && e.Attempt == op.Attempt }) {
		s.events = append(s.events, op)
	}
	if op.State.Ended() {
		c.forget(s)
	}
	c.broadcast()
}

// is reports whether the operation is that of the submission. A cancel is known by what it cancels, until its answer
// tells its id; an earlier one of the same may be retained.
func (s *Submission) is(op device.Operation, retained bool) bool {
	if s.ID != "" {
		return op.ID == s.ID
	}
	return !retained && op.Name == device.CancelOperation && op.Parameters.Target != nil && *op.Parameters.Target == s.cancels
}
