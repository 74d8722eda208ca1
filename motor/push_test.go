package motor_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// The settings of the real carousel.
var settings = device.Precise{
	SwitchError: 3, Stage1Timeout: 8 * time.Second, PulsePWMStart: 180, PulseDuration: 300 * time.Millisecond,
	PulseRest: 200 * time.Millisecond, PWMStep: 25, PWMMax: 600, MotionThreshold: 0.12, PWMBackoffStep: 60,
	MaxStepFactor: 1.5, PulseMax: 25, StallPulses: 6,
}

// precise is a move that friction does not end.
func precise(goal device.Degrees) device.Move {
	move := plain(goal)
	move.Precise = &settings
	return move
}

// onRough runs a test on a rig whose carousel stops that far from its goal.
func onRough(t *testing.T, friction, inertia float64, test func(*testing.T, *rig)) {
	t.Helper()
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.servo.SetFaults(simulator.Faults{Friction: friction, Inertia: inertia})
		r.connect()
		test(t, r)
	})
}

// push makes a precise move and checks where it ends, by the servo's own account, and that no pulse was without the watchdog.
func (r *rig) push(goal device.Degrees) device.Arrival {
	r.t.Helper()
	before, watched, away := r.count(), int32(0), 0
	arrival, err := r.motor.MoveTo(r.t.Context(), precise(goal))
	for _, i := range r.since(before) {
		if units, ok := i.write(dynamixel.BusWatchdog); ok {
			watched = units
		}
		if i.writes(dynamixel.PositionPGain, 16383) && watched == 0 {
			r.t.Errorf("MoveTo(%v): the servo is pushed without its watchdog", goal)
		}
		if i.samples() && r.config.Watchdog > 0 { // two, as one is what shows it
			if off := i.position - i.goal; watched != 0 || off >= -6 && off <= 6 {
				away = 0
			} else if away++; away == 2 {
				r.t.Errorf("MoveTo(%v): the servo pushes at %d without its watchdog", goal, i.position)
			}
		}
	}
	if err != nil {
		r.t.Errorf("MoveTo(%v): %v", goal, err)
		return arrival
	}
	time.Sleep(100 * time.Millisecond)
	if off := device.Degrees(r.servo.Register(dynamixel.PresentPosition))*360/4096 - goal; off < -0.5 || off > 0.5 {
		r.t.Errorf("MoveTo(%v) ended %v from there, in the stage %s after %d pulses", goal, off, arrival.Stage, arrival.Pulses)
	}
	return arrival
}

func TestPreciseMoveEndsWithinItsTolerance(t *testing.T) {
	for _, inertia := range []float64{1, 10, 30} {
		for _, friction := range []float64{0, 0.5, 1, 2, 2.5, 2.9} {
			onRough(t, friction, inertia, func(t *testing.T, r *rig) {
				random := rand.New(rand.NewPCG(1, 2))
				for range 20 {
					r.push(device.Degrees(random.Float64() * 359.9))
				}
				for _, goal := range []device.Degrees{0, 359.9, 0, 1, 2, 4, 3} { // the ends of the turn, and little ways
					r.push(goal)
				}
			})
		}
	}
}

func TestSecondStageIsEnteredOnlyWhereItIsNeeded(t *testing.T) {
	onRough(t, 0, 1, func(t *testing.T, r *rig) {
		before := r.count()
		if a := r.push(90); a.Stage != device.PositionStage || a.Pulses != 0 {
			t.Errorf("without friction it was the stage %s, with %d pulses", a.Stage, a.Pulses)
		}
		r.servo.SetFaults(simulator.Faults{Friction: 2.5})
		// Plain, it stays where friction leaves it.
		if o := <-r.begin(t.Context(), 92.5); o.err != nil || o.Stage != device.PositionStage || o.Pulses != 0 || o.Angle.From(90) > 0.1 {
			t.Errorf("the plain move ended at %v in the stage %s, %v", o.Angle, o.Stage, o.err)
		}
		for _, i := range r.since(before) {
			if i.addresses(dynamixel.PositionPGain) || i.addresses(dynamixel.GoalPWM) {
				t.Errorf("there was %+v", i.Packet)
			}
		}
		if a := r.push(120); a.Stage != device.PreciseStage || a.Pulses < 2 {
			t.Errorf("with friction it was the stage %s, with %d pulses", a.Stage, a.Pulses)
		}
	})
}

// The second stage changes two registers of RAM for a while, and nothing else: not the mode, not the torque, not
// the goal, and no EEPROM.
func TestSecondStageLeavesEverythingAsItWas(t *testing.T) {
	onRough(t, 2.5, 1, func(t *testing.T, r *rig) {
		gain, pwm := r.servo.Register(dynamixel.PositionPGain), r.servo.Register(dynamixel.GoalPWM)
		before := r.count()
		if a := r.push(90); a.Stage != device.PreciseStage {
			t.Fatalf("the stage is %s", a.Stage)
		}
		for _, i := range r.since(before)[1:] {
			if i.Instruction == dynamixel.Write && !i.addresses(dynamixel.PositionPGain) && !i.addresses(dynamixel.GoalPWM) &&
				!i.addresses(dynamixel.BusWatchdog) {
				t.Errorf("there was %+v", i.Packet)
			}
			if i.torque != 1 || i.goal != 1024 {
				t.Errorf("the torque was %d, the goal %d", i.torque, i.goal)
			}
			if watchdog, ok := i.write(dynamixel.BusWatchdog); ok && watchdog == 0 && i.at != r.instructions()[r.count()-1].at {
				t.Error("the watchdog ended early")
			}
		}
		r.holds(dynamixel.PositionPGain, gain)
		r.holds(dynamixel.GoalPWM, pwm)
		r.holds(dynamixel.BusWatchdog, 0)
	})
}

// The force of the pulses begins and grows as the settings say, and is the servo's own limit at the most.
func TestForceOfThePulses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*device.Precise)
		limit  int32 // PWM Limit
		want   []int32
	}{
		"default": {func(*device.Precise) {}, 885, []int32{180, 205, 230, 255, 280, 305}},
		"most": {func(p *device.Precise) { p.PulsePWMStart, p.PWMStep, p.PWMMax = 300, 100, 550 }, 885,
			[]int32{300, 400, 500, 550, 550, 550}},
		"a weaker servo": {func(p *device.Precise) { p.PulsePWMStart, p.PWMStep = 300, 100 }, 350,
			[]int32{300, 350, 350, 350, 350, 350}},
		"patience": {func(p *device.Precise) { p.StallPulses = 2 }, 885, []int32{180, 205}},
		"few":      {func(p *device.Precise) { p.PulseMax = 3 }, 885, []int32{180, 205, 230}},
	} {
		t.Run(name, func(t *testing.T) {
			onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
				r.prepare(setting{dynamixel.PWMLimit, c.limit})
				r.servo.SetFaults(simulator.Faults{Friction: 2.5})
				r.connect()
				r.push(90)
				r.servo.SetFaults(simulator.Faults{Jam: true})
				move, p := precise(92), settings
				c.change(&p)
				move.Precise = &p
				before := r.count()
				arrival, err := r.motor.MoveTo(t.Context(), move)
				failed(t, err, device.CodeStalled)
				if arrival != (device.Arrival{}) {
					t.Errorf("it arrived: %+v", arrival)
				}
				var forces []int32
				for _, i := range r.since(before) {
					if force, ok := i.write(dynamixel.GoalPWM); ok {
						forces = append(forces, force)
					}
				}
				if want := append(c.want, c.limit); !slices.Equal(forces, want) {
					t.Errorf("the forces are %v, want %v", forces, want)
				}
				r.holds(dynamixel.PositionPGain, 900)
				r.holds(dynamixel.TorqueEnable, 1)
			})
		})
	}
}

// From far away nothing is pushed: that is no friction, but something in the way.
func TestNothingIsPushedFromFarAway(t *testing.T) {
	onRough(t, 3.5, 1, func(t *testing.T, r *rig) {
		before := r.count()
		_, err := r.motor.MoveTo(t.Context(), precise(90))
		failed(t, err, device.CodeStalled)
		for _, i := range r.since(before) {
			if i.addresses(dynamixel.PositionPGain) {
				t.Errorf("there was %+v", i.Packet)
			}
		}
	})
}

// Whatever ends the second stage, at whichever of its instructions: the servo has its own gain and force again,
// holds still, and the next move is like any other.
func TestEveryWayOutOfTheSecondStage(t *testing.T) {
	for name, interrupt := range map[string]func(r *rig, cancel func()) device.Press{
		"cancel": func(_ *rig, cancel func()) device.Press { cancel(); return device.Press{} },
		"stop":   func(r *rig, _ func()) device.Press { return r.motor.Stop() },
		"loss":   func(r *rig, _ func()) device.Press { r.unplug(); return device.Press{} },
	} {
		t.Run(name, func(t *testing.T) {
			atEveryInstruction(t, func(t *testing.T, n int, end func()) {
				onRough(t, 2.3, 1, func(t *testing.T, r *rig) {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					inside, left := false, n
					interrupted := false
					var press device.Press
					r.onInstruction(func(_ int, i instruction) {
						inside = inside || i.writes(dynamixel.GoalPWM, 180)
						if inside && left == 0 {
							press, interrupted = interrupt(r, cancel), true
						}
						if inside {
							left--
						}
					})
					began := time.Now()
					_, err := r.motor.MoveTo(ctx, precise(90))
					r.unhook()
					if !interrupted {
						end()
						return
					}
					if took := time.Since(began); took > 10*time.Second {
						t.Errorf("it took %v (%v)", took, err)
					}
					switch name {
					case "stop":
						if err := r.answer(press); err != nil {
							t.Error(err)
						}
						time.Sleep(time.Second)
						r.holds(dynamixel.TorqueEnable, 0)
						r.reset(press.Number)
					case "loss":
						time.Sleep(2 * time.Second)
						r.plug()
						time.Sleep(15 * time.Second)
						r.await("connected", connected)
					}
					r.holds(dynamixel.PositionPGain, 900)
					r.holds(dynamixel.GoalPWM, 885)
					r.holds(dynamixel.TorqueEnable, 1)
					r.holds(dynamixel.BusWatchdog, 0)
					r.holds(dynamixel.Moving, 0)
					r.servo.SetFaults(simulator.Faults{})
					r.moveTo(200)
				})
			})
		})
	}
}

// A program that dies in a pulse leaves its gain behind; the next one gives the servo its own again.
func TestConnectingAfterAPulse(t *testing.T) {
	for model, gain := range map[int32]int32{1220: 900, 1020: 800, 4711: 800} {
		onRig(t, simulator.Config{Model: model}, func(t *testing.T, r *rig) {
			r.prepare(setting{dynamixel.PositionPGain, 16383}, setting{dynamixel.GoalPWM, 205})
			r.connect()
			r.holds(dynamixel.PositionPGain, gain)
			r.holds(dynamixel.GoalPWM, 885)
		})
	}
}

func TestPulsesEndWithTheTimeout(t *testing.T) {
	onRough(t, 2.5, 1, func(t *testing.T, r *rig) {
		r.push(90)
		r.servo.SetFaults(simulator.Faults{Jam: true})
		move := precise(92)
		move.Timeout = 1500 * time.Millisecond
		began := time.Now()
		_, err := r.motor.MoveTo(t.Context(), move)
		failed(t, err, device.CodeTimeout)
		if took := time.Since(began); took > 1700*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		r.holds(dynamixel.PositionPGain, 900)
	})
}
