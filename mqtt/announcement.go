package mqtt

import (
	"encoding/json"
	"math/rand/v2"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

const (
	// announcePause is how long what has changed waits for more to change, before the discovery message is
	// published: Home Assistant may lose an update that comes while it is busy with the last one.
	announcePause = time.Second
	// contactPatience is how long the first message waits for the motor to be found, which it is about.
	contactPatience = 5 * time.Second
	// birthSpread is the longest that the message waits after Home Assistant's birth, so that not all
	// devices speak at once.
	birthSpread = 2 * time.Second
)

// An announcement is the discovery message in one session: what it said, and when it is to be said again.
type announcement struct {
	discovery discovery
	said      servo // what the last message was made for
	begun     time.Time
	due       time.Time // zero when nothing is to be said
	later     *time.Timer
	again     bool // everything else is published again with it

	born  chan struct{} // receives when Home Assistant has started
	stale chan string   // receives topics that have a message of this device under an earlier prefix
}

func newAnnouncement(d discovery) *announcement {
	a := &announcement{discovery: d, begun: time.Now(), later: time.NewTimer(0), born: make(chan struct{}, 1), stale: make(chan string, 10)}
	if d.prefix != "" {
		a.due = time.Now().Add(announcePause)
	}
	return a
}

// subscriptions are to Home Assistant's birth, and to what there is under other prefixes of one level.
func (a *announcement) subscriptions() []subscription {
	earlier := subscription{topic: "+" + a.discovery.below(), handler: a.earlier, without: "Home Assistant may know an old device"}
	if a.discovery.prefix == "" {
		return []subscription{earlier}
	}
	birth := subscription{topic: a.discovery.birth(), handler: a.birth, without: "Home Assistant may not know the device after a restart"}
	return []subscription{birth, earlier}
}

// birth handles what Home Assistant says of itself.
func (a *announcement) birth(_ paho.Client, m paho.Message) {
	if string(m.Payload()) != Online {
		return
	}
	select {
	case a.born <- struct{}{}:
	default:
	}
}

// earlier handles the discovery messages that the broker has of devices with this id.
func (a *announcement) earlier(_ paho.Client, m paho.Message) {
	var message discoveryMessage
	if !m.Retained() || m.Topic() == a.discovery.topic() || json.Unmarshal(m.Payload(), &message) != nil ||
		len(message.Availability) == 0 || message.Availability[0].Topic != a.discovery.topics.Availability() {
		return
	}
	select {
	case a.stale <- m.Topic():
	default:
	}
}

// reborn has the message published again, soon, and everything else with it. More births until then
// change nothing.
func (a *announcement) reborn() {
	if a.again {
		return
	}
	a.again, a.due = true, time.Now().Add(announcePause+rand.N(birthSpread))
}

// announce publishes the discovery message if it is due, or else has later fire when it will be.
func (p *publisher) announce() {
	a := p.announcement
	if a.discovery.prefix == "" {
		return
	}
	view := p.device.View()
	now := servoOf(view)
	if a.due.IsZero() && now != a.said {
		a.due = time.Now().Add(announcePause)
	}
	if a.due.IsZero() {
		return
	}
	wait := time.Until(a.due)
	if unknown := (servo{}); now == unknown && a.said == unknown {
		wait = max(wait, time.Until(a.begun.Add(contactPatience)))
	}
	if wait > 0 {
		a.later.Reset(wait)
		return
	}
	payload, err := json.Marshal(a.discovery.message(view))
	if err != nil {
		p.log.Error("cannot encode the announcement", "error", err)
		a.said, a.due = now, time.Time{}
		return
	}
	p.send(sending{}, a.discovery.topic(), true, payload)
	if a.again {
		for _, r := range p.retained {
			r.published = nil
		}
		p.reassert()
	}
	a.said, a.due, a.again = now, time.Time{}, false
}
