package mqtt

import (
	"encoding/json"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// A received message, as a handler gets it.
type receivedMessage struct {
	paho.Message
	topic    string
	payload  []byte
	retained bool
}

func (m receivedMessage) Topic() string   { return m.topic }
func (m receivedMessage) Payload() []byte { return m.payload }
func (m receivedMessage) Retained() bool  { return m.retained }

func newTestDevice(t *testing.T) *device.Device {
	t.Helper()
	d, err := device.New(device.Config{
		Carousel:  device.Carousel{Hotels: device.EvenlySpaced([]string{"A"}, 19, 1), RoomsPerHotel: 20},
		QueueSize: 1, Tolerance: 0.5, NewID: func() string { return "id" }, Now: time.Now,
		Motor: devicetest.New(), Store: new(device.Memory), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// An instanceTopic is T/instance at a broker, or at two with a bridge between them.
type instanceTopic struct {
	t         *testing.T
	retained  []byte
	connected []*rivals
	sent      []instance
}

// start starts a process, which is not connected.
func (i *instanceTopic) start() *rivals {
	i.t.Helper()
	r := newRivals("lab", newTestDevice(i.t), slog.New(slog.DiscardHandler))
	i.t.Cleanup(r.end)
	return r
}

// connect begins a session. The answer to the subscription comes so much later.
func (i *instanceTopic) connect(r *rivals, roundTrip time.Duration) {
	r.begin("broker")
	time.Sleep(roundTrip)
	i.connected = append(i.connected, r)
	if i.retained != nil {
		r.heard(nil, receivedMessage{payload: i.retained, retained: true})
	}
	r.subscribed()
}

func (i *instanceTopic) disconnect(r *rivals) {
	r.end()
	for n, other := range i.connected {
		if other == r {
			i.connected = append(i.connected[:n], i.connected[n+1:]...)
			return
		}
	}
}

// send has everybody hear what is published, also who has published it.
func (i *instanceTopic) send(payload []byte) {
	i.t.Helper()
	var said instance
	if err := json.Unmarshal(payload, &said); err != nil {
		i.t.Fatal(err)
	}
	if said.Role == holds {
		i.retained = payload
	}
	if i.sent = append(i.sent, said); len(i.sent) > 100 {
		i.t.Fatal("they answer each other forever")
	}
	for _, r := range i.connected {
		r.heard(nil, receivedMessage{payload: payload})
	}
}

// pass lets time pass, in which all that are connected claim the place when they want to.
func (i *instanceTopic) pass(d time.Duration) {
	i.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		synctest.Wait()
		for busy := true; busy; {
			busy = false
			for _, r := range i.connected {
				select {
				case <-r.claim:
					if payload := r.payload(holds); payload != nil {
						i.send(payload)
						busy = true
					}
				default:
				}
			}
		}
	}
}

func (i *instanceTopic) check(r *rivals, who string, rival, second bool) {
	i.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := r.rival.ID != ""; got != rival || r.second.holds() != second {
		i.t.Errorf("%s: it knows of a rival: %v, it waits: %v; want %v and %v", who, got, r.second.holds(), rival, second)
	}
}

func onInstanceTopic(t *testing.T, test func(t *testing.T, i *instanceTopic)) {
	synctest.Test(t, func(t *testing.T) { test(t, &instanceTopic{t: t}) })
}

// takeTurns has two processes take the connection from each other every second, until one of them leaves that.
func (i *instanceTopic) takeTurns(a, b *rivals, roundTrip time.Duration) {
	for range 20 {
		for _, r := range []*rivals{a, b} {
			if r.second.holds() {
				return
			}
			for _, other := range []*rivals{a, b} {
				i.disconnect(other)
			}
			i.connect(r, roundTrip)
			i.pass(time.Second - roundTrip)
		}
	}
}

func TestTheOneThatRunsForLongerKeepsThePlace(t *testing.T) {
	for _, roundTrip := range []time.Duration{0, 100 * time.Millisecond, 700 * time.Millisecond} {
		onInstanceTopic(t, func(t *testing.T, i *instanceTopic) {
			first := i.start()
			i.connect(first, roundTrip)
			i.pass(time.Minute)
			second := i.start()
			i.takeTurns(second, first, roundTrip)
			i.check(second, "the second", true, true)
			i.check(first, "the first", true, false)
		})
	}
}

// It has lost its connection for so long that the other one finds it out.
func TestTheOneThatFindsOutMayBeTheSecond(t *testing.T) {
	onInstanceTopic(t, func(t *testing.T, i *instanceTopic) {
		first := i.start()
		i.pass(time.Hour)
		second := i.start()
		i.takeTurns(second, first, 0)
		i.check(second, "the second", true, true)
		i.check(first, "the first", false, false) // it will hear that the other one waits
	})
}

func TestOfTwoThatTellEachOtherToWaitOneDoes(t *testing.T) {
	onInstanceTopic(t, func(t *testing.T, i *instanceTopic) {
		a, b := i.start(), i.start()
		says := func(r, of *rivals) []byte {
			r.rival = instance{ID: of.me.ID}
			return r.payload(holds)
		}
		ofA, ofB := says(a, b), says(b, a)
		a.heard(nil, receivedMessage{payload: ofB})
		b.heard(nil, receivedMessage{payload: ofA})
		if a.second.holds() == b.second.holds() {
			t.Errorf("the one waits: %v, and the other: %v", a.second.holds(), b.second.holds())
		}
	})
}

func TestEachSecondProcessIsFoundOutOverABridge(t *testing.T) {
	onInstanceTopic(t, func(t *testing.T, i *instanceTopic) {
		first := i.start()
		i.connect(first, 0)
		for range 3 {
			i.pass(time.Minute)
			second := i.start()
			i.connect(second, 0)
			i.pass(time.Second)
			i.check(second, "the second", true, true)
			i.send(second.payload(waits))
			i.check(first, "the first", true, false)
			i.disconnect(second)
			i.send(second.payload(gone))
			i.check(first, "the first alone", false, false)
		}
	})
}

// The second has gone, and the bridge has brought no word of it.
func TestAThirdProcessIsFoundOutWhileTheSecondIsBelievedIn(t *testing.T) {
	onInstanceTopic(t, func(t *testing.T, i *instanceTopic) {
		first, second, third := i.start(), i.start(), i.start()
		i.connect(first, 0)
		i.pass(time.Minute)
		i.connect(second, 0)
		i.pass(time.Second)
		i.send(second.payload(waits))
		i.pass(time.Second)
		i.disconnect(second)
		third.started = time.Now()
		i.connect(third, 0)
		i.pass(time.Second)
		i.check(third, "the third", true, true)
		i.check(first, "the first", true, false)
	})
}

// A bridge brings what was kept at the other broker, once the second has gone.
func TestAnEarlierProcessIsNoRivalAfterAnotherOne(t *testing.T) {
	onInstanceTopic(t, func(t *testing.T, i *instanceTopic) {
		first, second, dead := i.start(), i.start(), i.start()
		i.connect(first, 0)
		i.pass(time.Minute)
		i.connect(second, 0)
		i.pass(time.Second)
		i.send(second.payload(waits))
		i.disconnect(second)
		i.send(second.payload(gone))
		i.pass(time.Second)
		dead.highest = 1000
		i.send(dead.payload(holds))
		i.check(first, "the first", false, false)
	})
}

func TestWhoNeverWaitsIsNotAnsweredForever(t *testing.T) {
	onInstanceTopic(t, func(t *testing.T, i *instanceTopic) {
		first, stubborn := i.start(), i.start()
		i.connect(first, 0)
		i.pass(time.Second)
		answers := 0
		for range 20 {
			i.send(stubborn.payload(holds))
			before := len(i.sent)
			i.pass(time.Second)
			answers += len(i.sent) - before
			stubborn.highest = first.highest
		}
		if most := 2 * maxClaims; answers == 0 || answers > most { // before it is known, and since
			t.Errorf("%d answers to 20 claims, want 1 to %d", answers, most)
		}
	})
}

// What is claimed before the broker has said what it has kept would hide it.
func TestAClaimWaitsForTheSubscription(t *testing.T) {
	onInstanceTopic(t, func(t *testing.T, i *instanceTopic) {
		r := i.start()
		r.begin("broker")
		i.connected = append(i.connected, r)
		i.pass(time.Minute)
		if len(i.sent) > 0 {
			t.Errorf("it has claimed the place: %+v", i.sent)
		}
		r.subscribed()
		i.pass(time.Second)
		if len(i.sent) != 1 {
			t.Errorf("it has said %+v, want one claim", i.sent)
		}
		successor := i.start()
		i.connect(successor, 0)
		i.disconnect(r)
		i.pass(time.Second)
		if len(i.sent) != 2 {
			t.Errorf("they have said %+v, want a claim of each", i.sent)
		}
	})
}

// The broker comes back with an earlier process. It has never had the claim of this one.
func TestAnEarlierProcessIsNoRivalThoughAClaimWasLost(t *testing.T) {
	onInstanceTopic(t, func(t *testing.T, i *instanceTopic) {
		dead, r := i.start(), i.start()
		for range 50 {
			i.retained = dead.payload(holds)
		}
		r.begin("broker")
		r.subscribed()
		time.Sleep(time.Second)
		r.payload(holds) // is lost
		r.end()
		i.connect(r, 0)
		i.check(r, "the only one", false, false)
	})
}

func TestARivalThatNoLongerSaysThatItWaitsIsForgotten(t *testing.T) {
	onInstanceTopic(t, func(t *testing.T, i *instanceTopic) {
		first, second := i.start(), i.start()
		i.connect(first, 0)
		i.pass(time.Second)
		i.send(second.payload(waits))
		i.pass(time.Hour)
		i.check(first, "in the session in which it was said", true, false)

		i.disconnect(first)
		i.connect(first, 0)
		i.pass(time.Second)
		i.send(second.answer(first.me.Sequence))
		i.pass(time.Hour)
		i.check(first, "with an answer in the next session", true, false)

		i.disconnect(first)
		i.connect(first, 0)
		i.pass(rivalPatience - time.Second)
		i.check(first, "soon after the answer is missing", true, false)
		i.pass(2 * time.Second)
		i.check(first, "later", false, false)
	})
}

// The two would answer each other forever.
func TestAnAnswerOfTheSecondIsNotAnswered(t *testing.T) {
	onInstanceTopic(t, func(t *testing.T, i *instanceTopic) {
		first, second := i.start(), i.start()
		i.connect(first, 0)
		i.pass(time.Second)
		claims := len(i.sent)
		i.send(second.payload(waits))
		i.pass(time.Second)
		if got := len(i.sent) - claims; got != 2 {
			t.Errorf("%d messages from the question on, want it and its answer", got)
		}
		i.send(second.answer(first.me.Sequence))
		i.pass(time.Second)
		if got := len(i.sent) - claims; got != 3 {
			t.Errorf("%d messages from the question on, want three", got)
		}
	})
}

func TestWhoHasSucceededDoesNotWaitForTheDead(t *testing.T) {
	onInstanceTopic(t, func(t *testing.T, i *instanceTopic) {
		first, second := i.start(), i.start()
		first.rival = instance{ID: second.me.ID}
		i.send(first.payload(holds))
		i.connect(second, 0)
		i.check(second, "the second", true, true)
		i.disconnect(second)
		second.succeed()
		i.connect(second, 0)
		i.pass(time.Second)
		i.check(second, "the successor", false, false)
	})
}

func TestTheConnectionsAreKeptUntilTheStopIsHeardAside(t *testing.T) {
	onInstanceTopic(t, func(t *testing.T, i *instanceTopic) {
		for _, heard := range []bool{true, false} {
			first, second := i.start(), i.start()
			i.retained = nil
			first.rival = instance{ID: second.me.ID}
			i.send(first.payload(holds))
			i.connect(second, 0)
			if !second.second.holds() || second.aside.holds() {
				t.Error("it is not the second, or has given up its connections at once")
			}
			if heard {
				second.stepAside()
			} else {
				time.Sleep(stopPatience)
				synctest.Wait()
			}
			if !second.aside.holds() {
				t.Errorf("it has kept its connections, with the stop heard aside %v", heard)
			}
		}
	})
}
