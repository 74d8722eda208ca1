package motor

import (
	"context"
	"errors"
	"math"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// unwindAt is how far from 0 the position may be, in steps, before the servo counts its turns anew: 100 turns
// of the 256 that its register has.
const unwindAt = 100 * dynamixel.StepsPerTurn

// toDegrees is the angle of so many steps.
func toDegrees(steps int32) device.Degrees {
	return device.Degrees(steps) * 360 / dynamixel.StepsPerTurn
}

// steps is the position, 0 to 4095, that is nearest to an angle, 0 ≤ angle < 360, without crossing 0°.
func steps(angle device.Degrees) int32 {
	return min(int32(math.Round(float64(angle)*dynamixel.StepsPerTurn/360)), dynamixel.StepsPerTurn-1)
}

// fold returns the same direction within one turn, 0 to 4095.
func fold(position int32) int32 {
	return (position%dynamixel.StepsPerTurn + dynamixel.StepsPerTurn) % dynamixel.StepsPerTurn
}

// goal is the goal position for an angle, seen from the position of the carousel: the one within the turn, or
// the nearest.
func (m *Motor) goal(angle device.Degrees, position int32) int32 {
	goal := steps(angle)
	if !m.config.Shortest {
		return goal
	}
	turns := math.Round(float64(position-goal) / dynamixel.StepsPerTurn)
	goal += int32(turns) * dynamixel.StepsPerTurn
	switch {
	case goal > dynamixel.MaxPosition:
		goal -= dynamixel.StepsPerTurn
	case goal < -dynamixel.MaxPosition:
		goal += dynamixel.StepsPerTurn
	}
	return goal
}

// confine returns the position nearest to one that torque holds, of those that can be a goal. In one turn it
// differs by the few steps that the servo may be beyond the end.
func (m *Motor) confine(position int32) int32 {
	if m.config.Shortest {
		return min(max(position, -dynamixel.MaxPosition), dynamixel.MaxPosition)
	}
	return min(max(position, 0), dynamixel.StepsPerTurn-1)
}

// present is the goal that means the position of a servo without torque, as it will count when torque comes on.
func (m *Motor) present(position int32) int32 {
	if m.config.Shortest {
		return m.confine(position)
	}
	return fold(position)
}

// operatingMode is the one that moves are made in.
func (m *Motor) operatingMode() int32 {
	if m.config.Shortest {
		return dynamixel.ModeExtendedPosition
	}
	return dynamixel.ModePosition
}

// unwind has a servo that has made many turns count them anew, long before its register ends: the operating
// mode of one turn folds the position into that. Torque is off for the moment that this takes.
func (m *Motor) unwind(b *bus, p permit) {
	if !m.config.Shortest || abs(b.position.Load()) < unwindAt {
		return
	}
	ctx, cancel := context.WithTimeout(first(context.Background()), haltTimeout) // begun, it is not given up
	defer cancel()
	for _, write := range []struct {
		register dynamixel.Register
		value    int32
	}{
		{dynamixel.TorqueEnable, 0},
		{dynamixel.OperatingMode, dynamixel.ModePosition},
		{dynamixel.OperatingMode, dynamixel.ModeExtendedPosition},
	} {
		if err := b.set(ctx, write.register, write.value, 0); err != nil {
			m.log.Warn("the servo does not count its turns anew", "error", err)
			break
		}
	}
	if err := m.torqueOn(ctx, b, p, false); err != nil {
		if !errors.Is(err, errStopped) {
			m.log.Error("torque stays off", "error", err)
		}
		m.update(func(status *device.MotorStatus) { status.Torque = false })
	}
}
