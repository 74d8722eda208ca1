package client

import (
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt"
)

const (
	// resendInterval is how long an answer may take before the command is sent again.
	resendInterval = 2 * time.Second
	// publishTimeout bounds the wait for the broker's acknowledgement.
	publishTimeout = 5 * time.Second
	// answerPatience is how long a device that is there may take for its first answer in all.
	answerPatience = 10 * time.Second
	// retainedPatience is how long the broker may take for what it retains of a device.
	retainedPatience = time.Second
	// returnPatience is how long a device may take to come back to a broker that was away, or before it has answered.
	returnPatience = 5 * time.Second
	// sureOperations is how many others may have come before a device is not asked for an operation any more. It knows
	// the latest 1,000.
	sureOperations = 500
)

// due says whether the command is to be sent now; or else how long it is until that is to be looked at again, 0 if there
// is nothing to do until something is heard. The error says why it never will be.
func (s *Submission) due(now time.Time) (send bool, wait time.Duration, err error) {
	c := s.client
	switch {
	case s.name == device.StopOperation && c.mqtt != nil && s.sentIn < c.session && len(s.events) == 0:
		return true, 0, nil
	case c.since.IsZero():
		return false, 0, nil
	case len(s.events) > 0:
		return s.dueAgain(now)
	}
	return s.dueFirst(now)
}

// dueFirst is for a command without an answer.
func (s *Submission) dueFirst(now time.Time) (send bool, wait time.Duration, err error) {
	c := s.client
	availability, known := c.latest[s.Device][Availability]
	sent, here := s.sentIn > 0, s.sentIn == c.session
	switch online := string(availability.Payload) == mqtt.Online; {
	case s.ID == "" && sent && !here: // a cancel, which is sent once
		return false, 0, ErrUnanswered
	case online && !here && s.counted && !c.has(s.Device, State):
		return until(now, c.since.Add(retainedPatience), ErrUnanswered)
	case online && !here && !s.sure():
		return false, 0, ErrUnanswered
	case online && !here:
		return true, 0, nil
	case online && now.Sub(s.asked) >= answerPatience:
		return false, 0, ErrUnanswered
	case online && s.ID == "":
		return until(now, s.asked.Add(answerPatience), ErrUnanswered)
	case online:
		wait := s.sent.Add(resendInterval).Sub(now)
		return wait <= 0, wait, nil
	case s.name == device.StopOperation && known && (availability.Retained || availability.Received.Before(s.asked)):
		return false, 0, ErrOffline
	case sent: // it may have been away only with the broker
		return until(now, c.heardSince(availability).Add(returnPatience), ErrUnanswered)
	case c.session > 1 && known:
		return until(now, c.since.Add(returnPatience), ErrOffline)
	case c.session > 1:
		return until(now, c.since.Add(returnPatience), ErrUnknown)
	case !known:
		return until(now, c.since.Add(retainedPatience), ErrUnknown)
	}
	return false, 0, ErrOffline
}

// until waits for a time, after which there is no hope.
func until(now, end time.Time, problem error) (send bool, wait time.Duration, err error) {
	if wait := end.Sub(now); wait > 0 {
		return false, wait, nil
	}
	return false, 0, problem
}

// dueAgain is for an operation that was accepted. The device is asked when nothing has been heard of it for a while: in
// this session, since the device has come back, as a receipt, or of its end. What is retained may tell of it before.
func (s *Submission) dueAgain(now time.Time) (send bool, wait time.Duration, err error) {
	c := s.client
	availability := c.latest[s.Device][Availability]
	if s.heard == c.session || string(availability.Payload) != mqtt.Online {
		return false, 0, nil // it will tell
	}
	since := c.heardSince(availability)
	for _, t := range []time.Time{s.sent, s.missed} {
		if t.After(since) {
			since = t
		}
	}
	switch wait := since.Add(resendInterval).Sub(now); {
	case wait > 0:
		return false, wait, nil
	case !s.sure():
		return false, 0, ErrForgotten
	}
	return true, 0, nil
}

// heardSince is since when a device is known to be there, or not, in this session.
func (c *Client) heardSince(availability Message) time.Time {
	if availability.Received.After(c.since) {
		return availability.Received
	}
	return c.since
}

func (c *Client) has(id string, topic Topic) bool {
	_, ok := c.latest[id][topic]
	return ok
}

// count notes how many operations the device has had.
func (s *Submission) count() {
	s.total, s.counted = s.client.total(s.Device), s.client.has(s.Device, State)
}

// sure reports whether the device still knows the operation, if it has had it: it has not had many others since, nor
// fewer operations than then.
func (s *Submission) sure() bool {
	total := s.client.total(s.Device)
	return !s.counted || total+1 >= s.total && total < s.total+sureOperations // one may be between its attempts
}

// total is how many operations a device has had, as far as is known.
func (c *Client) total(id string) uint64 {
	state := decode[device.Snapshot](c.latest[id][State])
	total := state.OperationsTotal + uint64(state.QueueLength)
	if state.Operation != nil {
		total++
	}
	return total
}
