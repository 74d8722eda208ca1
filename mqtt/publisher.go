package mqtt

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/plate-resort/plate-resort/device"
)

const (
	// window is how many messages may be on their way to the broker before events wait.
	window = 20
	// stateInterval is the least time between two states, unless something happens that people act on.
	stateInterval = 200 * time.Millisecond
	// acknowledgement is how long the broker may take to acknowledge a message. A member of a cluster may have lost it
	// with another one, and goes on otherwise (NATS). A network may take 5 s in each direction.
	acknowledgement = 12 * time.Second
	// farewellTimeout bounds what is sent when the program ends.
	farewellTimeout = time.Second

	// What the availability is.
	Online, Offline = "online", "offline"
)

// A publisher sends what the device has to say, in one session.
type publisher struct {
	client    paho.Client
	topics    Topics
	device    *device.Device
	schedules Schedules
	lines     <-chan []byte
	log       *slog.Logger

	offline  chan struct{} // receives when somebody has published that the device is away
	retained []*retained
	stateAt  time.Time // when the last state was published
	sent     uint64    // the last event sent in this session
	// sending are the messages that the broker has not acknowledged, which it does in their order.
	sending []sending

	announcement *announcement
	rivals       *rivals
}

// A retained is what a retained topic shows. Only the newest waits for the broker.
type retained struct {
	topic     string
	value     func(*device.View) any // a pointer: another one is another value
	published any
	sending   bool // the broker has not acknowledged it
	unwritten bool // what it showed last could not be encoded
}

// A sending is a message on its way to the broker.
type sending struct {
	token    paho.Token
	at       time.Time // when it was published
	event    uint64    // its sequence number, or 0
	retained *retained // whose topic it is on, or nil
}

func newPublisher(client paho.Client, topics Topics, d *device.Device, s Schedules, lines <-chan []byte, log *slog.Logger) *publisher {
	return &publisher{
		client: client, topics: topics, device: d, schedules: s, lines: lines, log: log, offline: make(chan struct{}, 1),
		retained: []*retained{
			{topic: topics.State(), value: func(v *device.View) any { return v.State }},
			{topic: topics.Health(), value: func(v *device.View) any { return v.Health }},
			{topic: topics.Queue(), value: func(v *device.View) any { return v.Queue }},
			{topic: topics.History(), value: func(v *device.View) any { return v.History }},
			{topic: topics.Schedules(), value: func(*device.View) any { return s.View() }},
		},
	}
}

// run publishes everything current, says online, and then publishes every change until ctx ends.
func (p *publisher) run(ctx context.Context) error {
	later, stuck := time.NewTimer(0), time.NewTimer(acknowledgement)
	defer later.Stop()
	defer stuck.Stop()
	p.reassert() // said first when everything current has been published
	for {
		p.announce()
		wait := p.publishView()
		p.publishEvents()
		if wait > 0 {
			later.Reset(wait)
		}
		if len(p.sending) > 0 {
			stuck.Reset(time.Until(p.sending[0].at.Add(acknowledgement)))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-p.device.Changed():
		case <-p.schedules.Changed():
		case <-p.device.Outbox().Added():
		case <-later.C:
		case <-p.oldest():
			if err := p.acknowledged(); err != nil {
				return err
			}
		case <-stuck.C:
			if len(p.sending) > 0 && time.Since(p.sending[0].at) >= acknowledgement {
				return fmt.Errorf("the broker has not acknowledged a message within %v", acknowledgement)
			}
		case <-p.offline:
			p.send(sending{}, p.topics.Availability(), true, Online)
		case <-p.rivals.claim:
			if payload := p.rivals.payload(holds); payload != nil {
				p.send(sending{}, p.topics.Instance(), true, payload)
			}
		case <-p.rivals.aside.is():
			return errSecond
		case <-p.announcement.later.C:
		case <-p.announcement.born:
			p.announcement.reborn()
		case topic := <-p.announcement.stale:
			p.send(sending{}, topic, true, "")
		case line := <-p.lines:
			p.client.Publish(p.topics.Log(), 0, false, line)
		}
	}
}

// reassert has online published again.
func (p *publisher) reassert() {
	select {
	case p.offline <- struct{}{}:
	default:
	}
}

// publishView publishes what has changed, each topic when the broker has taken its last message. The
// state of a turning carousel may have to wait.
func (p *publisher) publishView() (wait time.Duration) {
	view := p.device.View()
	for _, r := range p.retained {
		if r.sending || r.value(view) == r.published {
			continue
		}
		if last, ok := r.published.(*device.Snapshot); ok {
			if wait = p.stateWait(last, view.State); wait > 0 {
				continue
			}
		}
		p.publish(r, view)
	}
	return wait
}

// stateWait is how long a state must wait for its turn. What people act on goes at once; angles, and
// warnings that come and go, wait.
func (p *publisher) stateWait(last, next *device.Snapshot) time.Duration {
	if next.EmergencyStop != last.EmergencyStop || next.Torque != last.Torque ||
		next.Connection != last.Connection || phase(next) != phase(last) {
		return 0
	}
	return stateInterval - time.Since(p.stateAt)
}

// phase is what runs, and how far it is.
func phase(s *device.Snapshot) string {
	if s.Operation == nil {
		return ""
	}
	return string(s.Operation.State) + " " + s.Operation.ID
}

// publish publishes what a topic shows now. What cannot be encoded leaves what the topic showed before: all else
// goes on.
func (p *publisher) publish(r *retained, view *device.View) {
	value := r.value(view)
	payload, err := json.Marshal(value)
	r.published = value
	if err != nil {
		if !r.unwritten {
			p.log.Error("cannot encode what a topic shows", "topic", r.topic, "error", err)
		}
		r.unwritten = true
		return
	}
	r.sending, r.unwritten = true, false
	if value == any(view.State) {
		p.stateAt = time.Now()
	}
	p.send(sending{retained: r}, r.topic, true, payload)
}

func (p *publisher) publishEvents() {
	for _, e := range p.device.Outbox().After(p.sent, max(0, window-len(p.sending))) {
		p.sent = e.Sequence
		payload, err := json.Marshal(e)
		if err != nil {
			p.log.Error("cannot encode an operation", "id", e.Operation.ID, "error", err)
			continue
		}
		p.send(sending{event: e.Sequence}, p.topics.Operation(), false, payload)
	}
}

// send publishes a message that the broker is to acknowledge.
func (p *publisher) send(s sending, topic string, retained bool, payload any) {
	s.token, s.at = p.client.Publish(topic, 1, retained, payload), time.Now()
	p.sending = append(p.sending, s)
}

// oldest receives when the oldest message on its way is acknowledged.
func (p *publisher) oldest() <-chan struct{} {
	if len(p.sending) == 0 {
		return nil
	}
	return p.sending[0].token.Done()
}

func (p *publisher) acknowledged() error {
	s := p.sending[0]
	if err := s.token.Error(); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	p.sending = p.sending[1:]
	switch {
	case s.retained != nil:
		s.retained.sending = false
	case s.event > 0:
		p.device.Outbox().Delivered(s.event)
	}
	return nil
}

// farewell sends what is left, and offline, and waits until the broker has it.
func (p *publisher) farewell() error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), farewellTimeout, errFarewell)
	defer cancel()
	err := p.flush(ctx)
	view := p.device.View()
	for _, r := range p.retained {
		if r.value(view) != r.published {
			p.publish(r, view)
		}
	}
	offline := p.client.Publish(p.topics.Availability(), 1, true, Offline)
	if err != nil {
		return err
	}
	return wait(ctx, offline) // acknowledgements come in the order of the messages: the last one stands for all
}

// flush returns when the broker has every event.
func (p *publisher) flush(ctx context.Context) error {
	for {
		p.publishEvents()
		if len(p.sending) == 0 {
			return nil
		}
		if err := wait(ctx, p.sending[0].token); err != nil {
			return err
		}
		if err := p.acknowledged(); err != nil {
			return err
		}
	}
}

var errFarewell = fmt.Errorf("the broker did not take the farewell within %v", farewellTimeout)

// wait returns when the broker has acknowledged what was published or subscribed.
func wait(ctx context.Context, token paho.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
