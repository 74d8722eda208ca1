package client

import (
	"encoding/json"
	"slices"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt"
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
		if string(m.Payload) != mqtt.Online {
			c.unhear(m.Device)
		}
		c.broadcast()
		return
	case len(c.open) == 0, m.Topic != Operation && !m.Retained: // what is retained repeats what the events have said
		return
	}
	switch m.Topic {
	case Operation:
		c.hearOf(m, decode[device.Event](m))
	case History, Queue:
		c.hearOf(m, decode[[]device.Event](m)...)
	case State:
		if op := decode[device.Snapshot](m).Operation; op != nil {
			c.hearOf(m, device.Event{Operation: *op, Durable: true})
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

// hearOf adds to the submissions what a message says of their operations.
func (c *Client) hearOf(m Message, events ...device.Event) {
	for _, e := range events {
		for _, s := range slices.Clone(c.open) {
			if s.Device == m.Device && s.is(e.Operation, m.Retained) {
				c.add(s, e)
			}
		}
	}
}

// add adds an event to a submission, unless it is a copy. What was accepted is rejected only by a device that has
// forgotten it and is asked again; else that is the answer to another command with the same id.
func (c *Client) add(s *Submission, e device.Event) {
	op := e.Operation
	if op.State == device.Rejected && len(s.events) > 0 && (s.heard == c.session || code(op) == device.CodeDuplicateID) {
		return
	}
	if e.Durable {
		s.heard = c.session
	}
	if s.ID == "" { // until Submit returns
		s.ID = op.ID
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
// tells its id; an earlier one of the same may be retained.
func (s *Submission) is(op device.Operation, retained bool) bool {
	if s.ID != "" {
		return op.ID == s.ID
	}
	return !retained && op.Name == device.CancelOperation && op.Parameters.Target != nil && *op.Parameters.Target == s.cancels
}

// code is why an operation has not been completed.
func code(op device.Operation) device.Code {
	if op.Error == nil {
		return ""
	}
	return op.Error.Code
}
