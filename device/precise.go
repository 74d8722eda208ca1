package device

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Precise are the settings of a precise move. Its first stage is a plain move; where friction stops that
// short of its goal, the second one pushes the carousel the last bit, in pulses whose force grows until
// it moves. The names and the defaults were found on the real carousel.
type Precise struct {
	SwitchError     Degrees       // how near the first stage must come for the second to begin
	Stage1Timeout   time.Duration // after which the first stage ends if it is that near, but not at rest
	PulsePWMStart   int           // force of the first pulse, 0.113 %
	PulseDuration   time.Duration // the longest that a pulse lasts; it ends when the goal is reached
	PulseRest       time.Duration // after a pulse, before its effect is measured
	PWMStep         int           // more force after a pulse without effect, 0.113 %
	PWMMax          int           // the most force, 0.113 %
	MotionThreshold Degrees       // a pulse that has moved less has had no effect
	PWMBackoffStep  int           // less force after a pulse that went too far, 0.113 %
	MaxStepFactor   float64       // more than so many tolerances are too far
	PulseMax        int           // the most pulses
	StallPulses     int           // so many without effect, one after another, are a stall
}

// An Override is a setting of a precise move, by the name that it has in a command.
type Override struct {
	Name        string
	Least, Most float64
	Unit        string // "seconds", "degrees", …
	Whole       bool   // it is a whole number
	Set         func(*Precise, float64)
}

const pwmUnits = "PWM units of 0.113 %"

// Overrides lists the settings of a precise move.
var Overrides = []Override{
	{"switch_error", 0.1, 15, "degrees", false, func(p *Precise, v float64) { p.SwitchError = Degrees(v) }},
	{"stage1_timeout", 0.1, maxSeconds, "seconds", false, func(p *Precise, v float64) { p.Stage1Timeout = seconds(&v, 0) }},
	{"pulse_pwm_start", 1, 885, pwmUnits, true, func(p *Precise, v float64) { p.PulsePWMStart = int(v) }},
	{"pulse_duration", 0.05, 2, "seconds", false, func(p *Precise, v float64) { p.PulseDuration = seconds(&v, 0) }},
	{"pulse_rest", 0.05, 2, "seconds", false, func(p *Precise, v float64) { p.PulseRest = seconds(&v, 0) }},
	{"pwm_step", 1, 885, pwmUnits, true, func(p *Precise, v float64) { p.PWMStep = int(v) }},
	{"pwm_max", 1, 885, pwmUnits, true, func(p *Precise, v float64) { p.PWMMax = int(v) }},
	{"motion_threshold", 0.01, 5, "degrees", false, func(p *Precise, v float64) { p.MotionThreshold = Degrees(v) }},
	{"pwm_backoff_step", 1, 885, pwmUnits, true, func(p *Precise, v float64) { p.PWMBackoffStep = int(v) }},
	{"max_step_factor", 0.1, 100, "", false, func(p *Precise, v float64) { p.MaxStepFactor = v }},
	{"pulse_max", 1, 1000, "", true, func(p *Precise, v float64) { p.PulseMax = int(v) }},
	{"stall_pulses", 1, 1000, "", true, func(p *Precise, v float64) { p.StallPulses = int(v) }},
}

// with returns the settings with those of a command in place of some.
func (p Precise) with(values map[string]*float64) Precise {
	for _, o := range Overrides {
		if value := values[o.Name]; value != nil {
			o.Set(&p, *value)
		}
	}
	return p
}

// validateOverrides checks what a command wants to override.
func (p Precise) validateOverrides(values map[string]*float64) *Error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		at := slices.IndexFunc(Overrides, func(o Override) bool { return o.Name == name })
		if at < 0 {
			var names []string
			for _, o := range Overrides {
				names = append(names, o.Name)
			}
			return Errorf(CodeInvalidPayload, "unknown override %q; there are %s", name, strings.Join(names, ", "))
		}
		if err := Overrides[at].validate(values[name]); err != nil {
			return err
		}
	}
	if p = p.with(values); p.PulsePWMStart > p.PWMMax {
		return Errorf(CodeInvalidPayload, "pulse_pwm_start would be %d; it must not be above pwm_max, %d", p.PulsePWMStart, p.PWMMax)
	}
	return nil
}

func (o Override) validate(value *float64) *Error {
	switch {
	case value == nil:
		return Errorf(CodeInvalidPayload, "the override %s is null; it must be a number", o.Name)
	case !(*value >= o.Least && *value <= o.Most):
		return outside("the override "+o.Name, *value, o.Least, o.Most, o.Unit)
	case o.Whole && *value != math.Trunc(*value):
		return Errorf(CodeInvalidPayload, "the override %s is %s; it must be a whole number", o.Name, plain(*value))
	}
	return nil
}

// pushes reports whether a move with these parameters is a precise one.
func (d *Device) pushes(p Parameters) bool {
	if p.Precise == nil {
		return d.isPrecise
	}
	return *p.Precise
}

// onlySwitchError reports whether all that is overridden is what counts for a plain move, too.
func onlySwitchError(values map[string]*float64) bool {
	_, has := values["switch_error"]
	return len(values) == 0 || has && len(values) == 1
}

// move says where and how a command turns the carousel.
func (d *Device) move(c Command) Move {
	p := c.Parameters
	precise := d.precise.with(p.Overrides)
	m := Move{Tolerance: d.tolerance, Window: precise.SwitchError, Timeout: p.timeout()}
	switch c.Name {
	case HotelOperation:
		m.Goal, _ = d.carousel.Angle(*p.Hotel)
	case AngleOperation:
		m.Goal = *p.Angle
	}
	if p.Tolerance != nil {
		m.Tolerance = *p.Tolerance
	}
	if d.pushes(p) {
		m.Precise = &precise
	} else if p.Tolerance != nil {
		m.Window = m.Tolerance
	}
	m.Window = max(m.Window, m.Tolerance)
	return m
}
