package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/mqtt"
	"github.com/plate-resort/plate-resort/mqtt/session"
)

const (
	// connectTimeout is how long a broker may take to answer.
	connectTimeout = 5 * time.Second
	// retainedTimeout is how long it has then for the retained messages of a device.
	retainedTimeout = 3 * time.Second
)

// remoteFlags are --broker and --device, which override the settings.
type remoteFlags struct{ broker, device string }

func (f *remoteFlags) add(c *cobra.Command) {
	f.addBroker(c)
	c.Flags().StringVar(&f.device, "device", "", "the device's id (default: PLATE_RESORT_DEVICE_ID)")
	complete(c, "device", f.completeDevices)
}

func (f *remoteFlags) addBroker(c *cobra.Command) {
	c.Flags().StringVar(&f.broker, "broker", "", "the broker's URL (default: PLATE_RESORT_MQTT_BROKER)")
	complete(c, "broker", cobra.NoFileCompletions)
}

// String is the flags as they were given, each with a space before it, for commands that are proposed.
func (f *remoteFlags) String() (given string) {
	if f.broker != "" {
		given += " --broker " + f.broker
	}
	if f.device != "" {
		given += " --device " + f.device
	}
	return given
}

// config says how to reach the device, or all devices. The settings of what only a device process has, such as
// its motor, may be wrong here.
func (f *remoteFlags) config(all bool) (client.Config, error) {
	env, err := f.environment()
	if err != nil {
		return client.Config{}, err
	}
	var p parser
	config := p.allDevices(env)
	if !all {
		config.Devices = []string{p.deviceID(env)}
	}
	return config, report(p.faults)
}

func (f *remoteFlags) environment() (environment, error) {
	env, err := readEnvironment()
	env.MQTTBroker = cmp.Or(f.broker, env.MQTTBroker)
	env.DeviceID = cmp.Or(f.device, env.DeviceID)
	return env, err
}

// allDevices says how to reach all devices on the broker.
func (p *parser) allDevices(e environment) client.Config {
	return client.Config{Broker: p.broker(e), BaseTopic: p.baseTopic(e)}
}

// A remote is a device seen over the broker, by a command that talks to it.
type remote struct {
	*client.Client
	device string
}

// connect connects to the broker, for the device of the flags.
func (f *remoteFlags) connect(ctx context.Context) (*remote, error) {
	config, err := f.config(false)
	if err != nil {
		return nil, err
	}
	c, err := dial(ctx, config)
	if err != nil {
		return nil, err
	}
	return &remote{c, config.Devices[0]}, nil
}

// dial connects to the broker, or says at once that it cannot.
func dial(ctx context.Context, config client.Config) (*client.Client, error) {
	patience := connectTimeout * time.Duration(len(config.Broker.URLs))
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %v", patience))
	defer cancel()
	c, err := client.Dial(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("%w\nThe broker is that of --broker, or of PLATE_RESORT_MQTT_BROKER: %s", err, brokers(config.Broker))
	}
	return c, nil
}

// brokers are the URLs of a broker, without passwords.
func brokers(b session.Broker) string { return hideUser(strings.Join(b.URLs, ",")) }

// await has take look at what the device publishes, until the device is known to be online and take has what it
// wants, which is named for the case that it does not come.
func (r *remote) await(ctx context.Context, what string, take func(client.Message) (enough bool, err error)) error {
	waiting, cancel := context.WithTimeout(ctx, retainedTimeout)
	defer cancel()
	online, enough := false, false
	for m := range r.Watch(waiting) {
		switch m.Topic {
		case client.Broker:
		case client.Availability:
			if online = string(m.Payload) == mqtt.Online; !online {
				return r.problem(client.ErrOffline)
			}
		default:
			var err error
			if enough, err = take(m); err != nil {
				return fmt.Errorf("the %s of device %s: %w", m.Topic, m.Device, err)
			}
		}
		if online && enough {
			return nil
		}
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case online:
		return fmt.Errorf("device %s is online, but has not published %s within %v", r.device, what, retainedTimeout)
	}
	return r.problem(client.ErrUnknown)
}

// problem is one that the device has.
func (r *remote) problem(err error) error { return advise(fmt.Errorf("device %s %w", r.device, err)) }

// advise adds to an error what is to be done about it.
func advise(err error) error {
	switch {
	case errors.Is(err, client.ErrUnknown):
		return fmt.Errorf("%w; it knows those that `plate-resort devices` lists, and --device says which is meant", err)
	case errors.Is(err, client.ErrUnanswered) && !errors.Is(err, context.Canceled):
		return fmt.Errorf("%w, unless the broker's access control keeps this user from commanding it", err)
	}
	return err
}
