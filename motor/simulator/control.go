package simulator

import (
	"math"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

const (
	// beta converts the error of velocity mode, in 0.229 rpm, to what the gains are applied to. The manual
	// calls it a coefficient that users cannot change and gives no number; this one makes a bare horn follow
	// within 30 ms.
	beta = 10

	// fastSlope is a PWM slope that does not limit anything.
	fastSlope = 2 * fullPWM
)

// A state is all that the control loop and the horn hand on from one period to the next.
type state struct {
	horn
	pwm      float64 // the motor's output, in PWM units
	integral float64 // what the I gain has added up, in PWM units
	err      float64 // of the last period, in steps or 0.229 rpm
	wanted   float64 // velocity of the trajectory in the last period, in steps a second
}

// A loop is one setting of the control loop: the gains and limits as the registers hold them now.
type loop struct {
	plant  *plant
	mode   int32
	torque bool

	p, i, d, ff1, ff2 float64
	limit             float64 // of the output, either way
	current           float64 // Goal Current as a part of the stall current, or its limit
	direct            float64 // the output in PWM mode
	slope             float64 // most change of the output in one period, PWM Slope(62)
}

// loop reads the registers. The gains are converted as the manual says:
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#position-pid-gain80-82-84
func (s *Servo) loop() loop {
	get := func(r dynamixel.Register) float64 { return float64(s.get(r)) }
	l := loop{
		plant:  &s.plant,
		mode:   s.get(dynamixel.OperatingMode),
		torque: s.torque(),
		limit:  math.Min(math.Abs(get(dynamixel.GoalPWM)), get(dynamixel.PWMLimit)),
		direct: get(dynamixel.GoalPWM),
		slope:  fastSlope,
	}
	if l.mode == dynamixel.ModeVelocity {
		l.p, l.i = get(dynamixel.VelocityPGain)/128, get(dynamixel.VelocityIGain)/65536
	} else {
		l.p, l.i, l.d = get(dynamixel.PositionPGain)/128, get(dynamixel.PositionIGain)/65536, get(dynamixel.PositionDGain)/16
		l.ff1, l.ff2 = get(dynamixel.Feedforward1stGain)/4, get(dynamixel.Feedforward2ndGain)/4
	}
	if s.model.CurrentUnit > 0 {
		l.current = get(dynamixel.GoalCurrent) * s.model.CurrentUnit / s.rating.stall
	}
	if s.has(dynamixel.PWMSlope) {
		unit := 0.003955 // V/ms
		if s.rating.volts < 12 {
			unit = 0.001977
		}
		l.slope = get(dynamixel.PWMSlope) * unit / s.supply * fullPWM
	}
	if s.halted && !positional(l.mode) { // the position modes then hold the horn where it is
		l.direct, l.current = 0, 0
	}
	return l
}

// step is one period of the control loop, and of the horn with what comes out of it. In the position modes
// position and velocity are those of the trajectory; in velocity mode the velocity is.
func (l *loop) step(s state, position, velocity float64) state {
	if !l.torque {
		s.pwm, s.integral, s.err, s.wanted = 0, 0, 0, 0
		s.horn = l.plant.turn(s.horn, 0)
		return s
	}
	low, high := -l.limit, l.limit
	var out float64
	switch l.mode {
	case dynamixel.ModePWM:
		out = l.direct
	case dynamixel.ModeCurrent:
		out = l.feed(s, l.current)
	case dynamixel.ModeVelocity:
		err := beta * (velocity - s.velocity) / velocityUnit
		if math.Abs(err) < 1e-6 {
			err = 0 // that it comes to a steady state
		}
		out = l.follow(&s, err, 0, low, high)
	case dynamixel.ModeCurrentBasedPosition:
		// What the manual calls the desired current is here the output that drives it.
		low = max(low, l.feed(s, -math.Abs(l.current)))
		high = min(high, l.feed(s, math.Abs(l.current)))
		fallthrough
	default:
		forward := (l.ff1*velocity + l.ff2*(velocity-s.wanted)) * seconds // steps in a period, and their change
		out = l.follow(&s, position-s.position, forward, low, high)
	}
	out = min(max(out, low), high)
	s.pwm = min(max(out, s.pwm-l.slope), s.pwm+l.slope)
	s.wanted = velocity
	s.horn = l.plant.turn(s.horn, s.pwm)
	return s
}

// follow is the PID controller. The integral does not grow while the output is at its limit: the manual's
// anti-windup gain has no number.
func (l *loop) follow(s *state, err, forward, low, high float64) float64 {
	integral := s.integral + l.i*err
	out := l.p*err + l.d*(err-s.err) + forward
	if sum := out + integral; sum >= low && sum <= high || math.Abs(integral) < math.Abs(s.integral) {
		s.integral = integral
	}
	s.err = err
	return out + s.integral
}

// feed is the output that drives a current through the motor, given as a part of the stall current.
func (l *loop) feed(s state, current float64) float64 {
	return fullPWM * (current + s.velocity/l.plant.fastest)
}

// run lets the control loop run until then, period by period; but as long as nothing would change it is
// not computed.
func (s *Servo) run(until time.Time) {
	l := s.loop()
	for {
		periods := until.Sub(s.clock) / period
		if periods < 1 {
			return
		}
		s.clock = s.clock.Add(period)
		var position, velocity float64
		changing := false
		switch {
		case !l.torque:
		case l.mode == dynamixel.ModeVelocity:
			velocity, changing = s.ramp.at(s.clock), s.ramp.ongoing(s.clock)
		default:
			position, velocity = s.path.at(s.clock)
			changing = s.path.ongoing(s.clock)
		}
		next := l.step(s.state, position, velocity)
		next.settle(&l, position, velocity)
		steady := !changing && next.velocity == s.velocity && next.pwm == s.pwm &&
			next.integral == s.integral && next.err == s.err && next.wanted == s.wanted
		s.state = next
		count := time.Duration(1)
		if steady {
			count = s.idle(periods)
			s.position += s.velocity * (float64(count) - 1) * seconds
			s.clock = s.clock.Add((count - 1) * period)
		}
		if s.wear(count) {
			l = s.loop()
		}
	}
}

// settle lets a horn without friction come to rest on its goal, which it would else approach forever.
func (s *state) settle(l *loop, position, velocity float64) {
	const near = 0.02 // steps
	if !l.torque || l.plant.friction > 0 || velocity != 0 || !positional(l.mode) {
		return
	}
	if math.Abs(position-s.position) < near && math.Abs(s.velocity) < 1 && math.Abs(s.pwm) < 1 {
		*s = state{horn: horn{position, 0}}
	}
}
