package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/oklog/ulid/v2"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/simulator"
	"github.com/plate-resort/plate-resort/mqtt"
	"github.com/plate-resort/plate-resort/mqtt/broker"
	"github.com/plate-resort/plate-resort/mqtt/session"
	"github.com/plate-resort/plate-resort/scheduler"
)

// patience is far longer than anything here takes.
const patience = 30 * time.Second

// A resort is a broker, a device "lab" with a simulated servo, and the dashboard.
type resort struct {
	t          *testing.T
	broker     *broker.Broker
	stopDevice func() // after which it is offline
	url        string
	password   string
	http       *http.Client
	inputs     *inputs
}

func newResort(t *testing.T, password string) *resort {
	t.Helper()
	b, err := broker.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	r := &resort{t: t, broker: b, password: password, http: &http.Client{Transport: &http.Transport{}, Timeout: patience}}
	t.Cleanup(r.http.CloseIdleConnections)
	r.inputs = watchInputs(t, b.Addr())
	urls := session.Broker{URLs: []string{"tcp://" + b.Addr().String()}, Keepalive: 15 * time.Second}
	// The client comes before the device: the broker has a data race between a subscription with + and what is retained
	// meanwhile.
	c, err := client.Dial(t.Context(), client.Config{Broker: urls})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	r.stopDevice = runDevice(t, urls)
	select {
	case <-r.inputs.online:
	case <-time.After(patience):
		t.Fatal("the device is not online")
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + listener.Addr().String()
	run(t, func(ctx context.Context) error {
		return New(Config{Client: c, Password: password, Version: "1.2.3", Log: quiet}).Serve(ctx, listener)
	})
	return r
}

// run runs something until the test ends, or what is returned is called.
func run(t *testing.T, f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// runDevice runs the device, until the test ends or what is returned is called.
func runDevice(t *testing.T, b session.Broker) (stop func()) {
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
		MoveTimeout: 20 * time.Second, HealthInterval: time.Hour, Log: quiet,
	})
	newID := func() string { return ulid.Make().String() }
	d, err := device.New(device.Config{
		Carousel:  device.Carousel{Hotels: device.EvenlySpaced([]string{"A", "B", "C", "D"}, 19, 1), RoomsPerHotel: 20},
		QueueSize: 100, Tolerance: 0.5, NewID: newID, Now: time.Now,
		Limits: device.Limits{Temperature: 70, Current: 2000, MinVoltage: 10, MaxVoltage: 14},
		Motor:  m, Store: new(device.Memory), Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	planner, err := scheduler.New(scheduler.Config{Device: d, Store: new(scheduler.Memory), NewID: newID, Now: time.Now, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	d.Observe(planner.Observe)
	link := mqtt.NewLink(mqtt.Config{
		Broker: b, BaseTopic: "plate-resort", DeviceID: "lab", Lines: mqtt.NewLog(), Log: quiet,
	}, d, planner)
	run(t, m.Run)
	run(t, planner.Run)
	stopLink := run(t, link.Run)
	stopDevice := run(t, func(ctx context.Context) error { return d.Run(ctx, func() {}) })
	return func() {
		stopDevice()
		stopLink()
	}
}

// Inputs are the messages on all inputs, of any device.
type inputs struct {
	t        *testing.T
	client   paho.Client
	messages chan string   // topic and payload
	online   chan struct{} // receives when the device says so
}

func watchInputs(t *testing.T, address net.Addr) *inputs {
	t.Helper()
	i := &inputs{t: t, messages: make(chan string, 1000), online: make(chan struct{}, 10)}
	i.client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address.String()).SetAutoReconnect(false))
	t.Cleanup(func() { i.client.Disconnect(100) })
	i.await(i.client.Connect())
	i.await(i.client.Subscribe("#", 1, func(_ paho.Client, m paho.Message) {
		switch topic := m.Topic(); {
		case strings.HasSuffix(topic, "/set"):
			i.messages <- topic + " " + string(m.Payload())
		case topic == "plate-resort/lab/availability" && string(m.Payload()) == mqtt.Online:
			i.online <- struct{}{}
		}
	}))
	return i
}

func (i *inputs) await(token paho.Token) {
	i.t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		i.t.Fatalf("the broker did not answer in time, or: %v", token.Error())
	}
}

// next returns the next message.
func (i *inputs) next() string {
	i.t.Helper()
	select {
	case m := <-i.messages:
		return m
	case <-time.After(patience):
		i.t.Fatal("nothing was published")
		return ""
	}
}

// expectNone fails the test if there was a message.
func (i *inputs) expectNone() {
	i.t.Helper()
	i.await(i.client.Publish("end/set", 1, false, ""))
	if m := i.next(); m != "end/set " {
		i.t.Errorf("%s was published", m)
	}
}

// request makes a request with the password. The headers are name and value by turns.
func (r *resort) request(method, path, body string, headers ...string) *http.Request {
	r.t.Helper()
	request, err := http.NewRequest(method, r.url+path, bytes.NewBufferString(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if r.password != "" {
		request.SetBasicAuth("anybody", r.password)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	for n := 0; n < len(headers); n += 2 {
		request.Header.Set(headers[n], headers[n+1])
		if headers[n] == "Host" {
			request.Host = headers[n+1]
		}
	}
	return request
}

// A reply is what a request got. A refused operation and a refused request both have an error.
type reply struct {
	status int
	header http.Header
	text   string

	ID        string            `json:"id"`
	Operation string            `json:"operation"`
	State     string            `json:"state"`
	Error     *device.Error     `json:"error"`
	Health    []json.RawMessage `json:"health"`
	Log       []json.RawMessage `json:"log"`
	Ended     []struct {
		ID    string `json:"id"`
		State string `json:"state"`
	} `json:"operations"`
}

func (r *resort) do(request *http.Request) reply {
	r.t.Helper()
	answer, err := r.http.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	got := reply{status: answer.StatusCode, header: answer.Header, text: string(text)}
	if answer.Header.Get("Content-Type") == "application/json" {
		if err := json.Unmarshal(text, &got); err != nil {
			r.t.Fatalf("%v in %s", err, text)
		}
	}
	return got
}

func (r *resort) post(path, body string, headers ...string) reply {
	r.t.Helper()
	return r.do(r.request(http.MethodPost, path, body, headers...))
}

func (r *resort) get(path string, headers ...string) reply {
	r.t.Helper()
	return r.do(r.request(http.MethodGet, path, "", headers...))
}

// ready returns a stream from where the device is ready for moves.
func (r *resort) ready() *events {
	r.t.Helper()
	e := openEvents(r.t, r.http, r.url+"/events")
	e.waiting = e.snapshot().Messages
	state, availability := false, false
	e.until("a device that is ready", func(m shown) bool {
		availability = availability || m.is("lab", "availability", `"online"`)
		state = state || m.Device == "lab" && m.Topic == "state" && bytes.Contains(m.Payload, []byte(`"status":"ready"`))
		return state && availability
	})
	return e
}
