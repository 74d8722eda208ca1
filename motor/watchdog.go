package motor

import (
	"context"
	"errors"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

const (
	watchdogUnit = 20 * time.Millisecond
	// MaxWatchdog is the longest time of the servo's bus watchdog.
	MaxWatchdog = 127 * watchdogUnit
)

// setWatchdog has the servo stop by itself when it hears nothing for so long, which is rounded up; 0 ends
// that, and also the state in which a servo that has done so accepts no goal. Old firmware has no watchdog.
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#bus-watchdog98
func (b *bus) setWatchdog(ctx context.Context, limit time.Duration) error {
	units := (limit + watchdogUnit - 1) / watchdogUnit
	if err := b.set(ctx, dynamixel.BusWatchdog, int32(units), 0); !errors.Is(err, dynamixel.AccessError) {
		return err
	}
	return nil
}

// setGoal writes a goal. A servo that its watchdog has stopped takes none until that is cleared.
func (b *bus) setGoal(ctx context.Context, r dynamixel.Register, value int32, p permit) error {
	err := b.set(ctx, r, value, p)
	if !errors.Is(err, dynamixel.DataRangeError) {
		return err
	}
	if tripped, failure := b.hasTripped(ctx); failure != nil || !tripped {
		return errors.Join(err, failure)
	}
	if err := b.setWatchdog(ctx, 0); err != nil {
		return err
	}
	return b.set(ctx, r, value, p)
}

// hasTripped reports whether the servo has stopped by itself.
func (b *bus) hasTripped(ctx context.Context) (bool, error) {
	units, err := b.get(ctx, dynamixel.BusWatchdog)
	if errors.Is(err, dynamixel.AccessError) {
		return false, nil
	}
	return units < 0, err
}
