package devicetest

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/plate-resort/plate-resort/device"
)

// A Motor is a device.Motor that a test directs. It is safe for concurrent use.
type Motor struct {
	changed chan struct{}

	mu       sync.Mutex
	status   device.MotorStatus
	away     bool // there is no servo on the line
	line     device.Line
	moves    []*Move
	presses  []*Press
	resets   []*Reset
	calls    []*Call
	released uint64 // presses up to this number are released

	holdStops, holdResets, holdHalts bool
	held                             map[Method]bool
}

var _ device.Motor = (*Motor)(nil)

// New returns a motor that is connected and at rest at 0° with torque on.
func New() *Motor {
	m := NewUnconnected()
	m.away = false
	m.connect()
	return m
}

// NewUnconnected returns a motor that looks for its servo and has had no contact yet.
func NewUnconnected() *Motor {
	return &Motor{
		changed: make(chan struct{}, 1),
		status:  device.MotorStatus{Connection: device.Connecting},
		away:    true,
		line:    device.Line{Port: "/dev/ttyUSB0", Baud: 57600, ID: new(1)},
		held:    make(map[Method]bool),
	}
}

// Set changes the status in any way, and tells those who wait for a change.
func (m *Motor) Set(change func(*device.MotorStatus)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.status)
	m.tell()
}

// SetReading changes what the servo says of itself. There must have been a contact.
func (m *Motor) SetReading(change func(*device.Reading)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read(change)
}

// Find is the servo being there: at rest where it was, with torque unless a stop is held, without a
// fault. A stop that waited for this takes effect, though its press was answered before. A motor that
// is released does not connect to it.
func (m *Motor) Find() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = false
	if m.status.Connection != device.Released {
		m.connect()
	}
}

// Lose is the servo not answering any more, or not being found. What is under way ends with
// motor_disconnected; a call of Connect goes on waiting.
func (m *Motor) Lose(problem string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = true
	if m.status.Connection != device.Released {
		m.status.Connection, m.status.Problem, m.status.Contacted = device.Disconnected, problem, true
	}
	m.endAll(m.disconnected())
	m.rest()
}

// Nap is the port being closed for want of work.
func (m *Motor) Nap() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Connection = device.Napping
	m.tell()
}

// Fault is the servo switching itself off. A move ends with motor_fault.
func (m *Motor) Fault(hardwareError ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.HardwareError = hardwareError
	m.status.Torque = false
	for _, c := range m.moves {
		c.end(device.Arrival{}, m.fault())
	}
	m.rest()
}

// HoldStops leaves the answers to presses from now on to [Press.Answer].
func (m *Motor) HoldStops(hold bool) { m.hold(&m.holdStops, hold) }

// HoldResets leaves the answers to resets from now on to [Reset.Answer].
func (m *Motor) HoldResets(hold bool) { m.hold(&m.holdResets, hold) }

// HoldHalts lets moves from now on go on when their context ends, until the test ends them.
func (m *Motor) HoldHalts(hold bool) { m.hold(&m.holdHalts, hold) }

// Hold leaves the answers to calls of the method from now on to [Call.Answer].
func (m *Motor) Hold(method Method, hold bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held[method] = hold
}

// Moves returns the calls of MoveTo so far, in order, also those that the motor refused.
func (m *Motor) Moves() []*Move { return snapshot(m, &m.moves) }

// Presses returns the calls of Stop so far, in order: number n is at index n − 1.
func (m *Motor) Presses() []*Press { return snapshot(m, &m.presses) }

// Resets returns the calls of Reset so far, in order.
func (m *Motor) Resets() []*Reset { return snapshot(m, &m.resets) }

// Calls returns the calls of the methods so far, in order; of all of them if none is named.
func (m *Motor) Calls(methods ...Method) []*Call {
	var calls []*Call
	for _, c := range snapshot(m, &m.calls) {
		if c.is(methods) {
			calls = append(calls, c)
		}
	}
	return calls
}

// Held reports whether a stop is held.
func (m *Motor) Held() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.isStopped()
}

// Status implements [device.Motor].
func (m *Motor) Status() device.MotorStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.status
	s.HardwareError = append([]string(nil), s.HardwareError...)
	return s
}

// Changed implements [device.Motor].
func (m *Motor) Changed() <-chan struct{} { return m.changed }

// MoveTo implements [device.Motor].
func (m *Motor) MoveTo(ctx context.Context, move device.Move) (device.Arrival, error) {
	c := m.begin(ctx, move)
	halted := ctx.Done()
	if c.holdHalt {
		halted = nil
	}
	select {
	case <-c.ended:
	case <-halted:
		m.mu.Lock()
		if c.end(device.Arrival{}, context.Cause(ctx)) {
			m.rest()
		}
		m.mu.Unlock()
	}
	return c.arrival, c.err
}

// begin records the call, and ends it if the servo cannot move.
func (m *Motor) begin(ctx context.Context, move device.Move) *Move {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &Move{Move: move, Context: ctx, motor: m, holdHalt: m.holdHalts, ended: make(chan struct{})}
	c.Refused = m.hindrance()
	if c.Refused != nil {
		c.end(device.Arrival{}, c.Refused)
	} else {
		m.read(func(r *device.Reading) { r.Moving = true })
	}
	m.moves = append(m.moves, c)
	return c
}

// Stop implements [device.Motor].
func (m *Motor) Stop() device.Press {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &Press{Number: uint64(len(m.presses) + 1), motor: m, done: make(chan error, 1)}
	m.presses = append(m.presses, p)
	switch {
	case m.status.Connection != device.Connected:
		p.answer(m.disconnected())
	case !m.holdStops:
		p.answer(nil)
	}
	return device.Press{Number: p.Number, Done: p.done}
}

// Reset implements [device.Motor].
func (m *Motor) Reset(ctx context.Context, press uint64) error {
	m.mu.Lock()
	c := &Reset{Press: press, Context: ctx, motor: m, answered: make(chan struct{})}
	m.resets = append(m.resets, c)
	if !m.holdResets {
		c.answer(nil)
	}
	m.mu.Unlock()
	select {
	case <-c.answered:
	case <-ctx.Done():
		m.mu.Lock()
		c.answer(late())
		m.mu.Unlock()
	}
	return c.err
}

// The following are for those who hold the mutex.

func (m *Motor) isStopped() bool { return m.released < uint64(len(m.presses)) }

func (m *Motor) hindrance() error {
	switch {
	case m.isStopped():
		return stopped()
	case !m.status.Connection.Ready():
		return m.disconnected()
	case len(m.status.HardwareError) > 0:
		return m.fault()
	}
	return nil
}

// connect is the servo answering.
func (m *Motor) connect() {
	s := &m.status
	s.Connection, s.Problem, s.Contacted = device.Connected, "", true
	s.HardwareError = nil
	s.Torque = !m.isStopped()
	s.Model, s.ModelNumber, s.Firmware, s.SpeedLimit = "XC330-T288", 1220, 52, 445
	if s.Speed == 0 {
		s.Speed = 50
	}
	m.rest()
	for _, c := range m.calls {
		if c.Method == Connect && !c.hold {
			c.end(nil)
		}
	}
}

// read replaces the reading, unless the servo was never there.
func (m *Motor) read(change func(*device.Reading)) {
	r := device.Reading{Temperature: 30, Voltage: 12}
	if m.status.Reading != nil {
		r = *m.status.Reading
	}
	r.At = time.Now()
	change(&r)
	m.status.Reading = &r
	m.tell()
}

// rest is the carousel not turning any more.
func (m *Motor) rest() {
	if m.status.Contacted && (m.status.Reading != nil || m.status.Connection == device.Connected) {
		m.read(func(r *device.Reading) { r.Moving, r.Velocity = false, 0 })
	}
	m.tell()
}

func (m *Motor) endAll(err error) {
	for _, c := range m.moves {
		c.end(device.Arrival{}, err)
	}
	for _, p := range m.presses {
		p.answer(err)
	}
	for _, r := range m.resets {
		r.answer(err)
	}
	for _, c := range m.calls {
		if c.Method != Connect && c.Method != Release {
			c.end(err)
		}
	}
}

func (m *Motor) tell() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

func (m *Motor) disconnected() error {
	return device.Errorf(device.CodeMotorDisconnected, "the motor is not connected: %s", m.status.Problem)
}

func (m *Motor) fault() error {
	return device.Errorf(device.CodeMotorFault, "the servo has switched itself off: %s", strings.Join(m.status.HardwareError, ", "))
}

func stopped() error {
	return device.Errorf(device.CodeEmergencyStopped, "an emergency stop is held")
}

func late() error {
	return device.Errorf(device.CodeTimeout, "the motor did not get to it in time")
}

func (m *Motor) hold(what *bool, hold bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*what = hold
}

func snapshot[T any](m *Motor, calls *[]T) []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]T(nil), *calls...)
}
