package devicetest

import (
	"context"
	"strings"
	"sync"

	"github.com/plate-resort/plate-resort/device"
)

// A Motor is a device.Motor that a test directs. It is safe for concurrent use.
type Motor struct {
	changed chan struct{}

	mu       sync.Mutex
	status   device.MotorStatus
	moves    []*Move
	presses  []*Press
	resets   []*Reset
	released uint64 // presses up to this number are released

	holdStops, holdResets, holdHalts bool
}

var _ device.Motor = (*Motor)(nil)

// New returns a motor that is connected and at rest at 0° with torque on.
func New() *Motor {
	return &Motor{
		changed: make(chan struct{}, 1),
		status: device.MotorStatus{
			Connection: device.Connected, Contacted: true, Known: true, Torque: true, Speed: 50,
		},
	}
}

// NewUnconnected returns a motor that looks for its servo and has had no contact yet.
func NewUnconnected() *Motor {
	return &Motor{
		changed: make(chan struct{}, 1),
		status:  device.MotorStatus{Connection: device.Connecting},
	}
}

// Set changes the status in any way, and tells those who wait for a change.
func (m *Motor) Set(change func(*device.MotorStatus)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.status)
	m.tell()
}

// Connect is the servo being found: at rest where it was, with torque unless a stop is held. A stop
// that waited for this takes effect, though its press was answered before.
func (m *Motor) Connect() {
	m.Set(func(s *device.MotorStatus) {
		s.Connection, s.Problem, s.Contacted, s.Known = device.Connected, "", true, true
		s.Moving, s.HardwareError = false, nil
		s.Torque = !m.held()
		s.Speed = 50
	})
}

// Lose is the servo not answering any more, or not being found. What is under way ends with
// motor_disconnected.
func (m *Motor) Lose(problem string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Connection, m.status.Problem, m.status.Contacted = device.Disconnected, problem, true
	m.status.Moving = false
	m.endAll(m.disconnected())
	m.tell()
}

// Fault is the servo switching itself off. A move ends with motor_fault.
func (m *Motor) Fault(hardwareError ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.HardwareError = hardwareError
	m.status.Torque, m.status.Moving = false, false
	for _, c := range m.moves {
		c.end(device.Arrival{}, m.fault())
	}
	m.tell()
}

// HoldStops leaves the answers to presses from now on to [Press.Answer].
func (m *Motor) HoldStops(hold bool) { m.hold(&m.holdStops, hold) }

// HoldResets leaves the answers to resets from now on to [Reset.Answer].
func (m *Motor) HoldResets(hold bool) { m.hold(&m.holdResets, hold) }

// HoldHalts lets moves from now on go on when their context ends, until the test ends them.
func (m *Motor) HoldHalts(hold bool) { m.hold(&m.holdHalts, hold) }

// Moves returns the calls of MoveTo so far, in order, also those that the motor refused.
func (m *Motor) Moves() []*Move { return snapshot(m, &m.moves) }

// Presses returns the calls of Stop so far, in order: number n is at index n − 1.
func (m *Motor) Presses() []*Press { return snapshot(m, &m.presses) }

// Resets returns the calls of Reset so far, in order.
func (m *Motor) Resets() []*Reset { return snapshot(m, &m.resets) }

// Held reports whether a stop is held.
func (m *Motor) Held() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held()
}

// Status implements [device.Motor].
func (m *Motor) Status() device.MotorStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.status
	s.HardwareError = append([]string(nil), s.HardwareError...)
	s.Warnings = append([]string(nil), s.Warnings...)
	return s
}

// Changed implements [device.Motor].
func (m *Motor) Changed() <-chan struct{} { return m.changed }

// MoveTo implements [device.Motor].
func (m *Motor) MoveTo(ctx context.Context, goal device.Degrees) (device.Arrival, error) {
	c := m.begin(ctx, goal)
	halted := ctx.Done()
	if c.holdHalt {
		halted = nil
	}
	select {
	case <-c.ended:
	case <-halted:
		m.mu.Lock()
		if c.end(device.Arrival{}, context.Cause(ctx)) {
			m.status.Moving = false
			m.tell()
		}
		m.mu.Unlock()
	}
	return c.arrival, c.err
}

// begin records the call, and ends it if the servo cannot move.
func (m *Motor) begin(ctx context.Context, goal device.Degrees) *Move {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &Move{Goal: goal, Context: ctx, motor: m, holdHalt: m.holdHalts, ended: make(chan struct{})}
	c.Refused = m.hindrance()
	if c.Refused != nil {
		c.end(device.Arrival{}, c.Refused)
	} else {
		m.status.Moving = true
		m.tell()
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
		c.answer(device.Errorf(device.CodeTimeout, "the motor did not get to it in time"))
		m.mu.Unlock()
	}
	return c.err
}

// The following are for those who hold the mutex.

func (m *Motor) held() bool { return m.released < uint64(len(m.presses)) }

func (m *Motor) hindrance() error {
	switch {
	case m.held():
		return stopped()
	case m.status.Connection != device.Connected:
		return m.disconnected()
	case len(m.status.HardwareError) > 0:
		return m.fault()
	}
	return nil
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
