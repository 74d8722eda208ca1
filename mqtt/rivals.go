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

// Two processes with one device id take each other's connections, as client ids are unique at a broker. Each claims the
// place on T/instance, retained, with a number higher than all that it has seen there. Who connects again and finds a
// higher number than its own, of another process, knows that this one lives: no earlier process and no restored broker
// can have it. The first to know compares for how long the two have run. If it is the other one it leaves the place,
// and else it says in its next claim who is to leave: so they agree, whatever the clocks say.

const (
	// claimPause is how long after the subscription a process claims the place if nothing has come on T/instance. It must
	// have done so before another one takes the connection, which tries every second.
	claimPause = 200 * time.Millisecond
	// vacancy is how long the first process must have been away until the second takes its place: a reconnection is
	// faster.
	vacancy = 5 * time.Second
	// rivalPatience is how long a rival is believed in that has not said in this session that it waits.
	rivalPatience = 15 * time.Second
	// maxClaims is how often a process answers the claims of others. Over a bridge two could do so forever; an answer to
	// a second claim is proof.
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
	ID      string  `json:"id"`
	Host    string  `json:"host"`
	Process int     `json:"process"`
	Running float64 `json:"running_seconds"`
	Role    string  `json:"role"`
	// Sequence is the number of a claim. Who waits has that of the one that it answers, or 0 to have one.
	Sequence uint64 `json:"sequence"`
	Second   string `json:"second,omitempty"` // in a claim, the id of the one that is to wait
}

func (i instance) String() string { return fmt.Sprintf("process %d on %s", i.Process, i.Host) }

// Rivals are other processes with the same device id. Safe for concurrent use.
type rivals struct {
	deviceID string
	device   *device.Device
	log      *slog.Logger
	started  time.Time
	second   *condition    // this process leaves the place to another one
	aside    *condition    // and the connections under the device's client ids as well
	claim    chan struct{} // receives when this process is to claim the place

	mu      sync.Mutex
	me      instance        // as of the latest claim
	highest uint64          // sequence that was seen or used
	known   map[string]bool // the brokers that have had a claim of this process in an earlier session
	broker  string          // of the session
	told    bool            // the broker has the latest claim, as it has come back in this session
	claims  int             // in the session, since the last rival came or went
	rival   instance        // zero if there is none
	due     *time.Timer     // asks for the first claim of the session
	doubt   *time.Timer     // ends the belief in the rival
}

func newRivals(deviceID string, d *device.Device, log *slog.Logger) *rivals {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	r := &rivals{
		deviceID: deviceID, device: d, log: log, started: time.Now(),
		second: newCondition(), aside: newCondition(), claim: make(chan struct{}, 1),
		me:    instance{ID: ulid.Make().String(), Host: host, Process: os.Getpid()},
		known: make(map[string]bool),
	}
	r.due, r.doubt = time.AfterFunc(claimPause, r.claimFirst), time.AfterFunc(rivalPatience, r.disbelieve)
	r.end()
	return r
}

// begin begins a session. The rival of the last one has to say again that it waits.
func (r *rivals) begin(broker string) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told {
		r.known[r.broker] = true
	}
	r.broker, r.told, r.claims = broker, false, 0
	select {
	case <-r.claim: // of the last session: what is retained is read first
	default:
	}
	if r.rival.ID != "" {
		r.doubt.Reset(rivalPatience)
	}
	return r.end
}

func (r *rivals) end() {
	r.due.Stop()
	r.doubt.Stop()
}

// subscribed says that what is retained on T/instance will come. The first claim follows it, or comes without it.
func (r *rivals) subscribed() { r.due.Reset(claimPause) }

func (r *rivals) claimFirst() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.claims == 0 {
		r.askForClaim()
	}
}

func (r *rivals) askForClaim() {
	select {
	case r.claim <- struct{}{}:
	default:
	}
}

// payload is what this process says of itself in a role. As holds it is a new claim, and none of the second.
func (r *rivals) payload(role string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case role != holds:
		return r.encode(role, 0)
	case r.second.holds():
		return nil
	}
	r.claims++
	r.highest++
	r.me.Sequence = r.highest
	return r.encode(holds, r.highest)
}

// answer is what this process says to the claim of the first.
func (r *rivals) answer(sequence uint64) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.encode(waits, sequence)
}

func (r *rivals) encode(role string, sequence uint64) []byte {
	me := r.me
	me.Role, me.Sequence, me.Running = role, sequence, time.Since(r.started).Seconds()
	if role == holds {
		me.Second = r.rival.ID
	}
	payload, err := json.Marshal(me)
	if err != nil {
		panic(err) // strings and numbers
	}
	return payload
}

// read decodes a message on T/instance. It is not ok if it is of this process.
func (r *rivals) read(m paho.Message) (other instance, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch err := json.Unmarshal(m.Payload(), &other); {
	case err != nil:
		return other, false
	case other.ID == r.me.ID:
		r.told = r.told || other.Role == holds && other.Sequence == r.me.Sequence
		return other, false
	}
	r.highest = max(r.highest, other.Sequence)
	return other, true
}

// heard handles a message on T/instance.
func (r *rivals) heard(_ paho.Client, m paho.Message) {
	other, ok := r.read(m)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !ok || r.second.holds():
	case other.Role == waits:
		r.face(other, false)
		if other.Sequence == 0 || other.Sequence > r.me.Sequence { // it wants to know whether this one lives
			r.askForClaim()
		}
	case other.Role == gone && other.ID == r.rival.ID:
		r.forget()
	case other.Role == holds:
		r.contest(other, !m.Retained())
	}
}

// contest takes a claim of another process.
func (r *rivals) contest(other instance, live bool) {
	answered := live && r.claims > 1 // over a bridge both can be connected
	later := cmp.Compare(other.Sequence, r.me.Sequence)
	switch {
	case other.Second == r.me.ID && cmp.Or(later, cmp.Compare(r.me.ID, other.ID)) > 0: // both may say so at once
		r.face(other, true)
	case later > 0 && (answered || !live && r.known[r.broker]): // a bridge may bring late what a dead process has claimed
		r.face(other, other.Running > time.Since(r.started).Seconds())
	}
	if later >= 0 && r.claims < maxClaims && !r.second.holds() {
		r.askForClaim()
	}
}

// face takes it that there is a rival.
func (r *rivals) face(other instance, second bool) {
	what := fmt.Sprintf("another process with the device id %s is connected to this broker: stop one of them", r.deviceID)
	if r.rival.ID != other.ID || second {
		role := "this one goes on"
		if second {
			role = "this one waits, and hears the emergency stop only; its schedules go on"
		}
		r.log.Error(what, "other", other.String(), "role", role)
		r.claims = 0
	}
	r.rival = other
	r.device.Warn("rival", fmt.Sprintf("A%s (%s)", what[1:], other))
	r.doubt.Stop()
	switch {
	case second:
		r.second.set(true)
		time.AfterFunc(stopPatience, r.stepAside)
	case other.Role == holds:
		r.doubt.Reset(rivalPatience)
	}
}

// stepAside gives up the device's connections, if this process is the second: it hears the stop on another one by now,
// or has waited for that long enough.
func (r *rivals) stepAside() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.aside.set(r.second.holds())
}

// disbelieve ends the belief in the rival.
func (r *rivals) disbelieve() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rival.ID != "" && !r.second.holds() {
		r.forget()
	}
}

// forget takes it that there is no rival any more.
func (r *rivals) forget() {
	r.log.Info("the other process with this device id is gone", "other", r.rival.String())
	r.rival, r.claims = instance{}, 0
	r.device.Warn("rival", "")
	r.doubt.Stop()
	r.second.set(false)
	r.aside.set(false)
}

// succeed has this process take the place. What the first has said last is no news.
func (r *rivals) succeed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.highest++
	r.me.Sequence = r.highest
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
