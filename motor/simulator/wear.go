package simulator

import (
	"math"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

const (
	// ambient is what a servo measures that has not turned for long, in °C.
	ambient = 31
	// stallHeat is how much warmer it gets in the end when it pushes with all its force, in K, and
	// heatTime how long it takes for 63 % of that, as for the way back.
	stallHeat = 60
	heatTime  = 5 * time.Minute

	// overloadTime is for how long a servo pushes with all that its PWM Limit allows, and nothing moves,
	// before that is an overload. The manual says "persistent".
	overloadTime = 3 * time.Second
	// blocked is the speed, in steps a second, below which nothing moves.
	blocked = velocityUnit

	// idling is what the motor draws, in mA, for its own friction.
	idling = 60
	// sag is what the input voltage loses, in V, when the motor stalls.
	sag = 0.3

	// glance is the longest time that passes at once while there is force: heat and overload count.
	glance = time.Second / period
)

// A rating is what the specification of a model says about its motor.
type rating struct {
	volts float64 // recommended input voltage
	stall float64 // stall current at that, in mA
}

// rateOf looks up the rating: https://emanual.robotis.com/docs/en/dxl/x/ and the pages below it.
func rateOf(model int32) rating {
	switch model {
	case 1020, 1030: // XM430
		return rating{12, 2300}
	case 1060: // XL430-W250
		return rating{12, 1400}
	case 1190, 1200: // XL330
		return rating{5, 1470}
	case 1230, 1240: // XC330-M
		return rating{5, 1800}
	}
	return rating{12, 800} // XC330-T
}

// load is the motor's current as a part of the stall current, signed by the direction in which it pushes.
func (s *Servo) load() float64 {
	if !s.torque() {
		return 0
	}
	return s.pwm/fullPWM - s.velocity/s.plant.fastest
}

// idle returns how many periods may pass at once when nothing changes from one to the next.
func (s *Servo) idle(periods time.Duration) time.Duration {
	if s.velocity == 0 && s.pwm == 0 && s.heat == 0 {
		return periods
	}
	periods = min(periods, glance)
	if s.overloads() {
		periods = min(periods, (overloadTime-s.strain)/period)
	}
	return max(periods, 1)
}

// overloads reports whether the motor pushes with all its force and nothing moves.
func (s *Servo) overloads() bool {
	return math.Abs(s.pwm) >= float64(s.get(dynamixel.PWMLimit)) && s.pwm != 0 && math.Abs(s.velocity) < blocked
}

// wear is what that many periods do to the servo. It reports whether they have switched torque off.
func (s *Servo) wear(periods time.Duration) bool {
	if load := s.load(); load != 0 || s.heat != 0 {
		gone := -math.Expm1(-float64(periods*period) / float64(heatTime))
		if s.heat += (stallHeat*load*load - s.heat) * gone; load == 0 && s.heat < 0.01 {
			s.heat = 0
		}
	}
	if s.overloads() {
		s.strain += periods * period
	} else {
		s.strain = 0
	}
	var e dynamixel.HardwareError
	if s.strain >= overloadTime {
		e |= dynamixel.OverloadError
	}
	if s.heat > 0 && s.temperature() > s.get(dynamixel.TemperatureLimit) {
		e |= dynamixel.OverheatingError
	}
	return e != 0 && s.fail(e)
}

func (s *Servo) temperature() int32 { return ambient + int32(s.heat) }

// volts is the input voltage in 0.1 V.
func (s *Servo) volts() int32 {
	return int32(math.Round((s.supply - sag*math.Abs(s.load())) * 10))
}

// fail sets bits of Hardware Error Status and reports whether that has switched torque off.
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#shutdown63
func (s *Servo) fail(e dynamixel.HardwareError) bool {
	s.set(dynamixel.HardwareErrorStatus, s.get(dynamixel.HardwareErrorStatus)|int32(e))
	if !s.torque() || !s.shut() {
		return false
	}
	s.release()
	return true
}
