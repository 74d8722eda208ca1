// Package client is the other side of the broker, for programs that use devices: it submits operations and
// waits for their ends, and follows what devices publish. The device opens no port; all of it goes over MQTT.
//
//	c, err := client.Dial(ctx, client.Config{Broker: session.Broker{URLs: []string{"tcp://localhost:1883"}}})
//	…
//	defer c.Close()
//	move, err := c.Submit(ctx, "lab1", client.Command{Input: "hotel", Fields: map[string]any{"hotel": "B"}})
//	…                            // accepted and on the device's disk: it is carried out from now on
//	end, err := move.Wait(ctx)   // end.Result says where it ended
//
// A Client holds one connection with one subscription, to all that its devices publish, and connects again after
// every loss. What was submitted while the broker blinked is sent again with the same id, which is the same operation.
package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/oklog/ulid/v2"

	"github.com/plate-resort/plate-resort/mqtt"
	"github.com/plate-resort/plate-resort/mqtt/session"
)

// Config says how to reach the broker, and which devices to follow.
type Config struct {
	Broker session.Broker // its Keepalive may be 0, for 15 s
	// BaseTopic is the devices'; "" is plate-resort.
	BaseTopic string
	// Devices are the ids of those that are followed, and may be submitted to; none at all are all.
	Devices []string
	// Log may be nil.
	Log *slog.Logger
}

const (
	defaultBaseTopic = "plate-resort"
	defaultKeepalive = 15 * time.Second
)

// A Client follows devices over one broker. It is safe for concurrent use.
type Client struct {
	config Config
	stop   context.CancelFunc
	ended  chan struct{} // closed when the client is
	first  chan error    // how the first attempt to connect ended

	mu       sync.Mutex
	broker   Connection
	address  string      // of the last attempt to connect
	mqtt     paho.Client // of this session; nil without one
	session  int         // counts the sessions, from 1
	since    time.Time   // there are subscriptions in this one; zero without
	latest   map[string]map[Topic]Message
	watchers map[*watcher]bool
	open     []*Submission // those that have not ended, oldest first
	changed  chan struct{} // closed, and replaced, when what a submission waits for may have come
}

// A Connection says whether there is one to the broker. It is the payload of [Broker].
type Connection struct {
	Connected bool   `json:"connected"`
	Broker    string `json:"broker"` // its URL
	Error     string `json:"error"`  // why there is none, when it is known
}

// Start makes a client that connects as soon as it can, and tells its watchers. For programs that may be there
// before the broker is.
func Start(config Config) *Client {
	if config.BaseTopic == "" {
		config.BaseTopic = defaultBaseTopic
	}
	if config.Broker.Keepalive == 0 {
		config.Broker.Keepalive = defaultKeepalive
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Client{
		config: config, stop: stop, ended: make(chan struct{}), first: make(chan error, 1),
		latest:   make(map[string]map[Topic]Message),
		watchers: make(map[*watcher]bool),
		changed:  make(chan struct{}),
	}
	id := "plate-resort-client-" + ulid.Make().String()
	connection := session.Connection{
		Log:     config.Log,
		Place:   new(session.Place),
		Ready:   func(context.Context) {},
		Options: func() *paho.ClientOptions { return c.options(id) },
		Session: c.serve,
		Lost:    c.lost,
	}
	go func() {
		defer close(c.ended)
		connection.Run(ctx)
	}()
	return c
}

// Dial makes a client and returns it once it is connected. It fails if the first attempt does.
func Dial(ctx context.Context, config Config) (*Client, error) {
	c := Start(config)
	var err error
	select {
	case err = <-c.first:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("connect to the broker: %w", err)
	}
	return c, nil
}

// Close ends the connection, all watches, and what waits.
func (c *Client) Close() {
	c.stop()
	<-c.ended
}

// ErrClosed is what becomes of what waits when the client is closed.
var ErrClosed = errors.New("the client is closed")

func (c *Client) options(id string) *paho.ClientOptions {
	return c.config.Broker.Options(id).SetConnectionAttemptHandler(func(broker *url.URL, t *tls.Config) *tls.Config {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.address = broker.Redacted()
		return t
	})
}

// serve is one session: it subscribes, and lasts until the connection ends.
func (c *Client) serve(ctx context.Context, client paho.Client, _ bool, up func() error) error {
	c.mu.Lock()
	clear(c.latest) // the broker tells all of it again
	c.mqtt = client
	c.session++
	c.broadcast()
	c.mu.Unlock()
	if err := session.Subscribe(ctx, client, c.received, c.filters()...); err != nil {
		return err
	}
	if err := up(); err != nil {
		return err
	}
	c.mu.Lock()
	c.subscribed()
	c.mu.Unlock()
	c.attempted(nil)
	<-ctx.Done()
	return nil
}

// filters are the subscriptions: every topic of a device but the inputs, which have one level more.
func (c *Client) filters() (filters []string) {
	if len(c.config.Devices) == 0 {
		return []string{c.config.BaseTopic + "/+/+"}
	}
	for _, id := range c.config.Devices {
		for _, topic := range slices.Concat(retained, passing) {
			filters = append(filters, c.config.BaseTopic+"/"+id+"/"+string(topic))
		}
	}
	return filters
}

// subscribed notes that there are subscriptions, which may be confirmed or seen by what comes.
func (c *Client) subscribed() {
	if c.since.IsZero() {
		c.since = time.Now()
		c.tell(Connection{Connected: true, Broker: c.address})
	}
}

// lost notes that a session, or an attempt at one, has ended.
func (c *Client) lost(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mqtt, c.since = nil, time.Time{}
	c.tell(Connection{Broker: c.address, Error: err.Error()})
	c.attempted(err)
}

// attempted tells Dial of the first attempt.
func (c *Client) attempted(err error) {
	select {
	case c.first <- err:
	default:
	}
}

// tell tells of the connection to the broker, if that is news.
func (c *Client) tell(news Connection) {
	if news == c.broker {
		return
	}
	c.broker = news
	c.pass(c.connection())
	c.broadcast()
}

// connection is the message about the connection to the broker.
func (c *Client) connection() Message {
	payload, err := json.Marshal(c.broker)
	if err != nil {
		panic(err) // a bool and two strings
	}
	return Message{Topic: Broker, Payload: payload, Received: time.Now()}
}

// maxPayload is the size in bytes above which a message is of no device: some 2,000 schedules.
const maxPayload = 1 << 20

// received handles a message of the broker. It never waits.
func (c *Client) received(client paho.Client, m paho.Message) {
	device, topic, ok := strings.Cut(strings.TrimPrefix(m.Topic(), c.config.BaseTopic+"/"), "/")
	if !ok || !mqtt.DeviceIDPattern.MatchString(device) || len(m.Payload()) > maxPayload {
		return
	}
	message := Message{Device: device, Topic: Topic(topic), Payload: m.Payload(), Retained: m.Retained(), Received: time.Now()}
	c.mu.Lock()
	defer c.mu.Unlock()
	if client != c.mqtt {
		return // it is late: its session has ended
	}
	c.subscribed()
	switch {
	case slices.Contains(retained, message.Topic):
		c.keep(message)
	case !slices.Contains(passing, message.Topic):
		return
	}
	c.pass(message)
	c.hear(message)
}

// keep keeps the latest message of a retained topic; one without a payload means that there is none any more.
func (c *Client) keep(m Message) {
	if len(m.Payload) == 0 {
		delete(c.latest[m.Device], m.Topic)
		return
	}
	if c.latest[m.Device] == nil {
		c.latest[m.Device] = make(map[Topic]Message)
	}
	c.latest[m.Device][m.Topic] = m
}

// broadcast wakes what waits.
func (c *Client) broadcast() {
	close(c.changed)
	c.changed = make(chan struct{})
}
