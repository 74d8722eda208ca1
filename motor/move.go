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
	// pollInterval is how often a move is looked at. When its profile has ended the servo may come to rest any moment: for
	// settleTime it is then looked at again after settlingInterval, which takes nine tenths of the bus.
	pollInterval     = 20 * time.Millisecond
	settlingInterval = time.Millisecond
	// settleTime is how long the servo must stand still short of its goal before that counts as the
	// end of the move.
	settleTime = 300 * time.Millisecond
	// stallTime is how long the servo may stand still while its profile runs on, and stallError how far
	// ahead the profile is then, in steps (3°), if something is in the way.
	stallTime  = 500 * time.Millisecond
	stallError = 34
	// haltTimeout bounds how long a servo may take to come to rest when it is told to.
	haltTimeout = time.Second
	// stillness is the most that a servo at rest seems to move, in steps.
	stillness = 2
)

// A journey is a move on its way.
type journey struct {
	*Motor
	bus    *bus
	move   device.Move
	permit permit
	goal   int32 // steps
	speed  int   // the profile velocity that the servo turns with, 0.229 rpm
	began  time.Time

	watchdog time.Duration
	watched  bool          // the servo was told of the watchdog last, and not of its end
	least    time.Duration // by when twice the time has passed that the profile needs
	limit    time.Duration // for the whole of it
}

// MoveTo implements [device.Motor]. The goal position is the first thing that it sends.
func (m *Motor) MoveTo(ctx context.Context, move device.Move) (device.Arrival, error) {
	ctx = first(ctx)
	p := m.stops.permit()
	b, done, err := m.use(ctx)
	if err != nil {
		return device.Arrival{}, err
	}
	defer done()
	j := &journey{Motor: m, bus: b, move: move, permit: p, watchdog: m.config.Watchdog, began: time.Now()}
	j.goal = m.goal(move.Goal, b.position.Load())
	arrival, err := j.travel(ctx)
	if err != nil { // the servo may be on its way even if its answer to the goal was lost
		m.halt(b, p)
		return device.Arrival{}, coded(err)
	}
	m.unwind(b, p)
	return arrival, nil
}

// travel turns the carousel to its goal, in as many stages as it takes.
func (j *journey) travel(ctx context.Context) (device.Arrival, error) {
	if err := j.send(ctx); err != nil {
		return device.Arrival{}, err
	}
	s, err := j.follow(ctx)
	if err != nil {
		return device.Arrival{}, err
	}
	arrival := device.Arrival{Stage: device.PositionStage}
	if j.move.Precise != nil && !within(j.off(s), j.move.Tolerance) {
		arrival.Stage = device.PreciseStage
		if s, arrival.Pulses, err = j.push(ctx, s); err != nil {
			return device.Arrival{}, err
		}
	}
	arrival.Angle = s.Angle
	return arrival, j.watch(ctx, false)
}

// send makes the goal known to the servo, and has it stop by itself if we are not heard from.
func (j *journey) send(ctx context.Context) error {
	j.speed = j.Status().Speed
	way := j.goal - j.bus.position.Load()
	if err := j.bus.setGoal(ctx, dynamixel.GoalPosition, j.goal, j.permit); err != nil {
		return err
	}
	elapsed := time.Since(j.began)
	j.least = elapsed + 2*j.needs(j.bus, way)
	if j.limit = j.move.Timeout; j.limit == 0 {
		j.limit = max(j.config.MoveTimeout, j.least)
	}
	j.watched = false // a servo that has stopped by itself takes the watchdog anew
	return j.watch(ctx, true)
}

// watch has the servo stop by itself if we are not heard from, or ends that.
func (j *journey) watch(ctx context.Context, on bool) error {
	if j.watched == on {
		return nil
	}
	j.watched = on
	if !on {
		return j.bus.setWatchdog(ctx, 0)
	}
	return j.bus.setWatchdog(ctx, j.watchdog)
}

// off is how far from its goal the carousel is. What does not turn over 0° is, at 359.9°, a whole turn
// away from 0°.
func (j *journey) off(s sample) device.Degrees {
	rounding := toDegrees(steps(j.move.Goal)) - j.move.Goal
	return toDegrees(s.position-j.goal) + rounding
}

// look takes a sample and tells whether the move has come to an end that it does not depend on.
func (j *journey) look(ctx context.Context) (sample, error) {
	s, err := j.bus.sample(ctx)
	if err != nil {
		return sample{}, err
	}
	if err := j.observe(ctx, j.bus, s); err != nil {
		return sample{}, err
	}
	switch {
	case !j.stops.permits(j.permit):
		return sample{}, errStopped
	case time.Since(j.began) >= j.limit:
		return sample{}, device.Errorf(device.CodeTimeout, "the carousel is at %v after %v, %v from its goal", s.Angle, j.limit, j.off(s))
	}
	return s, nil
}

// follow watches the servo on its own way until it has arrived or come to rest in the move's window.
func (j *journey) follow(ctx context.Context) (sample, error) {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	var stood sample    // the first one of those at the same position
	var ended time.Time // when the profile was seen to have ended
	for {
		s, err := j.look(ctx)
		if err != nil {
			return sample{}, err
		}
		if stood.At.IsZero() || abs(s.position-stood.position) > stillness {
			stood = s
		}
		off, still := j.off(s), s.At.Sub(stood.At)
		settled := s.rests() && still >= settleTime
		over := s.trajectory == j.goal // the profile is
		stuck := s.Moving && still >= stallTime && abs(s.trajectory-s.position) > stallError
		switch {
		case s.rests() && within(off, j.move.Tolerance):
			return s, nil
		case settled:
			tripped, err := j.bus.hasTripped(ctx)
			if err != nil {
				return sample{}, err
			}
			if tripped { // the bus was silent for too long
				if err := j.send(ctx); err != nil {
					return sample{}, err
				}
				stood, over = sample{}, false
				break
			}
			if err := j.checkPower(ctx); err != nil {
				return sample{}, err
			}
			if within(off, j.move.Window) {
				return s, nil
			}
			return sample{}, j.stalled(s)
		case stuck:
			return sample{}, j.stalled(s)
		case j.move.Precise != nil && within(off, j.move.Window) && time.Since(j.began) >= max(j.move.Precise.Stage1Timeout, j.least):
			return s, nil // it hunts for its goal
		case j.speed != j.Status().Speed: // which counts from the next goal on
			if err := j.send(ctx); err != nil {
				return sample{}, err
			}
			over = false
		}
		// At its goal the servo holds its place, as it will when it is at rest; away from there it pushes.
		if err := j.watch(ctx, !over || !within(off, j.move.Tolerance)); err != nil {
			return sample{}, err
		}
		tick := poll.C
		if over {
			if ended.IsZero() {
				ended = s.At
			}
			if s.At.Sub(ended) < settleTime {
				tick = time.After(settlingInterval)
			}
		}
		if err := j.wait(ctx, tick); err != nil {
			return sample{}, err
		}
	}
}

// checkPower tells a servo that has come to rest from one that has lost its power meanwhile, and with it its
// torque.
func (j *journey) checkPower(ctx context.Context) error {
	torque, err := j.bus.get(ctx, dynamixel.TorqueEnable)
	switch {
	case err != nil:
		return err
	case torque != 0:
		return nil
	case !j.stops.permits(j.permit):
		return errStopped
	}
	j.bus.abandon(errPowerLost)
	return errPowerLost
}

func (j *journey) stalled(s sample) error {
	return device.Errorf(device.CodeStalled, "the carousel stopped at %v, %v from its goal; something may be in its way", s.Angle, j.off(s))
}

// wait waits for a tick, unless the move is to end before.
func (j *journey) wait(ctx context.Context, tick <-chan time.Time) error {
	select {
	case <-tick:
		return nil
	case <-j.bus.lost:
		return j.bus.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// needs is how long the profile takes for so many steps.
func (m *Motor) needs(b *bus, way int32) time.Duration {
	speed := float64(min(m.Status().Speed, b.speedLimit)) * degreesPerSecond
	seconds := math.Abs(float64(toDegrees(way))) / speed
	if m.config.Acceleration > 0 {
		// Speeding up and slowing down take the time to full speed once more.
		perSecond2 := float64(m.config.Acceleration) * dynamixel.RPM2PerUnit * 360 / 60 / 60
		seconds += speed / perSecond2
	}
	return time.Duration(seconds * float64(time.Second))
}

// halt stops a move as fast as its profile allows, with torque kept, and waits until the servo is at
// rest. After an emergency stop nothing is written, and the carousel coasts.
func (m *Motor) halt(b *bus, p permit) {
	ctx, cancel := context.WithTimeout(first(context.Background()), haltTimeout+m.brakingTime())
	defer cancel()
	s, err := b.sample(ctx)
	if err == nil {
		err = b.setGoal(ctx, dynamixel.GoalPosition, m.confine(s.position+m.brakingWay(s.velocity)), p)
	}
	if err == nil || errors.Is(err, errStopped) {
		err = m.awaitRest(ctx, b)
	}
	if m.stops.permits(p) {
		ctx, cancel := context.WithTimeout(first(context.Background()), haltTimeout)
		defer cancel()
		err = errors.Join(err, b.setWatchdog(ctx, 0))
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

// brakingTime is how long the servo takes at the most to come to rest.
func (m *Motor) brakingTime() time.Duration {
	if m.config.Acceleration == 0 {
		return 0
	}
	minutes := float64(m.Status().Speed) * dynamixel.RPMPerUnit / (float64(m.config.Acceleration) * dynamixel.RPM2PerUnit)
	return time.Duration(minutes * float64(time.Minute))
}

func within(off, limit device.Degrees) bool { return off >= -limit && off <= limit }

func abs(n int32) int32 { return max(n, -n) }
