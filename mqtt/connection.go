package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

const (
	connectTimeout = 5 * time.Second
	writeTimeout   = 10 * time.Second
	// retryInterval is the time between two attempts to connect.
	retryInterval = time.Second
	// subscribeTimeout bounds the wait for the broker's answer to a subscription.
	subscribeTimeout = 10 * time.Second
	// disconnectTimeout is how long paho may take to send its DISCONNECT.
	disconnectTimeout = 100 * time.Millisecond
)

// A connection keeps a session with the broker going: it connects, and again after every loss.
type connection struct {
	log *slog.Logger
	// ready returns when the time has come to connect, or ctx ends.
	ready func(ctx context.Context)
	// options returns fresh options for each session.
	options func() *paho.ClientOptions
	// session does the work while the connection is open, and calls up when that has begun. Its context
	// ends with the connection. Present says that the broker has kept the session since the last one.
	session func(ctx context.Context, client paho.Client, present bool, up func()) error
}

// run connects until ctx ends. An outage is logged once, however many attempts it takes.
func (c *connection) run(ctx context.Context) {
	down := false
	for c.ready(ctx); ctx.Err() == nil; c.ready(ctx) {
		err := c.once(ctx, func() {
			c.log.Info("connected to the broker")
			down = false
		})
		if ctx.Err() != nil {
			return
		}
		level := slog.LevelDebug
		if !down {
			level, down = slog.LevelWarn, true
		}
		c.log.Log(ctx, level, "no connection to the broker, trying again until there is", "error", err)
		select {
		case <-time.After(retryInterval):
		case <-ctx.Done():
			return
		}
	}
}

// once is one session, from connecting to its end, which the error explains.
func (c *connection) once(ctx context.Context, up func()) error {
	sessionCtx, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	options := c.options().
		SetProtocolVersion(4).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetConnectTimeout(connectTimeout).
		SetWriteTimeout(writeTimeout).
		SetConnectionLostHandler(func(_ paho.Client, err error) {
			lose(fmt.Errorf("the connection was lost: %w", err))
		})
	client := paho.NewClient(options)
	token := client.Connect().(*paho.ConnectToken)
	select {
	case <-token.Done():
	case <-ctx.Done():
		go func() { // paho cannot be told to give up an attempt
			<-token.Done()
			client.Disconnect(0)
		}()
		return ctx.Err()
	}
	if err := token.Error(); err != nil {
		return err
	}
	defer client.Disconnect(uint(disconnectTimeout.Milliseconds()))
	err := c.session(sessionCtx, client, token.SessionPresent(), up)
	if cause := context.Cause(sessionCtx); cause != nil {
		return cause
	}
	return err
}

// subscribe returns once the broker has confirmed the subscription.
func subscribe(ctx context.Context, client paho.Client, topic string, handler paho.MessageHandler) error {
	token := client.Subscribe(topic, 1, handler).(*paho.SubscribeToken)
	timeout := time.NewTimer(subscribeTimeout)
	defer timeout.Stop()
	select {
	case <-token.Done():
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timeout.C:
		return fmt.Errorf("the broker did not confirm the subscription to %s within %v", topic, subscribeTimeout)
	}
	if err := token.Error(); err != nil {
		return fmt.Errorf("subscribe to %s: %w", topic, err)
	}
	if token.Result()[topic] == subscriptionRefused {
		return fmt.Errorf("subscribe to %s: %w", topic, errRefused)
	}
	return nil
}

// subscriptionRefused is the return code of a SUBACK for a subscription that the broker does not allow.
const subscriptionRefused = 0x80

var errRefused = errors.New("the broker refused it; its access control must allow it to this user")
