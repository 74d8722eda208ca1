package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/payload"
	"github.com/plate-resort/plate-resort/mqtt"
)

// A Command asks a device for an operation.
type Command struct {
	// Input is the level of the input's topic: the operation's name, such as hotel, or schedules/ and a schedule's.
	Input string
	// Fields are those of the payload in JSON, as the README lists them, but for id.
	Fields map[string]any
	// ID is the operation's, 1 to 64 printable characters; the same id again is the same operation. "" has the client
	// make one. A stop always has one that the client makes, and a cancel none: its field id, a string, is the operation
	// to cancel, or "all".
	ID string
}

// What prevents a submission or a wait, besides an [OperationError].
var (
	// ErrUnknown means that the broker has never heard of the device.
	ErrUnknown = errors.New("is not known to the broker")
	// ErrOffline means that the device is away. Nothing was sent, except a stop, which the device obeys on return.
	ErrOffline = errors.New("is offline")
	// ErrUnanswered means that the command was sent and no answer has come: the device may have it all the same.
	ErrUnanswered = errors.New("has not answered; it may have the command all the same")
	// ErrForgotten means that an operation was accepted, and that its end cannot be learned any more without the risk
	// that the device does it again.
	ErrForgotten = errors.New("has accepted the operation, but does not show any more what has become of it")
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
	name    device.Name
	cancels string // the operation to cancel
	topic   string
	payload []byte

	// The client's lock guards what follows.
	events     []device.Event // each change of state once
	asked      time.Time      // when it was sent for the first time in this session
	sent       time.Time      // when it was sent for the last time
	sentIn     int            // in which session; 0 is none
	heard      int            // the session in which the device has told of it, if nothing could be missed since; else 0
	missed     time.Time      // when the history had its end, of which the event had not come
	counted    bool           // there is a total
	total      uint64         // how many operations the device had when it was sent for the first time, or accepted
	remembered bool           // the client listens for its events
	waiting    int            // how many wait for them
}

// Submit sends a command to a device, and returns when the device has answered that it was accepted: then the
// operation is carried out, whatever becomes of the client; or of the device, if its first event is durable.
// While there is no answer it is sent again, with the same id, also over the loss of the connection, until ctx ends or
// a device that is there has not answered for 10 s. The error is an [OperationError] when the device rejects it, or
// [ErrUnanswered], [ErrOffline] or [ErrUnknown]. A stop is sent at once, whether the device is there or not, and
// whether ctx has ended.
//
// A client remembers a submission until its end, and 1,000 at most that nobody waits for, the newest.
func (c *Client) Submit(ctx context.Context, deviceID string, command Command) (*Submission, error) {
	s, err := c.newSubmission(deviceID, command)
	if err != nil {
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
		if s.sentIn > 0 && (ctx.Err() != nil || errors.Is(err, ErrClosed)) {
			err = fmt.Errorf("device %s %w: %w", s.Device, ErrUnanswered, err)
		}
		return nil, err
	}
	return s, nil
}

// newSubmission checks a command, as far as the answer to one that is wrong could not be told from others.
func (c *Client) newSubmission(deviceID string, command Command) (*Submission, error) {
	if !mqtt.DeviceIDPattern.MatchString(deviceID) {
		return nil, fmt.Errorf("%q is no id of a device: small letters, digits, - and _, beginning with a letter or digit, up to 64", deviceID)
	}
	if len(c.config.Devices) > 0 && !slices.Contains(c.config.Devices, deviceID) {
		return nil, fmt.Errorf("device %s is none of this client's, which are %v", deviceID, c.config.Devices)
	}
	if command.Input == "" || strings.ContainsAny(command.Input, "+#") {
		return nil, fmt.Errorf("%q is no input of a device, such as hotel or schedules/night", command.Input)
	}
	s := &Submission{
		ID: command.ID, Device: deviceID, client: c, name: device.Name(command.Input),
		topic: mqtt.NewTopics(c.config.BaseTopic, deviceID).Set(device.Name(command.Input)),
	}
	fields := maps.Clone(command.Fields)
	if fields == nil {
		fields = make(map[string]any)
	}
	switch s.name {
	case device.CancelOperation:
		s.ID = ""
		if s.cancels, _ = fields["id"].(string); s.cancels == "" || len(fields) > 1 {
			return nil, errors.New(`a cancel has the field id alone, a string: that of an operation, or "all"`)
		}
	case device.StopOperation: // it has nothing that could be wrong
		s.ID = ulid.Make().String()
		fields = map[string]any{"id": s.ID}
	default:
		if s.ID == "" {
			s.ID = ulid.Make().String()
		}
		raw, err := json.Marshal(s.ID)
		if err != nil {
			return nil, err
		}
		if _, err := payload.ID(raw); err != nil {
			return nil, err
		}
		fields["id"] = s.ID
	}
	var err error
	if s.payload, err = json.Marshal(fields); err != nil {
		return nil, err
	}
	if len(s.payload) > mqtt.MaxPayload {
		return nil, fmt.Errorf("the command has %d bytes, more than the %d that a device reads", len(s.payload), mqtt.MaxPayload)
	}
	return s, nil
}

// Wait follows the operation to its end, and returns it. The error is an [OperationError] unless it is completed.
// While the broker or the device is away it goes on, until ctx ends. Where an event may have been missed, or the
// device could not store the operation, it is asked by sending the command again, with the same id; if it has had too
// many others meanwhile to know that id for sure, the error is [ErrForgotten].
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
	c.mu.Lock()
	defer c.mu.Unlock()
	s.waiting++
	defer func() { s.waiting-- }()
	for n >= len(s.events) {
		c.remember(s)
		send, wait, err := s.due(time.Now())
		if err != nil {
			return device.Event{}, fmt.Errorf("device %s %w", s.Device, err)
		}
		if ctx.Err() != nil && !(send && s.name == device.StopOperation) {
			return device.Event{}, context.Cause(ctx)
		}
		news := c.changed
		if send {
			news, wait = s.send(), publishTimeout
		}
		var timeout <-chan time.Time // never
		if wait > 0 {
			timeout = time.After(wait)
		}
		c.mu.Unlock()
		select {
		case <-news:
		case <-timeout:
		case <-c.ended:
			err = ErrClosed
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		c.mu.Lock()
		if err != nil {
			return device.Event{}, err
		}
	}
	return s.events[n], nil
}

// send publishes the command. What it returns is closed when the broker has it, or the session has ended.
func (s *Submission) send() chan struct{} {
	now, session := time.Now(), s.client.session
	if s.sentIn == 0 {
		s.count()
	}
	if s.sentIn != session {
		s.asked, s.sentIn = now, session
	}
	s.sent = now
	connection, done := s.client.mqtt, make(chan struct{})
	go func() { // it takes as long as the connection is stuck
		defer close(done)
		connection.Publish(s.topic, 1, false, s.payload).WaitTimeout(publishTimeout)
	}()
	return done
}
