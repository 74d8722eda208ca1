package mqtt_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/simulator"
	"github.com/plate-resort/plate-resort/mqtt"
	"github.com/plate-resort/plate-resort/mqtt/broker"
	"github.com/plate-resort/plate-resort/mqtt/session"
)

// patience is far longer than anything here takes.
const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run runs something until the test ends, or what is returned is called.
func run(t *testing.T, f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	var stopped atomic.Bool
	stop = func() {
		if stopped.Swap(true) {
			return
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// A resort is a device "lab" with a simulated servo, linked to a broker at address.
type resort struct {
	device     *device.Device
	stopDevice func()
	stopLink   func()
	schedules  *fakeSchedules
}

func newResort(t *testing.T, address string) resort {
	return newDiscoveredResort(t, address, "")
}

// newDiscoveredResort is one with a discovery message under that prefix.
func newDiscoveredResort(t *testing.T, address, prefix string) resort {
	log := slog.New(slog.DiscardHandler)
	servo := simulator.New(simulator.Config{Baud: 1_000_000})
	m := motor.New(motor.Config{
		Open: func(string, int) (motor.Port, error) {
			host, line := simulator.Pipe()
			run(t, func(ctx context.Context) error {
				_ = servo.Serve(ctx, line) // ends when the motor closes its end
				return nil
			})
			return host, nil
		},
		Port: "pipe", Baud: 1_000_000, ID: 1, Speed: 300,
		MoveTimeout: 20 * time.Second, HealthInterval: time.Hour, Log: log,
	})
	var ids atomic.Int64
	d, err := device.New(device.Config{
		Carousel:  device.Carousel{Hotels: device.EvenlySpaced([]string{"A", "B", "C", "D"}, 19, 1), RoomsPerHotel: 20},
		QueueSize: 100, Tolerance: 0.5,
		NewID:  func() string { return fmt.Sprint("id-", ids.Add(1)) },
		Now:    time.Now,
		Limits: device.Limits{Temperature: 70, Current: 2000, MinVoltage: 10, MaxVoltage: 14},
		Motor:  m, Store: new(device.Memory), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	schedules := newFakeSchedules()
	link := mqtt.NewLink(mqtt.Config{
		Broker:    session.Broker{URLs: []string{"tcp://" + address}, Keepalive: 15 * time.Second},
		BaseTopic: "plate-resort", DeviceID: "lab",
		DiscoveryPrefix: prefix, Lines: mqtt.NewLog(), Log: log,
	}, d, schedules)
	run(t, m.Run)
	stopLink := run(t, link.Run)
	return resort{d, run(t, func(ctx context.Context) error { return d.Run(ctx, func() {}) }), stopLink, schedules}
}

func listen(t *testing.T, address string) *broker.Broker {
	t.Helper()
	b, err := broker.Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// A watcher sees everything on a broker.
type watcher struct {
	t        *testing.T
	client   paho.Client
	messages chan paho.Message
}

func watch(t *testing.T, address net.Addr) *watcher {
	t.Helper()
	w := &watcher{t: t, messages: make(chan paho.Message, 1000)}
	w.client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address.String()).SetAutoReconnect(false))
	t.Cleanup(func() { w.client.Disconnect(100) })
	w.await(w.client.Connect())
	w.await(w.client.Subscribe("#", 1, func(_ paho.Client, m paho.Message) { w.messages <- m }))
	return w
}

func (w *watcher) publish(topic, payload string) {
	w.t.Helper()
	w.await(w.client.Publish(topic, 1, false, payload))
}

func (w *watcher) await(token paho.Token) {
	w.t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		w.t.Fatalf("the broker did not answer in time, or: %v", token.Error())
	}
}

func (w *watcher) next() paho.Message {
	w.t.Helper()
	select {
	case m := <-w.messages:
		return m
	case <-time.After(patience):
		w.t.Fatal("nothing more was published")
		return nil
	}
}

// until returns the first message on the topic that is as wanted.
func (w *watcher) until(topic string, wanted func(payload []byte) bool) paho.Message {
	w.t.Helper()
	for {
		if m := w.next(); m.Topic() == topic && wanted(m.Payload()) {
			return m
		}
	}
}

func (w *watcher) untilIs(topic, payload string) paho.Message {
	w.t.Helper()
	return w.until(topic, func(p []byte) bool { return string(p) == payload })
}

func (w *watcher) untilState(wanted func(device.Snapshot) bool) device.Snapshot {
	w.t.Helper()
	var s device.Snapshot
	w.until("plate-resort/lab/state", func(p []byte) bool { return decode(w.t, p, &s) && wanted(s) })
	return s
}

func (w *watcher) untilOperation(id string, state device.State) device.Operation {
	w.t.Helper()
	var op device.Operation
	w.until("plate-resort/lab/operation", func(p []byte) bool {
		op = device.Operation{}
		return decode(w.t, p, &op) && op.ID == id && op.State == state
	})
	return op
}

func decode(t *testing.T, payload []byte, into any) bool {
	t.Helper()
	if err := json.Unmarshal(payload, into); err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	return true
}

func ready(s device.Snapshot) bool { return s.Status == device.StatusReady }

func TestLinkMakesAMoveOfAMessage(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	w := watch(t, b.Addr())
	newResort(t, b.Addr().String())
	w.untilState(ready)
	w.publish("plate-resort/lab/hotel/set", `{"hotel": "B", "id": "to-b"}`)
	w.untilOperation("to-b", device.Queued)
	w.untilOperation("to-b", device.Running)
	op := w.untilOperation("to-b", device.Completed)
	if op.Result == nil || op.Result.Hotel != "B" {
		t.Errorf("the result is %+v, want hotel B", op.Result)
	}
}

func TestLinkAnswersAStopOnceThoughItComesOnBothConnections(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	w := watch(t, b.Addr())
	newResort(t, b.Addr().String())
	w.untilState(ready)
	const presses = 20
	for range presses {
		w.publish("plate-resort/lab/stop/set", "STOP")
	}
	answers := 0
	next := func() (op device.Operation) {
		w.until("plate-resort/lab/operation", func(p []byte) bool { return decode(t, p, &op) })
		if op.Name == device.StopOperation {
			answers++
		}
		return op
	}
	for answers < presses {
		next()
	}
	w.publish("plate-resort/lab/home/set", `{"id": "refused"}`)
	for next().ID != "refused" {
	}
	if answers != presses {
		t.Errorf("%d presses were answered %d times", presses, answers)
	}
}

// Another client had the id of the stop's connection, and has subscribed to something that the broker keeps sending.
func TestOnlyAStopIsAStop(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	w := watch(t, b.Addr())
	other := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + b.Addr().String()).
		SetClientID("plate-resort-lab-stop").SetCleanSession(false).SetAutoReconnect(false))
	w.await(other.Connect())
	w.await(other.Subscribe("hall/#", 1, nil))
	other.Disconnect(100)
	newResort(t, b.Addr().String())
	w.untilState(ready)
	w.publish("hall/temperature", "21")
	w.publish("plate-resort/lab/hotel/set", `{"hotel": "B", "id": "to-b"}`)
	w.untilOperation("to-b", device.Running)
	w.untilOperation("to-b", device.Completed)
	w.publish("plate-resort/lab/stop/set", "STOP")
	w.untilState(func(s device.Snapshot) bool { return s.EmergencyStop })
}

func TestLinkPublishesEverythingAgainToABrokerThatHasForgotten(t *testing.T) {
	first := listen(t, "127.0.0.1:0")
	address := first.Addr().String()
	r := newResort(t, address)
	watch(t, first.Addr()).untilState(ready)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	r.device.Submit(device.Command{ID: "meanwhile", Name: device.HomeOperation, Source: "test"})
	w := watch(t, listen(t, address).Addr())
	w.untilOperation("meanwhile", device.Completed)
	w.untilIs("plate-resort/lab/availability", "online")
	w = watch(t, mustResolve(t, address))
	var state, availability bool
	for !state || !availability {
		m := w.next()
		state = state || m.Retained() && m.Topic() == "plate-resort/lab/state"
		availability = availability || m.Retained() && m.Topic() == "plate-resort/lab/availability" && string(m.Payload()) == "online"
	}
}

func mustResolve(t *testing.T, address string) net.Addr {
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func TestLinkTakesLeaveWithWhatIsLeftAndOffline(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	w := watch(t, b.Addr())
	r := newResort(t, b.Addr().String())
	w.untilState(ready)
	w.publish("plate-resort/lab/angle/set", `{"angle": 350, "id": "long"}`)
	w.untilOperation("long", device.Running)
	r.stopDevice()
	r.stopLink()
	w.untilOperation("long", device.Interrupted)
	w.untilIs("plate-resort/lab/availability", "offline")
}

func TestAtMostFiveStatesASecondWhileTheCarouselTurns(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	w := watch(t, b.Addr())
	newResort(t, b.Addr().String())
	w.untilState(ready)
	w.publish("plate-resort/lab/angle/set", `{"angle": 350, "id": "long"}`)
	w.untilOperation("long", device.Running)
	turning := 0
	var op device.Operation
	for op.State != device.Completed {
		m := w.next()
		switch m.Topic() {
		case "plate-resort/lab/operation":
			decode(t, m.Payload(), &op)
		case "plate-resort/lab/state":
			var s device.Snapshot
			if decode(t, m.Payload(), &s); s.Activity == device.Turning {
				turning++
			}
		}
	}
	if most := int(op.Result.DurationSeconds/0.2) + 1; turning == 0 || turning > most {
		t.Errorf("%d states in a move of %v s, want 1 to %d", turning, op.Result.DurationSeconds, most)
	}
}
