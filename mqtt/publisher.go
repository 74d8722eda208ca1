package mqtt

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/plate-resort/plate-resort/device"
)

const (
	// window is how many events may be on their way to the broker, unacknowledged.
	window = 20
	// stateInterval is the least time between two states of the same status and torque.
	stateInterval = 200 * time.Millisecond
	// farewellTimeout bounds what is sent when the program ends.
	farewellTimeout = time.Second
)

// A publisher sends what the device has to say, in one session.
type publisher struct {
	client paho.Client
	topics Topics
	device *device.Device

	sent      uint64 // the last event sent in this session
	unacked   []unacked
	state     paho.Token // of the last state; nil when it is acknowledged
	stateAt   time.Time
	published *device.Snapshot
}

// unacked is an event that the broker has not acknowledged.
type unacked struct {
	sequence uint64
	token    paho.Token
}

// run publishes everything current, says online, and then publishes every change until ctx ends.
func (p *publisher) run(ctx context.Context) error {
	if err := p.publishState(); err != nil {
		return err
	}
	p.client.Publish(p.topics.Availability(), 1, true, "online")
	later := time.NewTimer(0)
	defer later.Stop()
	for {
		if err := p.publishEvents(); err != nil {
			return err
		}
		if wait, due := p.stateDue(); due && wait <= 0 {
			if err := p.publishState(); err != nil {
				return err
			}
		} else if due {
			later.Reset(wait)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.device.Changed():
		case <-p.device.Outbox().Added():
		case <-later.C:
		case <-done(p.state):
			if err := p.state.Error(); err != nil {
				return fmt.Errorf("publish the state: %w", err)
			}
			p.state = nil
		case <-p.oldest():
			if err := p.acknowledged(); err != nil {
				return err
			}
		}
	}
}

// stateDue reports whether there is a new state, and how long it must wait. While the last one is
// unacknowledged it is not due: the newest goes when the broker has taken that.
func (p *publisher) stateDue() (wait time.Duration, due bool) {
	s := p.device.Snapshot()
	if s == p.published || p.state != nil {
		return 0, false
	}
	if s.Status == p.published.Status && s.Torque == p.published.Torque {
		return stateInterval - time.Since(p.stateAt), true
	}
	return 0, true
}

func (p *publisher) publishState() error {
	s := p.device.Snapshot()
	payload, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the state: %w", err)
	}
	p.state = p.client.Publish(p.topics.State(), 1, true, payload)
	p.published, p.stateAt = s, time.Now()
	return nil
}

func (p *publisher) publishEvents() error {
	for _, e := range p.device.Outbox().After(p.sent, window-len(p.unacked)) {
		payload, err := json.Marshal(e.Operation)
		if err != nil {
			return fmt.Errorf("encode an operation: %w", err)
		}
		token := p.client.Publish(p.topics.Operation(), 1, false, payload)
		p.unacked = append(p.unacked, unacked{e.Sequence, token})
		p.sent = e.Sequence
	}
	return nil
}

// oldest receives when the oldest event on its way is acknowledged.
func (p *publisher) oldest() <-chan struct{} {
	if len(p.unacked) == 0 {
		return nil
	}
	return p.unacked[0].token.Done()
}

func (p *publisher) acknowledged() error {
	e := p.unacked[0]
	if err := e.token.Error(); err != nil {
		return fmt.Errorf("publish an operation: %w", err)
	}
	p.unacked = p.unacked[1:]
	p.device.Outbox().Delivered(e.sequence)
	return nil
}

// farewell sends what is left, and offline, and waits until the broker has it.
func (p *publisher) farewell() error {
	timeout := time.NewTimer(farewellTimeout)
	defer timeout.Stop()
	await := func(t <-chan struct{}) bool {
		select {
		case <-t:
			return true
		case <-timeout.C:
			return false
		}
	}
	for {
		if err := p.publishEvents(); err != nil {
			return err
		}
		if len(p.unacked) == 0 {
			break
		}
		if !await(p.oldest()) {
			return errFarewell
		}
		if err := p.acknowledged(); err != nil {
			return err
		}
	}
	if err := p.publishState(); err != nil {
		return err
	}
	offline := p.client.Publish(p.topics.Availability(), 1, true, "offline")
	if !await(p.state.Done()) || !await(offline.Done()) {
		return errFarewell
	}
	return offline.Error()
}

var errFarewell = fmt.Errorf("the broker did not take the farewell within %v", farewellTimeout)

// done is the token's channel; that of no token never receives.
func done(t paho.Token) <-chan struct{} {
	if t == nil {
		return nil
	}
	return t.Done()
}
