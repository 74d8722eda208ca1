package simulator

import (
	"math"
	"time"
)

const (
	// period is that of the control loop. The manual gives no number; it counts feedback in ms.
	period  = time.Millisecond
	seconds = float64(period) / float64(time.Second)

	// fullPWM is all that the motor can be given, 100 %.
	fullPWM = 885

	// timeConstant is how long a bare horn takes to lose 63 % of its speed without power. With the initial
	// gains of an XC330-T288 the control loop is then critically damped.
	timeConstant = 6 * time.Millisecond

	// stiction is how much more force than to go on turning it takes to begin.
	stiction = 1.2

	// standstill is the speed, in steps a second, below which friction stops the horn.
	standstill = 0.1
)

// A horn is where the output shaft is and how fast, in steps and steps a second. The position is that of
// Present Position without the homing offset, so it runs backwards in reverse mode.
type horn struct{ position, velocity float64 }

// A plant is what the control loop has to deal with: the motor, its gear and what hangs on the horn.
//
//	dv/dt = (fastest · (PWM − friction) / 885 − v) / time constant
type plant struct {
	fastest  float64 // steps a second at full PWM and without load
	kept     float64 // of a velocity, in one period without power
	coasted  float64 // s: the way in one period without power, divided by the velocity at its begin
	friction float64 // PWM that it takes to overcome it
	jammed   bool
}

// newPlant returns a plant whose moment of inertia is that many times the bare horn's.
func newPlant(fastest, inertia, friction float64, jammed bool) plant {
	constant := inertia * timeConstant.Seconds()
	kept := math.Exp(-seconds / constant)
	return plant{fastest: fastest, kept: kept, coasted: constant * (1 - kept), friction: friction, jammed: jammed}
}

// turn returns the horn one period later.
func (p *plant) turn(h horn, pwm float64) horn {
	stuck := math.Abs(pwm) <= p.friction*stiction
	switch {
	case p.jammed, stuck && math.Abs(h.velocity) < standstill:
		return horn{h.position, 0}
	}
	direction := math.Copysign(1, h.velocity)
	if h.velocity == 0 {
		direction = math.Copysign(1, pwm)
	}
	// The exact solution, as all that acts on the horn is constant during the period.
	final := p.fastest * (pwm - direction*p.friction) / fullPWM
	next := horn{
		position: h.position + final*seconds + (h.velocity-final)*p.coasted,
		velocity: final + (h.velocity-final)*p.kept,
	}
	switch {
	case stuck && next.velocity*direction <= 0: // friction has stopped it, and does not push it back
		next.velocity = 0
	case math.Abs(next.velocity-final) < 1e-9*p.fastest:
		next.velocity = final
	}
	return next
}
