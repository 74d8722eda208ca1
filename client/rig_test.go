package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is far longer than anything here takes.
const patience = 30 * time.Second

// within is a context for what ends by itself.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func config(address string, devices ...string) client.Config {
	return client.Config{Broker: session.Broker{URLs: []string{"tcp://" + address}}, Devices: devices}
}

func dial(t *testing.T, address string, devices ...string) *client.Client {
	t.Helper()
	c, err := client.Dial(within(t), config(address, devices...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// A lab is a device on a broker, and a client that reaches it over a relay.
type lab struct {
	*runningDevice
	t       *testing.T
	address string
	relay   *relay
	client  *client.Client
	watch   <-chan client.Message
}

func newLab(t *testing.T) *lab {
	t.Helper()
	address := listen(t, "127.0.0.1:0").Addr().String()
	relay := newRelay(t, address)
	l := &lab{t: t, address: address, relay: relay, client: dial(t, relay.Address(), "lab")}
	l.watch = l.client.Watch(t.Context())
	l.runningDevice = runDevice(t, address, "lab")
	for ready, online := false, false; !ready || !online; {
		m := l.next()
		var s device.Snapshot
		switch m.Topic {
		case client.State:
			ready = json.Unmarshal(m.Payload, &s) == nil && s.Status == device.StatusReady
		case client.Availability:
			online = string(m.Payload) == "online"
		}
	}
	return l
}

// next returns the next message of the watch.
func (l *lab) next() client.Message {
	l.t.Helper()
	select {
	case m, ok := <-l.watch:
		if !ok {
			l.t.Fatal("the watch has ended")
		}
		return m
	case <-time.After(patience):
		l.t.Fatal("nothing more came")
		return client.Message{}
	}
}

// until waits for a message.
func (l *lab) until(topic client.Topic, payload string) client.Message {
	l.t.Helper()
	for {
		if m := l.next(); m.Topic == topic && string(m.Payload) == payload {
			return m
		}
	}
}

func (l *lab) untilState(wanted func(device.Snapshot) bool) {
	l.t.Helper()
	for {
		var s device.Snapshot
		if m := l.next(); m.Topic == client.State && json.Unmarshal(m.Payload, &s) == nil && wanted(s) {
			return
		}
	}
}

// untilConnected waits for news of the connection to the broker.
func (l *lab) untilConnected(connected bool) {
	l.t.Helper()
	for {
		var c client.Connection
		if m := l.next(); m.Topic == client.Broker && json.Unmarshal(m.Payload, &c) == nil && c.Connected == connected {
			return
		}
	}
}

func hotel(name string) client.Command {
	return client.Command{Input: "hotel", Fields: map[string]any{"hotel": name}}
}

// submit submits what is accepted.
func (l *lab) submit(command client.Command) *client.Submission {
	l.t.Helper()
	s, err := l.client.Submit(within(l.t), "lab", command)
	if err != nil {
		l.t.Fatalf("%s was not accepted: %v", command.Input, err)
	}
	return s
}

// untilMove waits until the move number n, from 1 on, has begun.
func (l *lab) untilMove(n int) {
	l.t.Helper()
	if len(l.Motor.Moves()) < n {
		l.untilState(func(device.Snapshot) bool { return len(l.Motor.Moves()) >= n })
	}
}

// arrive ends the move number n when it has begun.
func (l *lab) arrive(n int) {
	l.t.Helper()
	l.untilMove(n)
	l.Motor.Moves()[n-1].Arrive()
}

// completed waits for the end of a submission, and fails the test if it is another one.
func completed(t *testing.T, s *client.Submission) device.Operation {
	t.Helper()
	op, err := s.Wait(within(t))
	if err != nil || op.ID != s.ID || op.State != device.Completed {
		t.Fatalf("the operation ended with %v, %+v", err, op)
	}
	return op
}

// states are those that a submission goes through.
func states(t *testing.T, s *client.Submission) (states []device.State) {
	t.Helper()
	for e, err := range s.Events(within(t)) {
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, e.Operation.State)
	}
	return states
}

func expectStates(t *testing.T, s *client.Submission, want ...device.State) {
	t.Helper()
	if got := states(t, s); !slices.Equal(got, want) {
		t.Errorf("the operation was %v, want %v", got, want)
	}
}

// expectCode fails the test unless the error is that of an operation in this state, with this code.
func expectCode(t *testing.T, err error, state device.State, code device.Code) {
	t.Helper()
	var operation *client.OperationError
	if !errors.As(err, &operation) || operation.Operation.State != state || operation.Operation.Error.Code != code {
		t.Errorf("the error is %v, want that of an operation that is %s, %s", err, state, code)
	}
}

// await fails the test unless the broker grants what it was asked for.
func await(t *testing.T, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("the broker did not answer in time, or: %v", token.Error())
	}
}

// commands listens on the inputs of the device, and returns what counts the commands for a hotel so far, once: all of the
// client's.
func (l *lab) commands() func() int {
	l.t.Helper()
	topics := make(chan string, 1000)
	observer := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + l.address))
	l.t.Cleanup(func() { observer.Disconnect(100) })
	await(l.t, observer.Connect())
	await(l.t, observer.Subscribe("plate-resort/lab/+/set", 1, func(_ paho.Client, m paho.Message) { topics <- m.Topic() }))
	return func() (n int) {
		l.t.Helper()
		l.submit(client.Command{Input: "refresh"}) // behind all others
		for {
			select {
			case topic := <-topics:
				switch topic {
				case "plate-resort/lab/refresh/set":
					return n
				case "plate-resort/lab/hotel/set":
					n++
				}
			case <-time.After(patience):
				l.t.Fatal("nothing more came")
			}
		}
	}
}

// A script is a device that says what a test has it say.
type script struct {
	t       *testing.T
	mqtt    paho.Client
	arrived chan paho.Message
}

// newScript makes a device "lab" that is online.
func newScript(t *testing.T, address string) *script {
	t.Helper()
	s := &script{t: t, mqtt: paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address)), arrived: make(chan paho.Message, 2000)}
	t.Cleanup(func() { s.mqtt.Disconnect(100) })
	await(s.t, s.mqtt.Connect())
	await(s.t, s.mqtt.Subscribe("plate-resort/lab/+/set", 1, func(_ paho.Client, m paho.Message) { s.arrived <- m }))
	s.publish("availability", "online", true)
	return s
}

func (s *script) publish(topic, payload string, retained bool) {
	s.t.Helper()
	await(s.t, s.mqtt.Publish("plate-resort/lab/"+topic, 1, retained, payload))
}

func (s *script) next() paho.Message {
	s.t.Helper()
	select {
	case m := <-s.arrived:
		return m
	case <-time.After(patience):
		s.t.Fatal("no command came")
		return nil
	}
}

// nextID is the id of the next command.
func (s *script) nextID() string {
	s.t.Helper()
	var sent struct{ ID string }
	if err := json.Unmarshal(s.next().Payload(), &sent); err != nil {
		s.t.Fatal(err)
	}
	return sent.ID
}

// say publishes an event of the operation with that id.
func (s *script) say(id string, state device.State) {
	s.t.Helper()
	s.publish("operation", `{"id": "`+id+`", "operation": "hotel", "state": "`+string(state)+`", "attempt": 1}`, false)
}

// reject answers that the operation with that id cannot be.
func (s *script) reject(id string, code device.Code) {
	s.t.Helper()
	s.publish("operation", `{"id": "`+id+`", "operation": "hotel", "state": "rejected", "error": {"code": "`+string(code)+`"}}`, false)
}

// beside does something beside the test, which ends after it.
func beside(t *testing.T, do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	t.Cleanup(func() { <-done })
}
