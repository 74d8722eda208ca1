package devicetest

import (
	"context"

	"github.com/plate-resort/plate-resort/device"
)

// A Move is one call of MoveTo. It goes on until one of its methods, [Motor.Lose], [Motor.Fault] or,
// unless [Motor.HoldHalts] was set when it began, the end of its context ends it. The methods that end
// it report whether they were the first.
type Move struct {
	device.Move
	Context context.Context // of the call
	Refused error           // why the move did not begin; nil when it did

	motor    *Motor
	holdHalt bool
	ended    chan struct{} // closed when the following are set
	arrival  device.Arrival
	err      error
}

// Arrive ends the move at its goal.
func (c *Move) Arrive() bool { return c.ArriveAt(c.Goal) }

// ArriveAt ends the move at that angle.
func (c *Move) ArriveAt(angle device.Degrees) bool {
	c.motor.mu.Lock()
	defer c.motor.mu.Unlock()
	if !c.end(device.Arrival{Angle: angle, Stage: device.PositionStage}, nil) {
		return false
	}
	c.motor.read(func(r *device.Reading) { r.Angle = angle })
	c.motor.rest()
	return true
}

// Fail ends the move with an error, where the servo is.
func (c *Move) Fail(err error) bool {
	c.motor.mu.Lock()
	defer c.motor.mu.Unlock()
	if !c.end(device.Arrival{}, err) {
		return false
	}
	c.motor.rest()
	return true
}

// Ended reports whether the move has ended.
func (c *Move) Ended() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

func (c *Move) end(arrival device.Arrival, err error) bool {
	if c.Ended() {
		return false
	}
	c.arrival, c.err = arrival, err
	close(c.ended)
	return true
}

// A Press is one call of Stop.
type Press struct {
	Number uint64

	motor    *Motor
	answered bool
	done     chan error // has room for the answer
}

// Answer says how the stop ended: nil when torque has been read back as off. It reports whether it
// was the first answer.
func (p *Press) Answer(err error) bool {
	p.motor.mu.Lock()
	defer p.motor.mu.Unlock()
	return p.answer(err)
}

func (p *Press) answer(err error) bool {
	if p.answered {
		return false
	}
	p.answered = true
	p.done <- err
	if err == nil {
		p.motor.status.Torque = false
		p.motor.tell()
	}
	return true
}

// A Reset is one call of Reset.
type Reset struct {
	Press   uint64          // the latest press that it names
	Context context.Context // of the call

	motor    *Motor
	answered chan struct{} // closed when the following is set
	err      error
}

// Answer says how the reset ended. Without an error it releases the presses that it names, but while
// a later one is held it releases nothing and ends with emergency_stopped. It reports whether it was
// the first answer.
func (c *Reset) Answer(err error) bool {
	c.motor.mu.Lock()
	defer c.motor.mu.Unlock()
	return c.answer(err)
}

func (c *Reset) answer(err error) bool {
	if c.Answered() {
		return false
	}
	m := c.motor
	pressed := uint64(len(m.presses))
	if err == nil && c.Context.Err() != nil {
		err = device.Errorf(device.CodeTimeout, "the motor did not get to it in time")
	}
	if err == nil && m.isStopped() && c.Press < pressed {
		err = stopped()
	}
	if err == nil {
		m.released = pressed
		m.status.Torque = m.status.Connection == device.Connected
		m.tell()
	}
	c.err = err
	close(c.answered)
	return true
}

// Answered reports whether the reset has ended.
func (c *Reset) Answered() bool {
	select {
	case <-c.answered:
		return true
	default:
		return false
	}
}
