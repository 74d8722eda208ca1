package cmd

import (
	"context"
	"fmt"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/mqtt"
)

// remoteTimeout bounds the conversation with the broker: connect, subscribe, publish.
const remoteTimeout = 5 * time.Second

// A remote is a device seen over the broker, by a command that talks to it.
type remote struct {
	client  paho.Client
	topics  mqtt.Topics
	device  string
	message chan paho.Message
	lost    chan error
}

// remoteFlags are --broker and --device, which override the settings.
type remoteFlags struct{ broker, device string }

func (f *remoteFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.broker, "broker", "", "the broker's URL (default: PLATE_RESORT_MQTT_BROKER)")
	c.Flags().StringVar(&f.device, "device", "", "the device's id (default: PLATE_RESORT_DEVICE_ID)")
}

// connect connects to the broker and subscribes to topics of the device, as topics lists them.
func (f *remoteFlags) connect(ctx context.Context, topics func(mqtt.Topics) []string) (*remote, error) {
	s, err := loadSettings(func(env *environment) {
		if f.broker != "" {
			env.MQTTBroker = f.broker
		}
		if f.device != "" {
			env.DeviceID = f.device
		}
	})
	if err != nil {
		return nil, err
	}
	r := &remote{
		topics:  mqtt.NewTopics(s.baseTopic, s.deviceID),
		device:  s.deviceID,
		message: make(chan paho.Message, 1000),
		lost:    make(chan error, 1),
	}
	options := s.broker.Options(""). // the broker makes one
						SetProtocolVersion(4).SetAutoReconnect(false).SetConnectTimeout(remoteTimeout).SetWriteTimeout(remoteTimeout).
						SetConnectionLostHandler(func(_ paho.Client, err error) { r.lost <- err })
	r.client = paho.NewClient(options)
	if err := r.await(ctx, r.client.Connect()); err != nil {
		return nil, fmt.Errorf("connect to the broker: %w", err)
	}
	for _, topic := range topics(r.topics) {
		token := r.client.Subscribe(topic, 1, func(_ paho.Client, m paho.Message) { r.message <- m })
		if err := r.await(ctx, token); err != nil {
			r.close()
			return nil, fmt.Errorf("subscribe to %s: %w", topic, err)
		}
	}
	return r, nil
}

func (r *remote) close() { r.client.Disconnect(100) }

// await returns when the broker has answered.
func (r *remote) await(ctx context.Context, token paho.Token) error {
	ctx, cancel := context.WithTimeoutCause(ctx, remoteTimeout, fmt.Errorf("no answer within %v", remoteTimeout))
	defer cancel()
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// next returns the next message of the device.
func (r *remote) next(ctx context.Context) (paho.Message, error) {
	select {
	case m := <-r.message:
		return m, nil
	case err := <-r.lost:
		return nil, fmt.Errorf("the connection to the broker was lost: %w", err)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// awaitOnline returns once the device is known to be online.
func (r *remote) awaitOnline(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, checkTimeout, r.unknown())
	defer cancel()
	for {
		m, err := r.next(ctx)
		if err != nil {
			return err
		}
		if m.Topic() != r.topics.Availability() {
			continue
		}
		if string(m.Payload()) != mqtt.Online {
			return fmt.Errorf("device %s is offline", r.device)
		}
		return nil
	}
}

func (r *remote) unknown() error {
	return fmt.Errorf("device %s is not known to the broker: nothing is retained on %s", r.device, r.topics.Availability())
}
