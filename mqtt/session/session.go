// Package session holds a connection to an MQTT broker: it connects, does the work of the session, and does so again
// after every loss, with a new paho client each time and nothing carried over. The device and its clients use it.
package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode"

	paho "github.com/eclipse/paho.mqtt.golang"
)

const (
	// connectTimeout bounds an attempt to connect, up to the broker's answer. It is short, as the kernel asks an address
	// that does not answer less and less often: each attempt asks anew.
	connectTimeout = 5 * time.Second
	// After hasty attempts without a session the broker may be no more than slow. An attempt then lasts for up to
	// slowTimeout, of which TCP, with TLS, has no more than dialTimeout.
	hasty       = 3
	dialTimeout = 6 * time.Second
	slowTimeout = 18 * time.Second
	// writeTimeout is also how long paho keeps who publishes or subscribes at the moment at which the connection ends.
	writeTimeout = 3 * time.Second
	// retryInterval is the mean time between two attempts to connect. It differs by half of that either way: those whom a
	// broker has lost at one moment do not come back at one moment.
	retryInterval = time.Second
	// subscribeTimeout and pingTimeout bound the wait for the broker's answer. They bear 5 s of latency in each
	// direction, of a connection that there is.
	subscribeTimeout = 12 * time.Second
	pingTimeout      = 12 * time.Second
	// disconnectTimeout is how long paho may take to send its DISCONNECT.
	disconnectTimeout = 100 * time.Millisecond
)

// probes has the kernel ask whether the other end of a silent connection is still there. A machine that was restarted
// meanwhile says no at once, long before the next ping of MQTT; one that says nothing is given up after 18 s. Paho
// has no way to ask for it with ws and wss.
var probes = net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: 3 * time.Second, Count: 5}

// A Broker says how to reach the broker, and as whom.
type Broker struct {
	URLs      []string // one of them is used, see [Place]: tcp, ssl, ws, wss
	Username  string   // "" is anonymous
	Password  string
	TLS       *tls.Config // for ssl and wss
	Keepalive time.Duration
	// Dial connects to one of the URLs; nil is over the network.
	Dial func(*url.URL) (net.Conn, error)
}

// Options are those of a new paho client, which has this id at the broker.
func (b Broker) Options(clientID string) *paho.ClientOptions {
	options := paho.NewClientOptions().
		SetClientID(clientID).
		SetUsername(b.Username).
		SetPassword(b.Password).
		SetTLSConfig(b.TLS).
		SetKeepAlive(b.Keepalive)
	if b.Dial != nil {
		options.SetCustomOpenConnectionFn(func(url *url.URL, _ paho.ClientOptions) (net.Conn, error) { return b.Dial(url) })
	}
	for _, address := range b.URLs {
		options.AddBroker(address)
	}
	return options
}

// A Connection keeps a session with the broker going: it connects, and again after every loss.
type Connection struct {
	Log *slog.Logger
	// Ready returns when the time has come to connect, or ctx ends.
	Ready func(ctx context.Context)
	// Options returns fresh options for each session.
	Options func() *paho.ClientOptions
	// Place is shared with the connections that must be to the same broker.
	Place *Place
	// Session does the work while the connection is open, and calls up when that has begun. It ends with the error of
	// up, if there is one. Its context ends with the connection. Present says that the broker has kept the session
	// since the last one.
	Session func(ctx context.Context, client paho.Client, present bool, up func() error) error
	// Lost is told why a session has ended, or could not begin at any broker. It may be nil.
	Lost func(error)
}

// An Intended end of a session is none of the broker's doing. The next session begins at once.
type Intended string

func (i Intended) Error() string { return string(i) }

// Run connects until ctx ends. An outage is logged once with each reason that it has, however many attempts it takes.
func (c *Connection) Run(ctx context.Context) {
	told := make(map[string]bool)
	failures := 0 // attempts in a row without a session
	for c.Ready(ctx); ctx.Err() == nil; c.Ready(ctx) {
		failures++
		err := c.once(ctx, failures > hasty, func(broker *url.URL) {
			c.Log.Info("connected to the broker", "broker", broker.Redacted())
			clear(told)
			failures = 0
		})
		if ctx.Err() != nil {
			return
		}
		if c.Lost != nil {
			c.Lost(err)
		}
		if errors.As(err, new(Intended)) {
			c.Log.Info("connecting to the broker anew", "reason", err)
			continue
		}
		reason := strings.Map(withoutDigits, err.Error())
		level := slog.LevelDebug
		if !told[reason] {
			level, told[reason] = slog.LevelWarn, true
		}
		c.Log.Log(ctx, level, "no connection to the broker, trying again until there is", "error", err)
		select {
		case <-time.After(retryInterval/2 + rand.N(retryInterval)):
		case <-ctx.Done():
			return
		}
	}
}

// withoutDigits drops what differs each time in an error of the same kind: ports and times.
func withoutDigits(r rune) rune {
	if unicode.IsDigit(r) {
		return -1
	}
	return r
}

// once is one session, at the first broker that takes the connection. The error says how it ended, or why there was
// none at each of them.
func (c *Connection) once(ctx context.Context, slow bool, up func(broker *url.URL)) (failed error) {
	sessionCtx, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	options := c.Options().
		SetProtocolVersion(4).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetDialer(&net.Dialer{KeepAliveConfig: probes}).
		SetPingTimeout(pingTimeout).
		SetWriteTimeout(writeTimeout).
		SetConnectionLostHandler(func(_ paho.Client, err error) {
			lose(fmt.Errorf("the connection was lost: %w", err))
		})
	brokers, openConnection := options.Servers, options.CustomOpenConnectionFn
	for _, at := range c.Place.order(c, len(brokers)) {
		options.Servers = brokers[at : at+1]
		options.SetConnectTimeout(connectTimeout)
		options.CustomOpenConnectionFn = openConnection
		if scheme := brokers[at].Scheme; openConnection == nil && (scheme == "tcp" || scheme == "ssl") {
			options.CustomOpenConnectionFn = open
		}
		if slow && !strings.HasPrefix(brokers[at].Scheme, "ws") { // where paho has one limit for all of it
			options.SetConnectTimeout(slowTimeout).Dialer.Timeout = dialTimeout
		}
		client, present, err := connect(ctx, options)
		if client != nil {
			err = c.Session(sessionCtx, client, present, func() error {
				if err := c.Place.enter(c, at, lose); err != nil {
					return err
				}
				failed = nil
				up(brokers[at])
				return nil
			})
			c.Place.exit(c, at, len(brokers))
			if cause := context.Cause(sessionCtx); cause != nil && !errors.Is(err, cause) {
				err = cause
			}
			client.Disconnect(uint(disconnectTimeout.Milliseconds()))
		}
		if len(brokers) > 1 {
			err = fmt.Errorf("%s: %w", brokers[at].Redacted(), err)
		}
		if failed != nil {
			err = fmt.Errorf("%w; %w", failed, err)
		}
		if failed = err; client != nil || ctx.Err() != nil {
			break
		}
	}
	return failed
}

// connect makes one attempt. Present says that the broker has kept the session since the last one.
func connect(ctx context.Context, options *paho.ClientOptions) (_ paho.Client, present bool, _ error) {
	client := paho.NewClient(options)
	token := client.Connect().(*paho.ConnectToken)
	select {
	case <-token.Done():
	case <-ctx.Done():
		go func() { // paho cannot be told to give up an attempt
			<-token.Done()
			client.Disconnect(0)
		}()
		return nil, false, ctx.Err()
	}
	if err := token.Error(); err != nil {
		return nil, false, explain(err, options)
	}
	return client, token.SessionPresent(), nil
}

// Subscribe returns once the broker has confirmed the subscriptions, with QoS 1, or with [ErrRefused].
func Subscribe(ctx context.Context, client paho.Client, handler paho.MessageHandler, topics ...string) error {
	filters := make(map[string]byte, len(topics))
	for _, topic := range topics {
		filters[topic] = 1
	}
	all := strings.Join(topics, ", ")
	token := client.SubscribeMultiple(filters, handler).(*paho.SubscribeToken)
	timeout := time.NewTimer(subscribeTimeout)
	defer timeout.Stop()
	select {
	case <-token.Done():
	case <-ctx.Done():
		return fmt.Errorf("%w, before the answer to the subscription to %s", context.Cause(ctx), all)
	case <-timeout.C:
		return fmt.Errorf("the broker did not confirm the subscription to %s within %v", all, subscribeTimeout)
	}
	if err := token.Error(); err != nil {
		return fmt.Errorf("subscribe to %s: %w", all, err)
	}
	for topic, code := range token.Result() {
		if code == subscriptionRefused {
			return fmt.Errorf("subscribe to %s: %w", topic, ErrRefused)
		}
	}
	return nil
}

// subscriptionRefused is the return code of a SUBACK for a subscription that the broker does not allow.
const subscriptionRefused = 0x80

// ErrRefused is the answer to a subscription that the broker does not allow.
var ErrRefused = errors.New("the broker refused it; its access control must allow it to this user")
