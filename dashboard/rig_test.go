package dashboard

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/plate-resort/plate-resort/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// A feed is a dashboard without a broker: the test says what the client has heard. It is for virtual time, so its network
// is in memory.
type feed struct {
	t        *testing.T
	messages chan client.Message
	listener *pipes
	end      context.CancelFunc
	ended    chan error
	http     *http.Client
	hub      *hub
}

func newFeed(t *testing.T, c Config) *feed {
	c.Log = quiet
	d := New(c)
	ctx, cancel := context.WithCancel(t.Context())
	f := &feed{
		t: t, messages: make(chan client.Message), listener: newPipes(), end: cancel, ended: make(chan error, 1), hub: d.hub,
	}
	f.http = &http.Client{Transport: &http.Transport{DialContext: f.listener.dial}}
	messages := make(chan client.Message)
	go func() { // as client.Watch does
		defer close(messages)
		for {
			select {
			case m := <-f.messages:
				messages <- m
			case <-ctx.Done():
				return
			}
		}
	}()
	go func() { f.ended <- d.serve(ctx, cancel, f.listener, messages) }()
	t.Cleanup(func() {
		f.http.CloseIdleConnections()
		cancel()
		if err := <-f.ended; err != nil {
			t.Error(err)
		}
	})
	return f
}

// says has the client hear a message.
func (f *feed) says(device string, topic client.Topic, payload string) {
	f.messages <- client.Message{Device: device, Topic: topic, Payload: []byte(payload), Received: time.Now()}
}

// retains has the client hear one that the broker has retained.
func (f *feed) retains(device string, topic client.Topic, payload string) {
	f.messages <- client.Message{Device: device, Topic: topic, Payload: []byte(payload), Received: time.Now(), Retained: true}
}

func (f *feed) connected(is bool) {
	payload, err := json.Marshal(client.Connection{Connected: is, Broker: "tcp://broker.lab:1883"})
	if err != nil {
		f.t.Fatal(err)
	}
	f.says("", client.Broker, string(payload))
}

// browsers is how many streams there are.
func (f *feed) browsers() int {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	return len(f.hub.browsers)
}

// open opens a stream.
func (f *feed) open() *events {
	synctest.Wait() // what the client has heard is in the snapshot
	return openEvents(f.t, f.http, "http://localhost/events")
}

// Pipes is a listener whose connections are in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	browser, server := net.Pipe()
	p.conns <- server
	return browser, nil
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Events are what a browser gets of GET /events.
type events struct {
	t       *testing.T
	answer  *http.Response
	scanner *bufio.Scanner
	waiting []shown // of the last event
}

// A shown message is what the page gets.
type shown struct {
	Device  string          `json:"device"`
	Topic   string          `json:"topic"`
	At      int64           `json:"at"`
	Payload json.RawMessage `json:"payload"`
}

func (m shown) is(device, topic, payload string) bool {
	return m.Device == device && m.Topic == topic && string(m.Payload) == payload
}

type event struct {
	name     string
	Now      int64   `json:"now"`
	Version  string  `json:"version"`
	Messages []shown `json:"messages"`
}

func openEvents(t *testing.T, c *http.Client, url string) *events {
	t.Helper()
	answer, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || kind != "text/event-stream" {
		t.Fatalf("got %s, %s, want a stream", answer.Status, kind)
	}
	scanner := bufio.NewScanner(answer.Body)
	scanner.Buffer(nil, 100<<20)
	return &events{t: t, answer: answer, scanner: scanner}
}

// event returns the next event; ok is false at the end.
func (e *events) event() (next event, ok bool) {
	e.t.Helper()
	for e.scanner.Scan() {
		switch field, value, _ := strings.Cut(e.scanner.Text(), ": "); field {
		case "event":
			next.name = value
		case "data":
			if err := json.Unmarshal([]byte(value), &next); err != nil {
				e.t.Fatalf("%v in %s", err, value)
			}
		case "": // the end of an event
			return next, true
		}
	}
	return event{}, false
}

// snapshot returns the first event.
func (e *events) snapshot() event {
	e.t.Helper()
	first, ok := e.event()
	if !ok || first.name != "snapshot" {
		e.t.Fatalf("the stream begins with %q, want a snapshot", first.name)
	}
	return first
}

// until returns the next message that matches.
func (e *events) until(what string, match func(shown) bool) shown {
	e.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); { // there are heartbeats to look at the clock by
		for len(e.waiting) > 0 {
			m := e.waiting[0]
			e.waiting = e.waiting[1:]
			if match(m) {
				return m
			}
		}
		next, ok := e.event()
		if !ok {
			e.t.Fatalf("the stream has ended before there was %s", what)
		}
		e.waiting = next.Messages
	}
	e.t.Fatalf("there was no %s within %v", what, patience)
	return shown{}
}

func (m shown) String() string { return m.Device + "/" + m.Topic + " " + string(m.Payload) }

// show lists messages for a comparison.
func show(messages []shown) []string {
	list := []string{}
	for _, m := range messages {
		list = append(list, m.String())
	}
	return list
}
