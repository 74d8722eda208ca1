package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/payload"
	"github.com/plate-resort/plate-resort/mqtt/session"
)

// stopPatience is how long the commands wait for the stop's subscription, before they are connected
// without it and with a warning.
const stopPatience = 2 * time.Second

// takenSoon is how soon another client takes a connection again that it has lost to the stop.
const takenSoon = 10 * time.Second

const stopWarning = "The emergency stop has lost its own connection to the broker, and comes only with the commands until it is back"

// A stop is the connection of the emergency stop.
type stop struct {
	link *Link
	up   *condition

	evadeUntil time.Time // it has a client id of its own, as another client takes its connection
	evading    bool      // in the latest session
	begun      bool      // it has had a session
	stale      bool      // what the broker keeps of the stop's session has been heard meanwhile
	brief      bool      // its last session was lost soon
	taken      int       // how often in a row it was lost soon, while the connection of the commands was not
	refusals   int       // how often in a row it has got no subscription
	refused    bool      // and there is a warning
}

func newStop(l *Link) *stop { return &stop{link: l, up: newCondition()} }

func (s *stop) connection(place *session.Place) session.Connection {
	return session.Connection{
		Log:   s.link.log.With("connection", "stop"),
		Place: place,
		Ready: func(ctx context.Context) {
			s.link.rivals.awaitTurn(ctx)
			s.awaitPatience(ctx)
		},
		Options: s.options,
		Session: s.session,
	}
}

func (s *stop) options() *paho.ClientOptions {
	var options *paho.ClientOptions
	if s.evading = time.Now().Before(s.evadeUntil); s.evading {
		options = s.link.options("-stop-" + s.link.rivals.me.ID)
	} else {
		// A persistent session: a stop that was sent while the device was away comes on return.
		options = s.link.options("-stop").SetCleanSession(s.stale)
	}
	return options.SetDefaultPublishHandler(s.link.pressed(stopWay))
}

const (
	errAgain session.Intended = "trying the client id of the stop again"
	errStale session.Intended = "the stop's session begins anew"
)

// session listens for the emergency stop.
func (s *stop) session(ctx context.Context, client paho.Client, present bool, up func() error) error {
	l := s.link
	if s.stale && !s.evading { // it has been cleared by now
		if err := up(); err != nil { // elsewhere
			return err
		}
		s.stale = false
		return errStale
	}
	// A stop may be gone with the session, or waits at another broker, where this process cannot know that it was.
	if !s.evading && (!present || !s.begun && len(l.config.Broker.URLs) > 1) {
		l.device.StopMissed()
	}
	s.begun = true
	err := session.Subscribe(ctx, client, l.pressed(stopWay), l.topics.Set(device.StopOperation))
	if s.answered(err, client.IsConnectionOpen()); err != nil {
		return err
	}
	if err := up(); err != nil {
		return err
	}
	s.up.set(true)
	l.device.StopHeard(true)
	l.device.Warn("stop connection", "")
	err = s.awaitLoss(ctx)
	s.up.set(false)
	l.device.StopHeard(false)
	if !errors.Is(err, errSecond) {
		l.device.Warn("stop connection", stopWarning)
	}
	return err
}

// awaitLoss lasts as long as a session of the stop under an id that is the device's, or for a while under another one.
func (s *stop) awaitLoss(ctx context.Context) error {
	settled := time.After(takenSoon)
	var again <-chan time.Time
	if s.evading {
		again = time.After(time.Until(s.evadeUntil))
	}
	for {
		select {
		case <-s.link.rivals.aside.is():
			return errSecond
		case <-settled:
			if settled = nil; !s.evading {
				s.taken = 0
				s.link.device.Warn("stop taken", "")
			}
		case <-again:
			return errAgain
		case <-ctx.Done():
			s.brief = settled != nil && !s.evading
			return nil
		}
	}
}

// judgeLoss looks for another client with the id of the stop's connection: the two take it from each other every second.
// It is known by the commands, which stay connected. The stop then gets an id that nobody else has, for a while; what is
// sent while the device is away does not come to that one.
func (s *stop) judgeLoss() {
	brief := s.brief
	s.brief = false
	switch {
	case !brief:
		return
	case !s.link.commandsUp.holds(): // the network has failed
		s.taken = 0
		return
	}
	if s.taken++; s.taken < suspicious {
		return
	}
	s.taken = suspicious - 1 // once more will do after that while
	s.evadeUntil, s.stale = time.Now().Add(parole), true
	s.link.device.StopMissed() // the other may have taken it
	text := fmt.Sprintf("another client takes the connection of the emergency stop again and again: no other may have the client id %s",
		s.link.clientID("-stop"))
	s.link.log.Error(text)
	s.link.device.Warn("stop taken", "A"+text[1:])
}

// answered takes how the subscription of the stop has ended. A broker that ends the connection instead of an answer is
// believed only when it has done so a few times.
func (s *stop) answered(err error, connected bool) {
	topic := s.link.topics.Set(device.StopOperation)
	switch {
	case err == nil:
		s.refusals, s.refused = 0, false
		s.link.device.Warn("stop subscription", "")
		return
	case errors.Is(err, session.ErrRefused):
		s.refusals++
	case connected:
		return // the program ends, or the broker does not answer
	default:
		if s.refusals++; s.refusals < suspicious {
			return
		}
		err = fmt.Errorf("the broker ends the connection at the subscription to %s; its access control must allow it to this user", topic)
	}
	if !s.refused {
		s.link.log.Error("the emergency stop has no connection of its own", "error", err)
	}
	s.refused = true
	s.link.device.Warn("stop subscription", "The emergency stop: "+err.Error())
}

// awaitPatience returns when the stop is to connect: later, the more often it got no subscription.
func (s *stop) awaitPatience(ctx context.Context) {
	s.judgeLoss()
	if s.refusals < suspicious {
		return
	}
	select {
	case <-time.After(time.Duration(min(s.refusals*s.refusals, 30)) * time.Second):
	case <-ctx.Done():
	}
}

// await returns whether the stop has its subscription, or has waited for long enough.
func (s *stop) await(ctx context.Context) bool {
	select {
	case <-s.up.is():
		return true
	case <-time.After(stopPatience):
		return false
	case <-ctx.Done():
		return true
	}
}

// awaitOrWarn has the commands wait for the stop: what the broker has kept comes with the connection, before any
// subscription.
func (s *stop) awaitOrWarn(ctx context.Context) {
	if s.await(ctx) {
		return
	}
	s.link.device.Warn("stop connection", stopWarning)
	if s.up.holds() { // just now
		s.link.device.Warn("stop connection", "")
	}
}

// pressed handles an emergency stop: whatever the payload, and before looking at it.
func (l *Link) pressed(w way) paho.MessageHandler {
	return func(_ paho.Client, m paho.Message) {
		if m.Topic() != l.topics.Set(device.StopOperation) { // another client has subscribed to it under this client id
			return
		}
		l.device.Stop(func() *device.Command {
			if !l.copies.first(w, m.Payload()) {
				return nil
			}
			if m.Retained() {
				l.log.Warn("the emergency stop is retained by the broker and comes again at every reconnection; "+
					"clear it with mosquitto_pub -r -n, which stops once more, and then reset", "topic", m.Topic())
			}
			return stopCommand(m.Payload())
		})
	}
}

// stopCommand is the command of a stop, with the id if one can be read.
func stopCommand(text []byte) *device.Command {
	c := &device.Command{Name: device.StopOperation, Source: source}
	var object struct {
		ID json.RawMessage `json:"id"`
	}
	if len(text) <= MaxPayload && json.Unmarshal(text, &object) == nil && object.ID != nil {
		c.ID, _ = payload.ID(object.ID) // without a good id the device makes one
	}
	return c
}
