package simulator

import (
	"math"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// The units of the profile registers in steps a second and in steps a second squared.
const (
	velocityUnit     = dynamixel.RPMPerUnit * dynamixel.StepsPerTurn / 60
	accelerationUnit = dynamixel.RPM2PerUnit * dynamixel.StepsPerTurn / (60 * 60)
)

// A shape is what the bits 0x30 of Moving Status say about the profile that runs.
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#moving-status123
type shape byte

const (
	step        shape = 0x00 // profile not used: the goal is wanted at once
	rectangular shape = 0x10
	triangular  shape = 0x20
	trapezoidal shape = 0x30
)

// A path is a motion along one axis from where it starts to where it ends, in steps and seconds: speed up
// (or slow down, or turn back), cruise, brake. Its zero value rests at 0.
type path struct {
	start          time.Time
	origin, target float64
	legs           [3]leg
	shape          shape
}

// A leg is a stretch of constant acceleration.
type leg struct{ duration, from, to float64 } // s, steps/s at its begin, steps/s at its end

// resting is the path of what stands still.
func resting(position float64) path { return path{origin: position, target: position} }

// newPath is the quickest motion from the origin, where the speed is v0, to rest at the target, with at
// most that speed and that acceleration, which may be infinite. What is faster than speed at its start
// slows down to it; what cannot stop before the target passes it and comes back.
func newPath(start time.Time, origin, v0, target, speed, acceleration float64) path {
	// All is calculated in the direction in which the target lies from where v0 could be braked to rest.
	direction := 1.0
	if target < origin+v0*math.Abs(v0)/(2*acceleration) {
		direction = -1
	}
	v0 *= direction
	distance := direction * (target - origin)

	shape := trapezoidal
	rise, brake := math.Abs(speed-v0)/acceleration, speed/acceleration
	cruise := (distance - (v0+speed)/2*rise - speed/2*brake) / speed
	switch {
	case math.IsInf(acceleration, 1):
		shape = rectangular
	case cruise < 0: // it has to brake before it gets up to speed
		shape = triangular
		speed = math.Sqrt(max(0, acceleration*distance+v0*v0/2))
		rise, cruise, brake = math.Abs(speed-v0)/acceleration, 0, speed/acceleration
	}
	v0, speed = direction*v0, direction*speed
	return path{start, origin, target, [3]leg{{rise, v0, speed}, {cruise, speed, speed}, {brake, speed, 0}}, shape}
}

// at returns position and velocity, in steps and steps a second.
func (p *path) at(now time.Time) (position, velocity float64) {
	t := max(0, now.Sub(p.start).Seconds())
	if t >= p.duration() {
		return p.target, 0 // exactly: adding up the legs would round
	}
	position = p.origin
	for i := range p.legs {
		l := &p.legs[i]
		if t < l.duration {
			velocity = l.from + (l.to-l.from)*t/l.duration
			return position + (l.from+velocity)/2*t, velocity
		}
		position += (l.from + l.to) / 2 * l.duration
		t -= l.duration
	}
	return p.target, 0
}

// ongoing reports whether the path has not yet ended.
func (p *path) ongoing(now time.Time) bool { return now.Sub(p.start).Seconds() < p.duration() }

// duration is how long the path takes, in seconds.
func (p *path) duration() float64 {
	return p.legs[0].duration + p.legs[1].duration + p.legs[2].duration
}

// fold brings a position into one turn, so that it rounds to 0 … 4095.
func fold(position float64) float64 {
	return position - dynamixel.StepsPerTurn*math.Floor((position+0.5)/dynamixel.StepsPerTurn)
}

// newPath is the path to a target as the profile registers want it. It begins where the horn is and as fast
// as the horn is: the manual speaks of the "present position" and the "present velocity".
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#profile-velocity112
func (s *Servo) newPath(now time.Time, target float64) path {
	v, a := float64(s.get(dynamixel.ProfileVelocity)), float64(s.get(dynamixel.ProfileAcceleration))
	if v == 0 { // then the acceleration does not count either
		return resting(target)
	}
	if s.get(dynamixel.DriveMode)&dynamixel.DriveModeTimeProfile != 0 {
		// v is the time of the whole move in ms and a that of speeding up, at most half of it. That is
		// exact for a move from rest; the manual does not say what it is for one in motion.
		whole, rise := v/1000, min(a, v/2)/1000
		v = math.Abs(target-s.horn.position) / (whole - rise)
		a = v / rise
	} else {
		v *= velocityUnit
		a *= accelerationUnit
	}
	if v == 0 || a == 0 || math.IsNaN(a) {
		a = math.Inf(1)
	}
	if limit := float64(s.get(dynamixel.VelocityLimit)) * velocityUnit; v == 0 || v > limit {
		v = max(limit, velocityUnit)
	}
	return newPath(now, s.horn.position, s.horn.velocity, target, v, a)
}

// A ramp is a change of velocity at a constant rate. Its zero value is a velocity of 0.
type ramp struct {
	start time.Time
	leg   leg
}

// at returns the velocity in steps a second.
func (r *ramp) at(now time.Time) float64 {
	if t := max(0, now.Sub(r.start).Seconds()); t < r.leg.duration {
		return r.leg.from + (r.leg.to-r.leg.from)*t/r.leg.duration
	}
	return r.leg.to
}

// ongoing reports whether the velocity is still changing.
func (r *ramp) ongoing(now time.Time) bool { return now.Sub(r.start).Seconds() < r.leg.duration }

// newRamp leads to Goal Velocity at the rate that Profile Acceleration allows; Profile Velocity counts for
// nothing. https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#profile-velocity112
func (s *Servo) newRamp(now time.Time) ramp {
	from, to := s.ramp.at(now), float64(s.get(dynamixel.GoalVelocity))*velocityUnit
	duration := 0.0
	switch a := float64(s.get(dynamixel.ProfileAcceleration)); {
	case a == 0:
	case s.get(dynamixel.DriveMode)&dynamixel.DriveModeTimeProfile != 0:
		duration = a / 1000
	default:
		duration = math.Abs(to-from) / (a * accelerationUnit)
	}
	return ramp{now, leg{duration, from, to}}
}
