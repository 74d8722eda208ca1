package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt"
)

// A Command asks a device for an operation.
type Command struct {
	// Input is the level of the input's topic: the operation's name, such as hotel, or schedules/ and a schedule's.
	Input string
	// Fields are those of the payload in JSON, as the README lists them, but for id.
	Fields map[string]any
	// ID is the operation's; the same id again is the same operation. "" has the client make one. A cancel has none:
	// its field id is the operation to cancel.
	ID string
}

const (
	// resendInterval is how long an answer may take before the command is sent again.
	resendInterval = 2 * time.Second
	// publishTimeout bounds the wait for the broker's acknowledgement.
	publishTimeout = 5 * time.Second
	// retainedPatience is how long the broker may take for what it retains of a device.
	retainedPatience = time.Second
	// returnPatience is how long a device may take to come back to a broker that was away.
	returnPatience = 5 * time.Second
)

// What prevents a submission, besides an [OperationError].
var (
	// ErrUnknown means that the broker has never heard of the device.
	ErrUnknown = errors.New("is not known to the broker")
	// ErrOffline means that the device is away. What is sent to it is lost, except a stop, which it obeys on return.
	ErrOffline = errors.New("is offline")
	// ErrUnanswered means that a cancel may have been lost: it has no id, so it is not sent again.
	ErrUnanswered = errors.New("the connection to the broker was lost before the answer came")
)

// An OperationError is an operation that was rejected, or has ended other than completed. Its Error says why.
type OperationError struct{ Operation device.Operation }

func (e *OperationError) Error() string {
	if e.Operation.Error == nil {
		return fmt.Sprintf("%s: %s", e.Operation.Name, e.Operation.State)
	}
	return fmt.Sprintf("%s: %s: %s", e.Operation.Name, e.Operation.State, e.Operation.Error.Message)
}

// A Submission is an operation on its way.
type Submission struct {
	ID     string // the operation's
	Device string // the device's id

	client  *Client
	cancels string // the operation to cancel; "" of all others
	stops   bool
	topic   string
	payload []byte

	// The client's lock guards what follows.
	events []device.Event // each change of state once
	sent   time.Time      // for the last time
	sentIn int            // in which session
	heard  int            // the last session with a receipt, if the device has been there since; else 0
	// remembered says that the client listens for its events.
	remembered bool
}

// Submit sends a command to a device, and returns when the device has answered that it was accepted: then the
// operation is carried out, whatever becomes of the client; or of the device, unless the first event is not durable.
// While there is no answer it is sent again, with the same id, also over the loss of the connection, until ctx ends. The
// error is an [OperationError] when the device rejects it, or [ErrOffline] or [ErrUnknown]. A stop is sent at once,
// whether the device is there or not.
//
// A client remembers a submission until its end, waited for or not, and 1,000 at most, the newest.
func (c *Client) Submit(ctx context.Context, deviceID string, command Command) (*Submission, error) {
	s := &Submission{
		ID: command.ID, Device: deviceID, client: c,
		topic: mqtt.NewTopics(c.config.BaseTopic, deviceID).Set(device.Name(command.Input)),
		stops: command.Input == string(device.StopOperation),
	}
	fields := maps.Clone(command.Fields)
	if fields == nil {
		fields = make(map[string]any)
	}
	if command.Input == string(device.CancelOperation) {
		s.cancels, _ = fields["id"].(string)
	} else {
		if s.ID == "" {
			s.ID = ulid.Make().String()
		}
		fields["id"] = s.ID
	}
	var err error
	if s.payload, err = json.Marshal(fields); err != nil {
		return nil, err
	}
	first, err := s.event(ctx, 0)
	if err == nil && first.Operation.State == device.Rejected {
		err = &OperationError{first.Operation}
	}
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.forget(s)
		return nil, err
	}
	return s, nil
}

// Wait follows the operation to its end, and returns it. The error is an [OperationError] unless it is completed.
// While the broker or the device is away it goes on, until ctx ends; a device that comes back, or has accepted the
// operation but could not store it, is sent the command again, with the same id.
func (s *Submission) Wait(ctx context.Context) (device.Operation, error) {
	var last device.Operation
	for e, err := range s.Events(ctx) {
		if err != nil {
			return last, err
		}
		last = e.Operation
	}
	if last.State != device.Completed {
		return last, &OperationError{last}
	}
	return last, nil
}

// Events are the changes of the operation's state, from the one that accepted it to its end, or to an error. One that
// came while the broker was away may be missing, except the last.
func (s *Submission) Events(ctx context.Context) iter.Seq2[device.Event, error] {
	return func(yield func(device.Event, error) bool) {
		for n := 0; ; n++ {
			e, err := s.event(ctx, n)
			if !yield(e, err) || err != nil || e.Operation.State.Ended() {
				return
			}
		}
	}
}

// event returns event number n of the operation, from 0 on. It sends the command whenever it is due.
func (s *Submission) event(ctx context.Context, n int) (device.Event, error) {
	c := s.client
	for {
		c.mu.Lock()
		if n < len(s.events) {
			e := s.events[n]
			c.mu.Unlock()
			return e, nil
		}
		c.remember(s)
		changed := c.changed
		due, err := s.due(time.Now())
		if err == nil && due == 0 {
			s.sent, s.sentIn = time.Now(), c.session
		}
		connection := c.mqtt
		c.mu.Unlock()
		if err != nil {
			return device.Event{}, fmt.Errorf("device %s %w", s.Device, err)
		}
		if due == 0 {
			token := connection.Publish(s.topic, 1, false, s.payload)
			select {
			case <-token.Done(): // an error ends the session, too
			case <-time.After(publishTimeout):
			case <-ctx.Done():
				return device.Event{}, context.Cause(ctx)
			}
			continue
		}
		select {
		case <-changed:
		case <-after(due):
		case <-c.ended:
			return device.Event{}, ErrClosed
		case <-ctx.Done():
			return device.Event{}, context.Cause(ctx)
		}
	}
}

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
	if c.since.IsZero() || s.heard == c.session {
		return never, nil
	}
	accepted := len(s.events) > 0
	if s.ID == "" && s.sentIn > 0 { // a cancel
		if s.sentIn < c.session {
			return 0, ErrUnanswered
		}
		return never, nil
	}
	if s.stops && s.sentIn < c.session {
		return 0, nil
	}
	connected := now.Sub(c.since)
	switch availability, known := c.latest[s.Device][Availability]; {
	case !known && connected < retainedPatience:
		return retainedPatience - connected, nil
	case known && string(availability.Payload) == mqtt.Online:
	case accepted:
		return never, nil // it will come back, and tell
	case c.session > 1 && connected < returnPatience: // the broker was away, and the device may have been only thereby
		return returnPatience - connected, nil
	case !known:
		return 0, ErrUnknown
	default:
		return 0, ErrOffline
	}
	wait := resendInterval - now.Sub(s.sent)
	if accepted { // what is retained may tell of it
		wait = max(wait, resendInterval-connected)
	}
	return max(wait, 0), nil
}
