package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt/session"
)

const (
	// What the broker has refused is asked for again, at first so soon, and after pauses that grow: it may be allowed by
	// then. A cluster refuses also what it cannot do for the moment (NATS while it elects a leader).
	refusalPause, maxRefusalPause = time.Second, time.Minute
	// suspicious is how many connections in a row must have ended with a subscription unanswered, and others answered,
	// until it is known for what ends them: a broker may disconnect whom it does not allow to subscribe (EMQX with
	// deny_action = disconnect, AWS IoT).
	suspicious = 3
	// parole is how long such a subscription is left out of a session.
	parole = 10 * time.Minute
)

// A subscription is one of the connection of the commands.
type subscription struct {
	topic   string
	handler paho.MessageHandler
	without string // what is so without it
}

// Subscriptions are those of the connection of the commands, and what the broker thinks of them. They are used by one
// goroutine at a time.
type subscriptions struct {
	device *device.Device
	log    *slog.Logger
	losses map[string]int  // by topic, the connections in a row that have ended before its answer
	warned map[string]bool // by topic
	// answered says that the broker has answered one in this session: it does, and the network as well.
	answered bool
}

func newSubscriptions(d *device.Device, log *slog.Logger) *subscriptions {
	return &subscriptions{device: d, log: log, losses: make(map[string]int), warned: make(map[string]bool)}
}

// begin subscribes to what is to be there before anything else, and returns what is not: the broker refuses it, or may
// have ended a connection for it.
func (s *subscriptions) begin(ctx context.Context, client paho.Client, all []subscription) (open []subscription, err error) {
	s.answered = false
	for _, sub := range all {
		if s.losses[sub.topic] > 0 {
			open = append(open, sub)
			continue
		}
		if err := s.subscribe(ctx, client, sub); err == nil {
			continue
		} else if !errors.Is(err, session.ErrRefused) {
			if !client.IsConnectionOpen() {
				s.losses[sub.topic] = 1 // or the network has failed: it is the last one next time
			}
			return nil, err
		}
		open = append(open, sub)
	}
	return open, nil
}

// complete subscribes to the rest, last to what the broker may end the connection for, and again to what it refuses,
// until ctx ends.
func (s *subscriptions) complete(ctx context.Context, client paho.Client, open []subscription) {
	slices.SortStableFunc(open, func(a, b subscription) int { return s.losses[a.topic] - s.losses[b.topic] })
	began, without := time.Now(), make(map[string]bool)
	for _, sub := range open {
		without[sub.topic] = s.losses[sub.topic] >= suspicious
	}
	for pause := refusalPause; len(open) > 0 && ctx.Err() == nil; pause = min(2*pause, maxRefusalPause) {
		open = slices.DeleteFunc(open, func(sub subscription) bool {
			if ctx.Err() != nil || !client.IsConnectionOpen() || without[sub.topic] && time.Since(began) < parole {
				return false
			}
			err := s.subscribe(ctx, client, sub)
			if err != nil && !client.IsConnectionOpen() && (s.answered || s.losses[sub.topic] == 0) {
				s.losses[sub.topic]++
				if s.losses[sub.topic] >= suspicious {
					s.warn(sub, fmt.Sprintf("the broker ends the connection at the subscription to %s; its access control must allow it to this user", sub.topic))
				}
			}
			return err == nil
		})
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	for topic := range without {
		if without[topic] {
			s.losses[topic] = suspicious - 1 // what ends now has ended without it, too
		}
	}
}

// subscribe returns when the broker has answered, or the connection has ended.
func (s *subscriptions) subscribe(ctx context.Context, client paho.Client, sub subscription) error {
	err := session.Subscribe(ctx, client, sub.handler, sub.topic)
	s.answered = s.answered || err == nil || errors.Is(err, session.ErrRefused)
	switch {
	case err == nil:
		s.device.Warn("subscription "+sub.topic, "")
		delete(s.losses, sub.topic)
		delete(s.warned, sub.topic)
	case ctx.Err() == nil && client.IsConnectionOpen():
		s.warn(sub, err.Error())
	}
	return err
}

// warn says in the log once, and in the state, what is not so and why.
func (s *subscriptions) warn(sub subscription, why string) {
	s.device.Warn("subscription "+sub.topic, sub.without+": "+why)
	if !s.warned[sub.topic] {
		s.log.Error(sub.without, "error", why)
	}
	s.warned[sub.topic] = true
}
