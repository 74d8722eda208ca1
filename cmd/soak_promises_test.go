package cmd

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
	"github.com/plate-resort/plate-resort/mqtt"
)

const (
	// near is how far from the present position a goal may be that holds the carousel where it is: it may have
	// coasted on since it was read.
	near = 5. // degrees
	// fastest is the highest speed that is set.
	fastest = 120 * dynamixel.RPMPerUnit * 6 // degrees a second
	// transaction is how long the longest takes at 57600 baud, and what is on the wire before a stop.
	transaction = 20 * time.Millisecond
	// lost is how long it takes with a servo that does not answer, until the port has been opened again.
	lost = 200 * time.Millisecond
	// unnoticed is how long a servo at rest may be gone before it is missed, and found again.
	unnoticed = 15 * time.Second
	// unsaved is how long a disk that is well again may not have what happened before.
	unsaved = 15 * time.Second
	// calm is how long connections and process must have been there for a message to arrive for certain.
	calm = 5 * time.Second
)

// A truth is what is known for certain, if it is.
type truth int

const (
	no truth = iota
	maybe
	yes
)

// Promises are what the device has promised, and what it has said and done. The lab's mutex guards them.
type promises struct {
	*lab
	brokerSince, linkedSince time.Time

	latched   truth
	latchedAt time.Time
	pressed   time.Time // a stop that torque off has to follow; zero when it has
	resetAt   time.Time
	noisy     bool      // the serial line or the servo has faults
	mute      time.Time // until when the servo may not answer
	turned    time.Time // by hand
	goalAt    time.Time // when a goal was last written

	orders    map[string]*order
	nameless  map[device.Name]int // how many were sent without an id, and have shown none
	schedules map[string]float64  // the goals of all that there ever were
	retained  map[string][]byte
	ended     int
	broken    []string
}

// An order is a command that was sent.
type order struct {
	id       string
	name     device.Name
	goal     *float64 // degrees
	payload  string
	arrived  truth
	refused  bool // is to be
	answered bool
	receipt  bool
	state    device.State
	attempt  int
	durable  bool // its end is
	loose    bool // its end was not durable when the process ended
	began    []string
}

// stamp tells one beginning of an operation, and one wait for it, from the others.
func stamp(op device.Operation) string {
	began := op.QueuedAt
	if op.StartedAt != nil {
		began = *op.StartedAt
	}
	return fmt.Sprint(op.State, op.Attempt, began)
}

func (o *order) over() bool { return o.state != "" && o.state.Ended() }

func newPromises(l *lab) promises {
	return promises{lab: l, orders: make(map[string]*order), nameless: make(map[device.Name]int), schedules: make(map[string]float64), retained: make(map[string][]byte)}
}

// broken notes that a promise was.
func (l *lab) broken(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.promises.breach(format, args...)
}

func (p *promises) breach(format string, args ...any) {
	p.note("BROKEN: "+format, args...)
	p.broken = append(p.broken, p.steps[len(p.steps)-1])
}

// settled says that a message that is sent now arrives.
func (p *promises) settled() bool {
	since := func(t time.Time) bool { return time.Since(t) >= calm }
	return p.process != nil && since(p.process.since) && p.lab.broker != nil && since(p.brokerSince) && since(p.linkedSince)
}

// gone takes back what the end of a process may undo.
func (p *promises) gone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.orders {
		if o.arrived == yes && !o.receipt {
			o.arrived = maybe
		}
		o.loose = o.loose || o.over() && !o.durable
	}
	p.disk.mu.Lock()
	well := !p.disk.full && p.disk.slow == 0 && time.Since(p.disk.healed) > unsaved
	p.disk.mu.Unlock()
	if p.latched == yes && (!well || time.Since(p.latchedAt) < 2*time.Second) {
		p.latched = maybe
	}
	p.pressed = time.Time{}
}

// published takes what the device says.
func (p *promises) published(topic string, payload []byte) {
	switch topic {
	case "operation":
		var e device.Event
		if err := json.Unmarshal(payload, &e); err != nil {
			p.breach("an event is no JSON: %v", err)
			return
		}
		p.event(e)
	case "state":
		var s device.Snapshot
		if err := json.Unmarshal(payload, &s); err != nil {
			p.breach("the state is no JSON: %v", err)
			return
		}
		p.stated(s)
	}
	p.retained[topic] = payload
}

// event takes an operation's change of state.
func (p *promises) event(e device.Event) {
	op := e.Operation
	p.note("  event %s %s %s %d durable %v", op.ID, op.Name, op.State, op.Attempt, e.Durable)
	if op.Source != "mqtt" {
		return
	}
	o := p.orders[op.ID]
	if o == nil {
		if op.State == device.Rejected || op.Name == device.StopOperation {
			return
		}
		if p.nameless[op.Name]--; p.nameless[op.Name] < 0 {
			p.breach("nobody has sent %s %s, which is %s", op.Name, op.ID, op.State)
		}
		o = &order{id: op.ID, name: op.Name, arrived: maybe}
		p.orders[op.ID] = o
	}
	if o.arrived == no {
		p.breach("%s was sent while nobody was there, and is %s", o.id, op.State)
	}
	o.answered = true
	switch {
	case op.State == device.Rejected:
		if o.state == "" {
			o.state, o.durable = op.State, true
		}
		return
	case o.refused:
		p.breach("%s cannot be understood, and is %s", o.id, op.State)
	case o.state == device.Rejected: // sent again later
	case o.loose: // its end may be forgotten
		o.loose = false
	case o.over() && op.State != o.state && slices.Contains(o.began, stamp(op)): // a repeat of what led to it
		return
	case o.over() && op.State != o.state:
		p.breach("%s has ended as %s, and is %s", o.id, o.state, op.State)
	case op.Attempt < o.attempt && !op.State.Ended(): // a repeat of what came before
		return
	}
	o.state, o.attempt = op.State, op.Attempt
	o.began = append(o.began, stamp(op))
	if e.Durable {
		o.receipt = true
		o.durable = op.State.Ended()
	}
	if op.State.Ended() {
		p.ended++
	}
	if op.Name == device.ResetOperation && op.State == device.Completed && p.resetAt.After(p.latchedAt) {
		p.latched = no
	}
}

// stated takes a state.
func (p *promises) stated(s device.Snapshot) {
	if p.latched == maybe && time.Since(p.resetAt) > calm && p.settled() {
		p.latched = no
		if s.EmergencyStop {
			p.latched = yes
		}
	}
	if s.Connection == device.Connected && s.Torque && s.Angle != nil && time.Since(p.turned) > calm {
		// A sample is as old as the poll that it is from, and where replies are lost as those that have failed since.
		old := 300 * time.Millisecond
		switch {
		case s.Operation == nil && time.Since(p.goalAt) > calm:
			old = 0
		case p.noisy || time.Now().Before(p.mute):
			old = 800 * time.Millisecond
		}
		if off := apart(float64(*s.Angle), p.angle()); off > near+old.Seconds()*fastest {
			p.breach("the state says %v, and the carousel is at %.1f", *s.Angle, p.angle())
		}
	}
}

// angle is where the carousel stands.
func (l *lab) angle() float64 { return degrees(l.servo.Register(dynamixel.PresentPosition)) }

// degrees is the angle of a position, from 0.
func degrees(steps int32) float64 {
	return math.Mod(math.Mod(float64(steps)/dynamixel.StepsPerTurn*360, 360)+360, 360)
}

// apart is how far apart two angles are.
func apart(a, b float64) float64 {
	d := math.Abs(a - b)
	return min(d, 360-d)
}

// A tap is a serial port of the process, with an eye on what it writes.
type tap struct {
	motor.Port
	process *process
	line    *simulator.Port
	wrote   bool // something to a register
}

func (t *tap) Write(b []byte) (int, error) {
	if t.process.dead.Load() {
		return len(b), nil
	}
	l := t.process.lab
	l.mu.Lock()
	l.promises.wire(t, b)
	l.mu.Unlock()
	return t.Port.Write(b)
}

// wire takes what is written to the servo.
func (p *promises) wire(t *tap, b []byte) {
	var parser dynamixel.Parser
	parser.Feed(b)
	packet, ok := parser.Next()
	if !ok {
		p.breach("no packet: % x", b)
		return
	}
	switch packet.Instruction {
	case dynamixel.Reboot:
		p.mute = later(p.mute, time.Now().Add(time.Second))
		return
	case dynamixel.Write:
	default:
		return
	}
	address := binary.LittleEndian.Uint16(packet.Params)
	data := packet.Params[2:]
	value := func(r dynamixel.Register) (int32, bool) {
		if r.Address < address || r.Address+r.Size > address+uint16(len(data)) {
			return 0, false
		}
		var v [4]byte
		copy(v[:], data[r.Address-address:][:r.Size])
		return int32(binary.LittleEndian.Uint32(v[:])), true
	}
	present := p.angle()
	torque, isTorque := value(dynamixel.TorqueEnable)
	goal, isGoal := value(dynamixel.GoalPosition)
	_, isVelocity := value(dynamixel.GoalVelocity)
	if p.latched == yes && !t.wrote && !(isTorque && torque == 0) && time.Since(p.latchedAt) > time.Second {
		p.breach("the first that is written after a stop is % x to %d", data, address)
	}
	t.wrote = true
	if isGoal {
		p.goalAt = time.Now()
	}
	switch {
	case isTorque && torque == 0:
		if late := time.Since(p.pressed); !p.pressed.IsZero() && late > p.patience() {
			p.breach("torque off %v after the stop", late)
		}
		p.pressed = time.Time{}
	case isTorque:
		if p.latched == yes {
			p.breach("torque on after a stop")
		}
		held := degrees(p.servo.Register(dynamixel.GoalPosition))
		if p.servo.Register(dynamixel.TorqueEnable) == 0 && apart(held, present) > near+p.patience().Seconds()*fastest {
			p.breach("torque on at %.1f with the goal %.1f", present, held)
		}
	case isVelocity:
		p.breach("a goal velocity is written")
	case isGoal && apart(degrees(goal), present) > near+p.patience().Seconds()*fastest:
		if p.latched == yes {
			p.breach("the goal %.1f is written at %.1f after a stop", degrees(goal), present)
		}
		if !p.wanted(degrees(goal)) {
			p.breach("nobody wants the goal %.1f, at %.1f", degrees(goal), present)
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// patience is how long torque off may take.
func (p *promises) patience() time.Duration {
	if p.noisy || time.Now().Before(p.mute) {
		return lost
	}
	return transaction
}

// wanted says that an operation that has not ended, or a schedule, is for that goal.
func (p *promises) wanted(goal float64) bool {
	is := func(g float64) bool { return apart(g, goal) < 0.1 }
	for _, o := range p.orders {
		if o.goal != nil && o.arrived != no && !o.refused && (!o.over() || o.loose) && is(*o.goal) {
			return true
		}
	}
	for _, g := range p.schedules {
		if is(g) {
			return true
		}
	}
	return false
}

// check is for what shows by not happening.
func (p *promises) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if late := time.Since(p.pressed); !p.pressed.IsZero() && late > p.patience() {
		p.breach("no torque off %v after the stop", late)
		p.pressed = time.Time{}
	}
}

// checkEnd compares everything with the truth, when all is well again.
func (p *promises) checkEnd() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.orders {
		switch {
		case o.arrived == yes && !o.answered:
			p.breach("%s %s was never answered", o.name, o.id)
		case o.receipt && !o.over():
			p.breach("%s %s was accepted, and never ends: it is %s", o.name, o.id, o.state)
		}
	}
	var s device.Snapshot
	if err := json.Unmarshal(p.retained["state"], &s); err != nil {
		p.breach("the state: %v", err)
		return
	}
	if string(p.retained["availability"]) != mqtt.Online || s.Status != device.StatusReady || s.Connection != device.Connected || !s.Torque ||
		s.EmergencyStop || s.Operation != nil || s.QueueLength != 0 {
		p.breach("in the end %s, the state is %s", p.retained["availability"], p.retained["state"])
	}
	if s.Angle == nil || apart(float64(*s.Angle), p.angle()) > 0.3 {
		p.breach("in the end the state says %v, and the carousel is at %.2f", s.Angle, p.angle())
	}
	if p.servo.Register(dynamixel.TorqueEnable) != 1 {
		p.breach("in the end torque is off")
	}
	if queue := string(p.retained["queue"]); queue != "[]" {
		p.breach("in the end the queue is %s", queue)
	}
	var history []device.Operation
	if err := json.Unmarshal(p.retained["history"], &history); err != nil || slices.ContainsFunc(history, func(op device.Operation) bool { return !op.State.Ended() }) {
		p.breach("in the end the history is %s", p.retained["history"])
	}
}
