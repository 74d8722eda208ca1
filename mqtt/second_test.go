package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/plate-resort/plate-resort/mqtt/session"
)

// A publishes is a client that is connected, and takes what is published.
type publishes struct {
	paho.Client
	said chan instance
}

func (p publishes) Publish(_ string, _ byte, _ bool, payload any) paho.Token {
	var said instance
	if err := json.Unmarshal(payload.([]byte), &said); err != nil {
		panic(err)
	}
	p.said <- said
	return new(paho.DummyToken)
}

func (p publishes) IsConnectionOpen() bool { return true }

// A waiting process has said that it waits.
type waiting struct {
	*watch
	t    *testing.T
	said chan instance
	done chan struct{}

	cancel context.CancelFunc
}

func inWatch(t *testing.T, test func(t *testing.T, w waiting)) {
	onInstanceTopic(t, func(t *testing.T, i *instanceTopic) {
		r := i.start()
		r.face(instance{ID: "first", Role: holds, Sequence: 1}, true)
		ctx, cancel := context.WithCancel(t.Context())
		client := publishes{said: make(chan instance, 10)}
		w := waiting{newWatch(r, client, NewTopics("plate-resort", "lab")), t, client.said, make(chan struct{}), cancel}
		defer w.vacant.Stop()
		go func() {
			defer close(w.done)
			if err := w.run(ctx); err != nil {
				t.Error(err)
			}
		}()
		w.ask()
		w.expect(0)
		test(t, w)
		cancel()
		<-w.done
	})
}

func (w waiting) expect(sequence uint64) {
	w.t.Helper()
	synctest.Wait()
	select {
	case said := <-w.said:
		if said.Role != waits || said.Sequence != sequence {
			w.t.Errorf("it says %+v, want that it waits, with %d", said, sequence)
		}
	default:
		w.t.Error("it has said nothing")
	}
}

func (w waiting) hears(sequence uint64, retained bool) {
	payload, err := json.Marshal(instance{ID: "first", Role: holds, Sequence: sequence})
	if err != nil {
		w.t.Fatal(err)
	}
	w.instance(nil, receivedMessage{payload: payload, retained: retained})
}

// after lets time pass, and checks whether the process still waits.
func (w waiting) after(d time.Duration, waits bool) {
	w.t.Helper()
	time.Sleep(d)
	synctest.Wait()
	if got := w.rivals.second.holds(); got != waits {
		w.t.Errorf("after %v it waits: %v, want %v", d, got, waits)
	}
}

func TestTheSecondBelievesAnAnswerOnly(t *testing.T) {
	inWatch(t, func(t *testing.T, w waiting) {
		w.availability(nil, receivedMessage{payload: []byte(Online), retained: true}) // as before the broker was off
		w.hears(1, true)
		w.after(vacancy-time.Second, true)
		w.after(time.Second, false)
	})
	inWatch(t, func(t *testing.T, w waiting) {
		w.hears(2, false)
		w.expect(2)
		w.after(time.Hour, true)
	})
}

func TestTheSecondTakesAPlaceThatIsVacant(t *testing.T) {
	inWatch(t, func(t *testing.T, w waiting) {
		w.hears(2, false)
		w.expect(2)
		for range 10 { // it comes and goes
			w.availability(nil, receivedMessage{payload: []byte(Offline)})
			w.after(vacancy-time.Second, true)
			w.availability(nil, receivedMessage{payload: []byte(Online)})
			w.after(time.Hour, true)
		}
		w.availability(nil, receivedMessage{payload: []byte(Offline)})
		w.after(vacancy, false)
	})
}

func TestTheSecondTakesLeave(t *testing.T) {
	inWatch(t, func(t *testing.T, w waiting) {
		w.cancel()
		if last := <-w.said; last.Role != gone {
			t.Errorf("it says %+v, want that it is gone", last)
		}
	})
}

// Whatever the broker thinks of its subscriptions, the second stays connected, and takes the place if nobody answers. If
// it cannot hear an answer it stays the second.
func TestTheSecondWaitsWithWhatTheBrokerAllows(t *testing.T) {
	for _, leaf := range []string{"stop/set", "instance", "availability"} {
		for _, v := range []verdict{refuses, ends} {
			answer := func(topic string) verdict {
				if topic == "plate-resort/lab/"+leaf {
					return v
				}
				return allows
			}
			withBroker(t, answer, func(t *testing.T, a *asked, _ *subscriptions) {
				l := NewLink(Config{BaseTopic: "plate-resort", DeviceID: "lab", Log: slog.New(slog.DiscardHandler)}, newTestDevice(t), nil)
				defer l.rivals.end()
				second := l.second(new(session.Place))
				l.rivals.face(instance{ID: "first", Role: holds, Sequence: 1}, true)
				var lasted time.Duration
				var err error
				for range suspicious + 1 {
					ctx, client, end := a.connect()
					ctx, cancel := context.WithTimeout(ctx, parole/2)
					began := time.Now()
					err = second.Session(ctx, client, false, func() error { return nil })
					lasted = time.Since(began)
					cancel()
					end()
					if lasted >= vacancy {
						break
					}
				}
				if !slices.Contains(a.asks(), "plate-resort/lab/stop/set") {
					t.Error("the second has not asked for the stop")
				}
				if leaf == "instance" {
					if lasted < parole/2 || !l.rivals.second.holds() {
						t.Errorf("%s, %v: the session lasted for %v and ended with %v", leaf, v, lasted, err)
					}
				} else if !errors.Is(err, errLeft) {
					t.Errorf("%s, %v: the session lasted for %v and ended with %v, want that the first has left", leaf, v, lasted, err)
				}
			})
		}
	}
}
