package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
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
	// parole is how long such a subscription is left out.
	parole = 10 * time.Minute
)

// A subscription is what is to be subscribed to in a session.
type subscription struct {
	topic   string
	handler paho.MessageHandler
	without string // what is so without it
	open    func() // is called when the broker has confirmed it; nil is nothing
}

// Subscriptions are those of a connection, and what the broker thinks of them. They are used by one goroutine at a time.
type subscriptions struct {
	device *device.Device
	log    *slog.Logger
	losses map[string]int       // by topic, the connections in a row that have ended before its answer
	parole map[string]time.Time // by topic, until when it is left out
	warned map[string]bool      // by topic
	// answered says that the broker has answered one in this session: it does, and the network as well.
	answered bool
}

func newSubscriptions(d *device.Device, log *slog.Logger) *subscriptions {
	return &subscriptions{
		device: d, log: log,
		losses: make(map[string]int), parole: make(map[string]time.Time), warned: make(map[string]bool),
	}
}

// during subscribes to what is to be there before anything else, calls up, and does the work. The rest follows
// meanwhile, and again what the broker refuses, until ctx or the work ends.
func (s *subscriptions) during(ctx context.Context, client paho.Client, first, rest []subscription, up func() error, work func(context.Context) error) error {
	open, err := s.begin(ctx, client, first)
	if err != nil {
		return err
	}
	if err := up(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var completed sync.WaitGroup
	completed.Go(func() { s.complete(ctx, client, open, rest) })
	defer completed.Wait()
	defer cancel()
	return work(ctx)
}

// begin subscribes, last to what the broker may end the connection for, and returns what is left out: the broker
// refuses it, or has ended a few connections for it.
func (s *subscriptions) begin(ctx context.Context, client paho.Client, all []subscription) (open []subscription, err error) {
	s.answered = false
	for _, sub := range s.suspectsLast(all) {
		if time.Now().Before(s.parole[sub.topic]) {
			open = append(open, sub)
			continue
		}
		switch err := s.subscribe(ctx, client, sub); {
		case err == nil:
		case errors.Is(err, session.ErrRefused):
			open = append(open, sub)
		default:
			return nil, err
		}
	}
	return open, nil
}

// complete subscribes to the rest, and after pauses to what is still open, until ctx ends.
func (s *subscriptions) complete(ctx context.Context, client paho.Client, open, rest []subscription) {
	for pause := refusalPause; len(open)+len(rest) > 0 && ctx.Err() == nil; pause = min(2*pause, maxRefusalPause) {
		for _, sub := range s.suspectsLast(rest) {
			if ctx.Err() != nil || !client.IsConnectionOpen() || time.Now().Before(s.parole[sub.topic]) ||
				s.subscribe(ctx, client, sub) != nil {
				open = append(open, sub)
			}
		}
		open, rest = nil, open
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (s *subscriptions) suspectsLast(all []subscription) []subscription {
	return slices.SortedStableFunc(slices.Values(all), func(a, b subscription) int { return s.losses[a.topic] - s.losses[b.topic] })
}

// subscribe returns when the broker has answered, or the connection has ended.
func (s *subscriptions) subscribe(ctx context.Context, client paho.Client, sub subscription) error {
	err := session.Subscribe(ctx, client, sub.handler, sub.topic)
	switch {
	case err == nil:
		s.device.Warn("subscription "+sub.topic, "")
		delete(s.losses, sub.topic)
		delete(s.parole, sub.topic)
		delete(s.warned, sub.topic)
		if sub.open != nil {
			sub.open()
		}
	case !client.IsConnectionOpen():
		s.lost(sub)
	case ctx.Err() == nil:
		s.warn(sub, err.Error())
	}
	s.answered = s.answered || err == nil || errors.Is(err, session.ErrRefused)
	return err
}

// lost takes it that the connection has ended before the answer. After a few of them the subscription is left out, and
// then after one more each time.
func (s *subscriptions) lost(sub subscription) {
	losses := s.losses[sub.topic] + 1
	switch {
	case losses > 1 && !s.answered: // or the network has failed
		return
	case losses < suspicious:
		s.losses[sub.topic] = losses
		return
	}
	s.parole[sub.topic] = time.Now().Add(parole)
	s.warn(sub, fmt.Sprintf("the broker ends the connection at the subscription to %s; its access control must allow it to this user", sub.topic))
}

// warn says in the log once, and in the state, what is not so and why.
func (s *subscriptions) warn(sub subscription, why string) {
	s.device.Warn("subscription "+sub.topic, sub.without+": "+why)
	if !s.warned[sub.topic] {
		s.log.Error(sub.without, "error", why)
	}
	s.warned[sub.topic] = true
}
