package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt/session"
)

// motorPatience is how long the commands that the broker has kept wait for the first contact with the motor.
const motorPatience = 10 * time.Second

// source is where the commands come from that the link makes.
const source = "mqtt"

// Config says how to reach the broker.
type Config struct {
	Broker    session.Broker
	BaseTopic string
	DeviceID  string
	// KeepCommands has the broker keep commands while the device is away (QoS 1 and 2); they are
	// obeyed on return.
	KeepCommands bool
	// DiscoveryPrefix is where Home Assistant looks for devices; "" is not to be found.
	DiscoveryPrefix string
	Lines           *Log // what is published of the process's log
	Log             *slog.Logger
}

// Schedules are those of the device.
type Schedules interface {
	// Command makes the command that a message asks for on the input of the schedule of that name. After
	// an error, which is a [device.Error], it holds what could be read for the answer. It never waits.
	Command(name string, text []byte) (device.Command, error)
	// View returns a pointer to what is published of them. Another pointer is another value.
	View() any
	// Changed receives after View has changed.
	Changed() <-chan struct{}
}

// A Link connects one device with the broker.
type Link struct {
	config    Config
	topics    Topics
	device    *device.Device
	schedules Schedules
	log       *slog.Logger
	copies    copies
	stop      *stop

	rivals        *rivals
	broker        string // of the latest attempt to connect the commands
	commandsUp    *condition
	subscriptions *subscriptions
}

// NewLink makes the link; Run connects it.
func NewLink(c Config, d *device.Device, s Schedules) *Link {
	l := &Link{
		config: c, device: d, schedules: s, log: c.Log,
		topics:        NewTopics(c.BaseTopic, c.DeviceID),
		commandsUp:    newCondition(),
		rivals:        newRivals(c.DeviceID, d, c.Log),
		subscriptions: newSubscriptions(d, c.Log),
	}
	l.stop = newStop(l)
	return l
}

// Run keeps the connections going until ctx ends, and then takes leave of the broker.
func (l *Link) Run(ctx context.Context) error {
	place := new(session.Place)
	stop, second := l.stop.connection(place), l.second(place)
	commands := session.Connection{
		Log:   l.log.With("connection", "commands"),
		Place: place,
		Ready: func(ctx context.Context) {
			l.rivals.awaitTurn(ctx)
			l.stop.awaitOrWarn(ctx)
		},
		Options: func() *paho.ClientOptions {
			return l.options("").SetConnectionAttemptHandler(func(broker *url.URL, t *tls.Config) *tls.Config {
				l.broker = broker.String()
				return t
			}).SetCleanSession(!l.config.KeepCommands).
				SetDefaultPublishHandler(l.received).
				SetWill(l.topics.Availability(), Offline, 1, true)
		},
		Session: l.commandSession,
	}
	var wg sync.WaitGroup
	wg.Go(func() { stop.Run(ctx) })
	wg.Go(func() { second.Run(ctx) })
	wg.Go(func() {
		if l.config.KeepCommands { // what the broker has kept comes at once, and needs a motor
			select {
			case <-l.device.Contacted():
			case <-time.After(motorPatience):
			case <-ctx.Done():
			}
		}
		commands.Run(ctx)
	})
	wg.Wait()
	return nil
}

func (l *Link) options(suffix string) *paho.ClientOptions {
	return l.config.Broker.Options(l.clientID(suffix))
}

func (l *Link) clientID(suffix string) string {
	return strings.ReplaceAll(l.config.BaseTopic, "/", "_") + "-" + l.config.DeviceID + suffix
}

// commandSession listens for everything, and publishes.
func (l *Link) commandSession(ctx context.Context, client paho.Client, _ bool, up func() error) error {
	l.copies.lost(commandWay)
	p := newPublisher(client, l.topics, l.device, l.schedules, l.config.Lines.lines, l.log)
	p.announcement = newAnnouncement(discovery{l.topics, l.config.DeviceID, l.config.DiscoveryPrefix})
	defer p.announcement.later.Stop()
	defer l.rivals.begin(l.broker)()
	p.rivals = l.rivals
	err := l.serve(ctx, client, p, up)
	switch {
	case !client.IsConnectionOpen():
	case ctx.Err() != nil: // the program ends, or the other connection goes to another broker
		return p.farewell()
	default: // the device goes of its own accord, for which there is no will
		client.Publish(l.topics.Availability(), 1, true, Offline)
	}
	return err
}

// serve subscribes to the inputs, and publishes until ctx ends. The other subscriptions follow meanwhile.
func (l *Link) serve(ctx context.Context, client paho.Client, p *publisher, up func() error) error {
	// The will of a connection that the broker has only now found dead can come after our online, also before this.
	offline := func(_ paho.Client, m paho.Message) {
		if string(m.Payload()) != Online {
			p.reassert()
		}
	}
	rest := append([]subscription{
		{topic: l.topics.Instance(), handler: l.rivals.heard, open: l.rivals.subscribed,
			without: "A second process with this device id would not be recognised"},
		{topic: l.topics.Availability(), handler: offline, without: "The device may show as offline though it is there"},
	}, p.announcement.subscriptions()...)
	return l.subscriptions.during(ctx, client, l.inputs(), rest, up, func(ctx context.Context) error {
		l.commandsUp.set(true)
		defer l.commandsUp.set(false)
		return p.run(ctx)
	})
}

// inputs are the subscriptions that cover every input.
func (l *Link) inputs() []subscription {
	return []subscription{
		{topic: l.topics.inputs(), handler: l.received, without: "No commands come"},
		{topic: l.topics.SetSchedule("+"), handler: l.received, without: "No schedules can be set"},
	}
}

// received handles a message on the connection of the commands. It never waits, but for a stop.
func (l *Link) received(client paho.Client, m paho.Message) {
	name, isInput := l.topics.operation(m.Topic())
	schedule, isSchedule := l.topics.schedule(m.Topic())
	var command device.Command
	var err error
	switch {
	case !isInput:
		return // of an earlier session: our own availability
	case isSchedule:
		command, err = decodeSchedule(l.schedules, schedule, m.Payload(), m.Retained())
	case name == device.StopOperation:
		l.pressed(commandWay)(client, m)
		return
	default:
		command, err = decode(name, m.Payload(), m.Retained())
	}
	var refusal *device.Error
	switch {
	case err == nil:
		l.device.Submit(command)
	case errors.As(err, &refusal):
		l.device.Reject(command, refusal)
	default: // empty
		l.log.Debug("ignored an empty payload", "topic", m.Topic())
	}
}
