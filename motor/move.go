package motor

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

const (
	// pollInterval is how often a move is looked at.
	pollInterval = 20 * time.Millisecond
	// settleTime is how long the servo must stand still short of its goal before that counts as the
	// end of the move.
	settleTime = 300 * time.Millisecond
	// restWindow is how far from its goal a move may end: about where the friction of a carousel
	// leaves the servo.
	restWindow device.Degrees = 3
	// haltTimeout bounds how long a servo may take to come to rest when it is told to.
	haltTimeout = time.Second
	// stillness is the most that a servo at rest seems to move, in steps.
	stillness = 2
)

// MoveTo implements [device.Motor]. The goal position is the first thing that it sends.
func (m *Motor) MoveTo(ctx context.Context, move device.Move) (device.Arrival, error) {
	ctx = first(ctx)
	p := m.stops.permit()
	b, err := m.connected()
	if err != nil {
		return device.Arrival{}, err
	}
	var angle device.Degrees
	if err = b.set(ctx, dynamixel.GoalPosition, steps(move.Goal), p); err == nil {
		angle, err = m.follow(ctx, b, move, p)
	}
	if err != nil { // the servo may be on its way even if its answer to the goal was lost
		m.halt(b, p)
		return device.Arrival{}, coded(err)
	}
	return device.Arrival{Angle: angle, Stage: "position"}, nil
}

// follow watches a move until the servo has come to rest.
func (m *Motor) follow(ctx context.Context, b *bus, move device.Move, p permit) (device.Degrees, error) {
	began := time.Now()
	tolerance, window, timeout := m.config.Tolerance, restWindow, move.Timeout
	if move.Tolerance > 0 {
		tolerance, window = move.Tolerance, move.Tolerance
	}
	if timeout == 0 {
		timeout = m.timeout(move.Goal)
	}
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	var position int32
	var still time.Time // since when the servo has not moved
	for {
		s, err := b.sample(ctx)
		if err != nil {
			return 0, err
		}
		if err := m.observe(ctx, b, s); err != nil {
			return 0, err
		}
		// The way over 0° is not taken, so 359.9° is a whole turn away from 0°.
		off := device.Degrees(s.position-steps(move.Goal)) * 360 / dynamixel.StepsPerTurn
		if s.Moving || still.IsZero() || abs(s.position-position) > stillness {
			position, still = s.position, s.At
		}
		settled := !s.Moving && s.At.Sub(still) >= settleTime
		switch {
		case !m.stops.permits(p):
			return 0, errStopped
		case !s.Moving && within(off, tolerance), settled && within(off, window):
			return s.Angle, nil
		case settled:
			return 0, device.Errorf(device.CodeStalled, "the carousel stopped at %v, %v from its goal; something may be in its way", s.Angle, off)
		case time.Since(began) >= timeout:
			return 0, device.Errorf(device.CodeTimeout, "the carousel is at %v after %v, %v from its goal", s.Angle, timeout, off)
		}
		select {
		case <-poll.C:
		case <-b.lost:
			return 0, b.err
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// timeout is how long the move may take: the setting, but at least twice what the profile needs.
func (m *Motor) timeout(goal device.Degrees) time.Duration {
	status := m.Status()
	way := device.Degrees(360)
	if status.Reading != nil {
		way = max(goal-status.Reading.Angle, status.Reading.Angle-goal) // never across 0°
	}
	speed := float64(status.Speed) * degreesPerSecond
	seconds := float64(way) / speed
	if m.config.Acceleration > 0 {
		// Speeding up and slowing down take the time to full speed once more.
		perSecond2 := float64(m.config.Acceleration) * dynamixel.RPM2PerUnit * 360 / 60 / 60
		seconds += speed / perSecond2
	}
	return max(m.config.MoveTimeout, time.Duration(2*seconds*float64(time.Second)))
}

// halt stops a move as fast as its profile allows, with torque kept, and waits until the servo is at
// rest. After an emergency stop nothing is written, and the carousel coasts.
func (m *Motor) halt(b *bus, p permit) {
	ctx, cancel := context.WithTimeout(first(context.Background()), haltTimeout)
	defer cancel()
	s, err := b.sample(ctx)
	if err == nil {
		err = b.set(ctx, dynamixel.GoalPosition, withinTurn(s.position+m.brakingWay(s.velocity)), p)
	}
	if err == nil || errors.Is(err, errStopped) {
		err = m.awaitRest(ctx, b)
	}
	if err != nil {
		m.log.Debug("the end of the move was not seen", "error", err)
	}
}

// awaitRest returns when the servo has come to rest, as the status then says.
func (m *Motor) awaitRest(ctx context.Context, b *bus) error {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		s, err := b.sample(ctx)
		if err != nil {
			return err
		}
		if err := m.observe(ctx, b, s); err != nil {
			return err
		}
		if !s.Moving {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// brakingWay is how many steps the servo turns on from that velocity, in 0.229 rpm, until it is at rest.
func (m *Motor) brakingWay(velocity int32) int32 {
	if m.config.Acceleration == 0 {
		return 0
	}
	const stepsPerTurn = float64(dynamixel.StepsPerTurn)
	v := float64(velocity) * dynamixel.RPMPerUnit // rpm
	a := float64(m.config.Acceleration) * dynamixel.RPM2PerUnit
	return int32(math.Round(v * math.Abs(v) / (2 * a) * stepsPerTurn))
}

func within(off, limit device.Degrees) bool { return off >= -limit && off <= limit }

func abs(n int32) int32 { return max(n, -n) }
