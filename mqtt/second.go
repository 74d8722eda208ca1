package mqtt

import (
	"context"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt/session"
)

// The second of two processes with one device id has a connection under a client id of its own. On it the second hears
// the emergency stop, and waits for the end of the first. Its other connections end when that one hears the stop, and
// it ends when they do again.

const errLeft session.Intended = "the other process has left its place"

// second is the connection of a second process. It is there only while this process is one.
func (l *Link) second(place *session.Place) session.Connection {
	s := newSubscriptions(l.device, l.log)
	return session.Connection{
		Log:   l.log.With("connection", "second"),
		Place: place,
		Ready: func(ctx context.Context) {
			select {
			case <-l.rivals.second.is():
			case <-ctx.Done():
			}
		},
		Options: func() *paho.ClientOptions {
			return l.options("-stop-"+l.rivals.me.ID).SetBinaryWill(l.topics.Instance(), l.rivals.payload(gone), 1, false)
		},
		Session: func(ctx context.Context, client paho.Client, _ bool, up func() error) error {
			w := newWatch(l.rivals, client, l.topics)
			defer w.vacant.Stop()
			all := append([]subscription{{
				topic: l.topics.Set(device.StopOperation), handler: l.pressed(stopWay), open: l.rivals.stepAside,
				without: "While this process waits it does not hear the emergency stop",
			}}, w.subscriptions()...)
			return s.during(ctx, client, all, nil, up, func(ctx context.Context) error {
				if err := w.run(ctx); err != nil {
					return err
				}
				if ctx.Err() == nil {
					l.stop.await(ctx)
					l.device.Warn("subscription "+l.topics.Set(device.StopOperation), "") // it is the stop's own again
					return errLeft
				}
				return nil
			})
		},
	}
}

// A watch is that of the second process for the end of the first, in one session.
type watch struct {
	rivals *rivals
	client paho.Client
	topics Topics
	vacant *time.Timer // receives when the first has been away for long enough
	claims chan uint64 // those of the first
}

func newWatch(r *rivals, client paho.Client, topics Topics) *watch {
	w := &watch{rivals: r, client: client, topics: topics, vacant: time.NewTimer(vacancy), claims: make(chan uint64, 1)}
	w.vacant.Stop()
	return w
}

func (w *watch) subscriptions() []subscription {
	return []subscription{
		{topic: w.topics.Instance(), handler: w.instance, open: w.ask, without: "A second process is not known to the first"},
		{topic: w.topics.Availability(), handler: w.availability, without: "A second process does not know when the first ends"},
	}
}

// ask says that this process waits. The first answers that it is there.
func (w *watch) ask() {
	w.vacant.Reset(vacancy)
	w.client.Publish(w.topics.Instance(), 1, false, w.rivals.payload(waits))
}

func (w *watch) instance(_ paho.Client, m paho.Message) {
	if other, ok := w.rivals.read(m); ok && other.Role == holds && !m.Retained() {
		select {
		case w.claims <- other.Sequence:
		default: // the first asks for an answer to its last one
		}
	}
}

// availability does not take the broker's word for what it has kept: who was away with it may not be back.
func (w *watch) availability(_ paho.Client, m paho.Message) {
	switch {
	case m.Retained():
	case string(m.Payload()) == Online:
		w.vacant.Stop()
	default:
		w.vacant.Reset(vacancy)
	}
}

// run returns when the first has gone, or ctx ends. Whenever the first claims the place, the second says that it waits.
func (w *watch) run(ctx context.Context) error {
	for {
		select {
		case sequence := <-w.claims:
			w.vacant.Stop()
			w.client.Publish(w.topics.Instance(), 1, false, w.rivals.answer(sequence))
		case <-w.vacant.C:
			w.rivals.succeed()
			return nil
		case <-ctx.Done():
			if w.client.IsConnectionOpen() {
				w.client.Publish(w.topics.Instance(), 1, false, w.rivals.payload(gone)).WaitTimeout(farewellTimeout)
			}
			return nil
		}
	}
}
