package mqtt

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/oklog/ulid/v2"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt/session"
)

// Two processes with one device id take each other's connections, as client ids are unique at a broker. Each tells on
// T/instance who it is, retained, with a number higher than all that it has seen there. Who connects again and finds a
// higher number than its own, of another process, knows that this one lives: no earlier process and no restored broker
// can have it. The one that runs for longer keeps the place. The other one leaves it alone, and listens for the stop
// and for the end of the first under a client id of its own.

const (
	// claimPause is how long after the connection a process says who it is if nothing has come on T/instance. It must
	// have said so before another one takes the connection, which tries every second.
	claimPause = 200 * time.Millisecond
	// vacancy is how long the first process must have been away until the second takes its place: a reconnection is
	// faster.
	vacancy = 5 * time.Second
	// rivalPatience is how long a rival is believed in that has not said that it waits.
	rivalPatience = 15 * time.Second
	// maxClaims is how often in one session a process says who it is. Over a bridge two could answer each other forever;
	// an answer to a second claim is proof.
	maxClaims = 3
)

// What an instance does.
const (
	holds = "holds" // it is the device
	waits = "waits" // it knows that it is the second
	gone  = "gone"  // it waits no longer
)

// An instance is a process with the device's id. It is the payload of T/instance.
type instance struct {
	ID       string    `json:"id"`
	Host     string    `json:"host"`
	Process  int       `json:"process"`
	Since    time.Time `json:"since"`
	Role     string    `json:"role"`
	Sequence uint64    `json:"sequence"`
}

func (i instance) String() string { return fmt.Sprintf("process %d on %s", i.Process, i.Host) }

// before reports whether an instance is the first of the two. Whatever the clocks say, both of them find the same.
func (i instance) before(j instance) bool {
	return cmp.Or(i.Since.Compare(j.Since), cmp.Compare(i.ID, j.ID)) < 0
}

// Rivals are other processes with the same device id. Safe for concurrent use.
type rivals struct {
	deviceID string
	device   *device.Device
	log      *slog.Logger
	second   *condition    // this process leaves the place to another one
	claim    chan struct{} // receives when this process is to say who it is

	mu      sync.Mutex
	me      instance
	highest uint64          // sequence that was seen or used
	known   map[string]bool // the brokers at which this process has claimed in an earlier session
	broker  string          // of the session
	claims  int             // in the session
	rival   instance        // zero if there is none
	doubt   *time.Timer     // ends the belief in the rival
}

func newRivals(deviceID string, d *device.Device, log *slog.Logger) *rivals {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	return &rivals{
		deviceID: deviceID, device: d, log: log, second: newCondition(), claim: make(chan struct{}, 1),
		me:    instance{ID: ulid.Make().String(), Host: host, Process: os.Getpid(), Since: time.Now().UTC()},
		known: make(map[string]bool),
	}
}

// begin begins a session. The claim follows what is retained, or comes without it.
func (r *rivals) begin(broker string) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.claims > 0 {
		r.known[r.broker] = true
	}
	r.broker, r.claims = broker, 0
	timer := time.AfterFunc(claimPause, r.askForClaim)
	return func() { timer.Stop() }
}

func (r *rivals) askForClaim() {
	select {
	case r.claim <- struct{}{}:
	default:
	}
}

// payload is what this process says of itself in a role. There is none if it has said enough.
func (r *rivals) payload(role string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	me := r.me
	if me.Role = role; role == holds {
		if r.claims++; r.claims > maxClaims {
			return nil
		}
		r.highest++
		r.me.Sequence = r.highest
		me.Sequence = r.highest
	}
	payload, err := json.Marshal(me)
	if err != nil {
		panic(err) // strings and numbers
	}
	return payload
}

// heard handles a message on T/instance.
func (r *rivals) heard(_ paho.Client, m paho.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var other instance
	if err := json.Unmarshal(m.Payload(), &other); err != nil || other.ID == r.me.ID {
		return
	}
	switch other.Role {
	case waits:
		r.face(other)
	case gone:
		if other.ID == r.rival.ID {
			r.forget()
		}
	case holds:
		r.highest = max(r.highest, other.Sequence)
		answered := !m.Retained() && r.claims > 1 // over a bridge both can be connected
		if other.Sequence > r.me.Sequence && (answered || r.known[r.broker]) {
			r.face(other)
		}
		if other.Sequence >= r.me.Sequence && r.claims < maxClaims {
			r.askForClaim()
		}
	}
}

// face takes it that there is a rival.
func (r *rivals) face(other instance) {
	what := fmt.Sprintf("another process with the device id %s is connected to this broker: stop one of them", r.deviceID)
	second := other.Role == holds && other.before(r.me)
	if r.rival.ID != other.ID {
		role := "this one goes on, as it runs for longer"
		if second {
			role = "this one waits, and obeys the emergency stop only"
		}
		r.log.Error(what, "other", other.String(), "role", role)
	}
	r.rival = other
	r.device.Warn("rival", fmt.Sprintf("A%s (%s)", what[1:], other))
	if r.doubt != nil {
		r.doubt.Stop()
	}
	switch {
	case second:
		r.second.set(true)
	case other.Role == holds:
		r.doubt = time.AfterFunc(rivalPatience, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.rival == other {
				r.forget()
			}
		})
	}
}

// forget takes it that there is no rival any more.
func (r *rivals) forget() {
	r.log.Info("the other process with this device id is gone", "other", r.rival.String())
	r.rival = instance{}
	r.device.Warn("rival", "")
	r.second.set(false)
}

// succeed has this process take the place.
func (r *rivals) succeed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.known) // what the first has said last is no news
	r.claims = 0
	r.forget()
}

// awaitTurn returns when there is no process that was here before.
func (r *rivals) awaitTurn(ctx context.Context) {
	select {
	case <-r.second.isNot():
	case <-ctx.Done():
	}
}

const errSecond session.Intended = "another process with this device id has the place"

// watch has the second process wait until the first has gone, or ctx ends. Whenever the first says who it is, the
// second says that it waits.
func (r *rivals) watch(ctx context.Context, client paho.Client, topics Topics) error {
	vacant, told := time.NewTimer(vacancy), make(chan struct{}, 1)
	defer vacant.Stop()
	tell := func() {
		select {
		case told <- struct{}{}:
		default:
		}
	}
	open, err := newSubscriptions(r.device, r.log).begin(ctx, client, []subscription{
		{topics.Instance(), func(_ paho.Client, m paho.Message) {
			if !m.Retained() {
				var other instance
				if json.Unmarshal(m.Payload(), &other) == nil && other.ID != r.me.ID && other.Role == holds {
					tell()
				}
			}
		}, "A second process is not known to the first"},
		{topics.Availability(), func(_ paho.Client, m paho.Message) {
			if string(m.Payload()) == Online {
				vacant.Stop()
			} else {
				vacant.Reset(vacancy)
			}
		}, "A second process does not know when the first ends"},
	})
	if err != nil {
		return err
	}
	if len(open) > 0 {
		return fmt.Errorf("cannot wait for the end of the other process: %s is not to be read", open[0].topic)
	}
	tell()
	for {
		select {
		case <-told:
			client.Publish(topics.Instance(), 1, false, r.payload(waits))
		case <-vacant.C:
			r.succeed()
			return session.Intended("the other process has left its place")
		case <-ctx.Done():
			if client.IsConnectionOpen() {
				client.Publish(topics.Instance(), 1, false, r.payload(gone)).WaitTimeout(farewellTimeout)
			}
			return nil
		}
	}
}
