package motor

import (
	"context"
	"errors"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// pushGain is the highest Position P Gain, 128 units of PWM a step.
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#position-pid-gain80-82-84
const pushGain = 16383

// push is the second stage of a precise move: it brings a carousel that friction has stopped the last bit to
// its goal.
//
// The force of the servo's position control is proportional to the way that is left, 7 units of PWM a step
// with the gain of an XC330, so that it stands where that force is no more than the friction: at 180 units,
// 2.3° from the goal. With the highest gain the force no longer depends on the way until a step or two
// before the goal, and Goal PWM, which bounds it, is the force. A pulse of it turns the carousel if it is
// more than the friction, at any place and in both directions, and if it is not, the next one is stronger.
// The servo itself ends the motion at the goal, within a millisecond and not when somebody looks.
//
// All of that happens in the operating mode that the move was made in. Torque stays on, no EEPROM is
// written, the goal position stays what it was, and so nothing turns the carousel over 0°. A servo whose
// program dies in the middle is stopped by its watchdog, and one that has none holds its goal.
func (j *journey) push(ctx context.Context, s sample) (end sample, pulses int, err error) {
	defer func() {
		if relaxed := j.relax(); err == nil {
			err = relaxed
		}
	}()
	settings := j.move.Precise
	if j.watchdog == 0 { // a servo that pushes is not left to itself, whatever the settings say
		j.watchdog, j.watched = settings.PulseDuration+100*time.Millisecond, false
	}
	if err := j.watch(ctx, true); err != nil {
		return sample{}, 0, err
	}
	force, idle := settings.PulsePWMStart, 0
	for pulses < settings.PulseMax {
		pulses++
		before := s
		if s, err = j.pulse(ctx, force); err != nil {
			return sample{}, pulses, err
		}
		moved := toDegrees(abs(s.position - before.position))
		passed := (j.off(s) > 0) != (j.off(before) > 0)
		switch {
		case s.rests() && within(j.off(s), j.move.Tolerance):
			return s, pulses, nil
		case moved < settings.MotionThreshold:
			if idle++; idle >= settings.StallPulses {
				return sample{}, pulses, device.Errorf(device.CodeStalled, "the carousel stands at %v, %v from its goal, and %d pulses up to a PWM of %d have not moved it",
					s.Angle, j.off(s), idle, force)
			}
			force = min(force+settings.PWMStep, settings.PWMMax)
		case passed && moved > j.move.Tolerance*device.Degrees(settings.MaxStepFactor):
			force = max(force-settings.PWMBackoffStep, 1)
			idle = 0
		default:
			idle = 0
		}
	}
	return sample{}, pulses, device.Errorf(device.CodeStalled, "the carousel stands at %v, %v from its goal, after all of its %d pulses", s.Angle, j.off(s), pulses)
}

// pulse pushes with that force, in 0.113 % of PWM, and returns what has come of it.
func (j *journey) pulse(ctx context.Context, force int) (sample, error) {
	b, settings := j.bus, j.move.Precise
	err := b.set(ctx, dynamixel.GoalPWM, min(int32(force), b.pwmLimit), j.permit)
	if errors.Is(err, dynamixel.DataRangeError) { // the watchdog has stopped the servo
		if err = j.send(ctx); err == nil {
			err = b.set(ctx, dynamixel.GoalPWM, min(int32(force), b.pwmLimit), j.permit)
		}
	}
	if err != nil {
		return sample{}, err
	}
	if err := b.set(ctx, dynamixel.PositionPGain, pushGain, j.permit); err != nil {
		return sample{}, err
	}
	if _, err := j.attend(ctx, settings.PulseDuration, true); err != nil {
		return sample{}, err
	}
	if err := b.set(ctx, dynamixel.PositionPGain, b.gain, j.permit); err != nil {
		return sample{}, err
	}
	return j.attend(ctx, settings.PulseRest, false)
}

// attend looks at the servo for so long, or until it has arrived if that is enough.
func (j *journey) attend(ctx context.Context, long time.Duration, arriving bool) (sample, error) {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	began := time.Now()
	for {
		s, err := j.look(ctx)
		if err != nil {
			return sample{}, err
		}
		if time.Since(began) >= long || arriving && s.rests() && within(j.off(s), j.move.Tolerance/2) {
			return s, nil
		}
		if err := j.wait(ctx, poll.C); err != nil {
			return sample{}, err
		}
	}
}

// relax gives the servo its own gain and its full force again. After an emergency stop it gets them when
// its torque comes on.
func (j *journey) relax() error {
	ctx, cancel := context.WithTimeout(first(context.Background()), haltTimeout)
	defer cancel()
	if err := j.bus.set(ctx, dynamixel.PositionPGain, j.bus.gain, j.permit); err != nil {
		return err
	}
	return j.bus.setGoal(ctx, dynamixel.GoalPWM, j.bus.pwmLimit, j.permit)
}
