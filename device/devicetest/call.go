package devicetest

import (
	"context"
	"slices"
	"time"

	"github.com/plate-resort/plate-resort/device"
)

// A Method is one of the methods of device.Motor that are recorded as a [Call].
type Method string

// The methods.
const (
	SetSpeed Method = "SetSpeed"
	Refresh  Method = "Refresh"
	Reboot   Method = "Reboot"
	Connect  Method = "Connect"
	Release  Method = "Release"
)

// A Call is one call of a [Method], with its arguments. It is carried out at once, unless
// [Motor.Hold] was set when it began; Connect waits until the servo is there. Without a connection
// SetSpeed, Refresh and Reboot end with motor_disconnected.
type Call struct {
	Method  Method
	Context context.Context

	Speed   int           // of SetSpeed
	Wait    time.Duration // of Reboot
	Reapply bool          // of Reboot
	Line    device.Line   // of Connect

	motor    *Motor
	hold     bool
	answered chan struct{} // closed when the following is set
	err      error
}

// Answer ends the call, which has its effect when there is no error. It reports whether it was the
// first answer.
func (c *Call) Answer(err error) bool {
	c.motor.mu.Lock()
	defer c.motor.mu.Unlock()
	if c.Answered() {
		return false
	}
	if err == nil {
		c.carryOut()
	}
	return c.end(err)
}

// Answered reports whether the call has ended.
func (c *Call) Answered() bool {
	select {
	case <-c.answered:
		return true
	default:
		return false
	}
}

func (c *Call) is(methods []Method) bool {
	return len(methods) == 0 || slices.Contains(methods, c.Method)
}

func (c *Call) end(err error) bool {
	if c.Answered() {
		return false
	}
	c.err = err
	close(c.answered)
	return true
}

// carryOut has the effect of the call.
func (c *Call) carryOut() {
	m := c.motor
	switch c.Method {
	case SetSpeed:
		m.status.Speed = c.Speed
	case Refresh:
		m.read(func(*device.Reading) {})
	case Reboot:
		m.status.HardwareError = nil
		m.status.Torque = c.Reapply && !m.isStopped()
	case Connect:
		m.away = false
		if m.status.Connection != device.Connected {
			m.connect()
		}
	case Release:
		m.status.Torque = false
	}
	m.tell()
}

// SetSpeed implements [device.Motor].
func (m *Motor) SetSpeed(ctx context.Context, speed int) error {
	return m.call(ctx, &Call{Method: SetSpeed, Speed: speed})
}

// Refresh implements [device.Motor].
func (m *Motor) Refresh(ctx context.Context) error { return m.call(ctx, &Call{Method: Refresh}) }

// Reboot implements [device.Motor].
func (m *Motor) Reboot(ctx context.Context, wait time.Duration, reapply bool) error {
	return m.call(ctx, &Call{Method: Reboot, Wait: wait, Reapply: reapply})
}

// Connect implements [device.Motor].
func (m *Motor) Connect(ctx context.Context, line device.Line) error {
	return m.call(ctx, &Call{Method: Connect, Line: line})
}

// Release implements [device.Motor].
func (m *Motor) Release(ctx context.Context) error { return m.call(ctx, &Call{Method: Release}) }

// call records the call and waits for its end.
func (m *Motor) call(ctx context.Context, c *Call) error {
	m.mu.Lock()
	c.Context, c.motor, c.hold, c.answered = ctx, m, m.held[c.Method], make(chan struct{})
	m.calls = append(m.calls, c)
	m.receive(c)
	m.mu.Unlock()
	select {
	case <-c.answered:
	case <-ctx.Done():
		m.mu.Lock()
		if c.Method == Connect {
			c.end(m.disconnected())
		} else {
			c.end(late())
		}
		m.mu.Unlock()
	}
	return c.err
}

// receive begins the call, and ends it if it need not wait. The caller holds the mutex.
func (m *Motor) receive(c *Call) {
	switch c.Method {
	case Connect:
		if m.status.Connection == device.Released {
			m.status.Connection = device.Connecting
		}
		if m.turnTo(c.Line) && m.status.Connection == device.Connected {
			m.status.Connection = device.Connecting
			m.endAll(m.disconnected())
		}
		m.tell()
		if m.away {
			return // until Find
		}
	case Release:
		m.status.Connection, m.status.Problem = device.Released, ""
		m.endAll(m.disconnected())
		for _, other := range m.calls {
			if other.Method == Connect {
				other.end(m.disconnected())
			}
		}
		m.rest()
	default:
		if m.status.Connection != device.Connected {
			c.end(m.disconnected())
		}
	}
	switch {
	case c.Answered(), c.hold:
	case c.Context.Err() != nil:
		c.end(late())
	default:
		c.carryOut()
		c.end(nil)
	}
}

// turnTo makes the line the present one, and reports whether it is another one.
func (m *Motor) turnTo(line device.Line) bool {
	before := m.line
	if line.Port != "" {
		m.line.Port = line.Port
	}
	if line.Baud != 0 {
		m.line.Baud = line.Baud
	}
	if line.ID != nil {
		m.line.ID = line.ID
	}
	return m.line.Port != before.Port || m.line.Baud != before.Baud || *m.line.ID != *before.ID
}
