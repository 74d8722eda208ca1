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

// stopSession listens for the emergency stop.
func (l *Link) stopSession(ctx context.Context, client paho.Client, present bool, up func() error) error {
	if !present && !l.aside && !l.evading { // and with it a stop may be gone
		l.device.StopMissed()
	}
	err := session.Subscribe(ctx, client, l.pressed(stopWay), l.topics.Set(device.StopOperation))
	if l.stopAnswered(err, client.IsConnectionOpen()); err != nil {
		return err
	}
	if err := up(); err != nil {
		return err
	}
	l.stopUp.set(true)
	l.device.StopHeard(true)
	l.device.Warn("stop connection", "")
	if l.aside {
		err = l.rivals.watch(ctx, client, l.topics)
	} else {
		err = l.awaitLoss(ctx)
	}
	l.stopUp.set(false)
	l.device.StopHeard(false)
	l.device.Warn("stop connection", stopWarning)
	return err
}

// awaitLoss lasts as long as a session of the stop under an id that is the device's, or for a while under another one.
func (l *Link) awaitLoss(ctx context.Context) error {
	settled, parole := time.After(takenSoon), time.After(parole)
	for {
		select {
		case <-l.rivals.second.is():
			return errSecond
		case <-settled:
			if settled = nil; !l.evading {
				l.stopTaken = 0
				l.device.Warn("stop taken", "")
			}
		case <-parole:
			if l.evading {
				l.stopTaken = suspicious - 1
				return session.Intended("trying the client id of the stop again")
			}
		case <-ctx.Done():
			l.stopBrief = settled != nil && !l.evading
			return nil
		}
	}
}

// judgeLoss looks for another client with the id of the stop's connection: the two take it from each other every second.
// It is known by the commands, which stay connected. The stop then gets an id that nobody else has, for a while; what is
// sent while the device is away does not come to that one.
func (l *Link) judgeLoss() {
	brief := l.stopBrief
	l.stopBrief = false
	switch {
	case !brief:
		return
	case !l.commandsUp.holds(): // the network has failed
		l.stopTaken = 0
		return
	}
	if l.stopTaken++; l.stopTaken == suspicious {
		text := fmt.Sprintf("another client takes the connection of the emergency stop again and again: no other may have the client id %s",
			l.clientID("-stop"))
		l.log.Error(text)
		l.device.Warn("stop taken", "A"+text[1:])
	}
}

// stopAnswered takes how the subscription of the stop has ended. A broker that ends the connection instead of an answer is
// believed only when it has done so a few times.
func (l *Link) stopAnswered(err error, connected bool) {
	topic := l.topics.Set(device.StopOperation)
	switch {
	case err == nil:
		l.stopRefusals, l.stopRefused = 0, false
		l.device.Warn("stop subscription", "")
		return
	case errors.Is(err, session.ErrRefused):
		l.stopRefusals++
	case connected:
		return // the program ends, or the broker does not answer
	default:
		if l.stopRefusals++; l.stopRefusals < suspicious {
			return
		}
		err = fmt.Errorf("the broker ends the connection at the subscription to %s; its access control must allow it to this user", topic)
	}
	if !l.stopRefused {
		l.log.Error("the emergency stop has no connection of its own", "error", err)
	}
	l.stopRefused = true
	l.device.Warn("stop subscription", "The emergency stop: "+err.Error())
}

// awaitPatience returns when the stop is to connect: later, the more often it got no subscription.
func (l *Link) awaitPatience(ctx context.Context) {
	l.judgeLoss()
	if l.stopRefusals < suspicious {
		return
	}
	select {
	case <-time.After(time.Duration(min(l.stopRefusals*l.stopRefusals, 30)) * time.Second):
	case <-ctx.Done():
	}
}

// awaitStop returns when the stop has its subscription, or has waited for long enough. What the broker has
// kept comes with the connection, before any subscription.
func (l *Link) awaitStop(ctx context.Context) {
	select {
	case <-l.stopUp.is():
	case <-time.After(stopPatience):
		l.device.Warn("stop connection", stopWarning)
		select {
		case <-l.stopUp.is(): // just now
			l.device.Warn("stop connection", "")
		default:
		}
	case <-ctx.Done():
	}
}

// pressed handles an emergency stop: whatever the payload, and before looking at it.
func (l *Link) pressed(w way) paho.MessageHandler {
	return func(_ paho.Client, m paho.Message) {
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
