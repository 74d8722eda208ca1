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
	// sureOperations is how many others may end before a device is not asked for an operation any more. It knows the
	// latest 1,000 ids; those of what waits are among them.
	sureOperations = 500
)

// never is a long time.
const never = time.Duration(-1)

func after(d time.Duration) <-chan time.Time {
	if d == never {
		return nil
	}
	return time.After(d)
}

// due is how long it is until the command is to be sent, or looked at again; 0 is to be sent now. The error says why it
// never will be.
func (s *Submission) due(now time.Time) (time.Duration, error) {
	c := s.client
	availability, known := c.latest[s.Device][Availability]
	online := string(availability.Payload) == mqtt.Online
	since := c.since // what is known of the device has been like this
	if availability.Received.After(since) {
		since = availability.Received
	}
	switch {
	case c.since.IsZero(), s.heard == c.session:
		return never, nil
	case len(s.events) > 0 && !online:
		return never, nil // it will come back, and tell
	case len(s.events) > 0:
		return s.dueAgain(now, since)
	case s.name == device.StopOperation && s.sentIn < c.session:
		return 0, nil
	case s.ID == "" && s.sentIn > 0 && s.sentIn < c.session: // a cancel, which is sent once
		return 0, ErrUnanswered
	case online && s.sentIn < c.session:
		return 0, nil
	case online && now.Sub(s.asked) < answerPatience:
		if s.ID == "" {
			return answerPatience - now.Sub(s.asked), nil
		}
		return max(resendInterval-now.Sub(s.sent), 0), nil
	case online:
		return 0, ErrUnanswered
	case !known:
		return until(since.Add(retainedPatience), now, ErrUnknown)
	case s.name == device.StopOperation && (availability.Retained || availability.Received.Before(s.asked)):
		return 0, ErrOffline
	case s.sentIn > 0:
		return until(since.Add(returnPatience), now, ErrUnanswered)
	case c.session > 1: // the broker was away, and the device may have been only thereby
		return until(c.since.Add(returnPatience), now, ErrOffline)
	}
	return 0, ErrOffline
}

// until waits for a time, when there is no more hope.
func until(then, now time.Time, problem error) (time.Duration, error) {
	if wait := then.Sub(now); wait > 0 {
		return wait, nil
	}
	return 0, problem
}

// dueAgain is when to ask for what was accepted, but of which nothing has been heard since then: in this session, since
// the device has come back, or as a receipt. What is retained may tell of it, so that comes first.
func (s *Submission) dueAgain(now, since time.Time) (time.Duration, error) {
	for _, t := range []time.Time{s.sent, s.missed} {
		if t.After(since) {
			since = t
		}
	}
	if wait := since.Add(resendInterval).Sub(now); wait > 0 {
		return wait, nil
	}
	if total := s.client.total(s.Device); total < s.total || total-s.total >= sureOperations {
		return 0, ErrForgotten
	}
	return 0, nil
}

// total is how many operations of a device have ended, as far as is known.
func (c *Client) total(id string) uint64 {
	return decode[device.Snapshot](c.latest[id][State]).OperationsTotal
}
