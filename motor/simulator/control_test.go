package simulator

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// at moves to a goal with the profile velocity of 50 and waits until the horn has long come to rest.
func (b *bench) at(goal int32) int32 {
	b.write(dynamixel.ProfileVelocity, 50, 0)
	b.write(dynamixel.TorqueEnable, 1, 0)
	b.write(dynamixel.GoalPosition, goal, 0)
	b.after(8 * time.Second)
	b.is(dynamixel.Moving, 0)
	b.is(dynamixel.PresentVelocity, 0)
	return b.Register(dynamixel.PresentPosition)
}

func TestArrivesExactlyWithoutFriction(t *testing.T) {
	for _, model := range dynamixel.Models() {
		for _, inertia := range []float64{0, 0.1, 10} {
			t.Run(fmt.Sprintf("%s, inertia %v", model.Name, inertia), func(t *testing.T) {
				onBench(t, Config{Model: model.Number, Faults: Faults{Inertia: inertia}}, func(b *bench) {
					for _, goal := range []int32{1, 1000, 4095, 4094, 0} {
						if at := b.at(goal); at != goal {
							t.Errorf("at %d instead of %d", at, goal)
						}
						b.is(dynamixel.PresentPWM, 0)
						b.is(dynamixel.PresentCurrent, 0)
					}
				})
			})
		}
	}
}

// 2.5° are 28.4 steps.
func TestFrictionStopsShortOfTheGoal(t *testing.T) {
	for _, model := range dynamixel.Models() {
		t.Run(model.Name, func(t *testing.T) {
			onBench(t, Config{Model: model.Number, Faults: Faults{Friction: 2.5}}, func(b *bench) {
				if e, _ := model.Entry(dynamixel.PositionIGain); e.Initial > 0 { // which works against friction
					b.write(dynamixel.PositionIGain, 0, 0)
				}
				if at := b.at(2000); at < 2000-29 || at > 2000-28 {
					t.Errorf("from below at %d", at)
				}
				if at := b.at(1000); at < 1000+28 || at > 1000+29 {
					t.Errorf("from above at %d", at)
				}
				b.is(dynamixel.TorqueEnable, 1)
			})
		})
	}
}

// It takes 1.2 times as much force to begin as to go on: 28.4 · 1.2 = 34.1 steps.
func TestFrictionSticks(t *testing.T) {
	onBench(t, Config{Faults: Faults{Friction: 2.5}}, func(b *bench) {
		if at := b.at(34); at != 0 {
			t.Errorf("a goal of 34 moves it to %d", at)
		}
		if at := b.at(35); at < 35-29 || at > 35-28 {
			t.Errorf("a goal of 35 moves it to %d", at)
		}
	})
}

func TestGainsAgainstFriction(t *testing.T) {
	t.Run("P", func(t *testing.T) {
		onBench(t, Config{Faults: Faults{Friction: 2.5}}, func(b *bench) {
			b.at(2000)
			b.write(dynamixel.PositionPGain, 10*900, 0)
			b.after(100 * time.Millisecond)
			if at := b.Register(dynamixel.PresentPosition); at < 1996 || at > 2004 { // 2.84 either way, 3.4 to begin
				t.Errorf("at %d", at)
			}
		})
	})
	t.Run("P with too little PWM", func(t *testing.T) {
		onBench(t, Config{Faults: Faults{Friction: 2.5}}, func(b *bench) {
			at := b.at(2000)
			b.write(dynamixel.GoalPWM, 230, 0) // 28.4 · 900 / 128 = 200 are friction, and 240 to begin
			b.write(dynamixel.PositionPGain, 10*900, 0)
			b.after(time.Second)
			b.is(dynamixel.PresentPWM, 230)
			b.is(dynamixel.PresentPosition, at)
			b.write(dynamixel.GoalPWM, 250, 0)
			b.after(time.Second)
			if now := b.Register(dynamixel.PresentPosition); now < 1996 {
				t.Errorf("at %d", now)
			}
		})
	})
	t.Run("I", func(t *testing.T) {
		onBench(t, Config{Faults: Faults{Friction: 2.5}}, func(b *bench) {
			before := b.at(2000)
			b.write(dynamixel.PositionIGain, 200, 0)
			b.after(5 * time.Second)
			if at := b.Register(dynamixel.PresentPosition); at <= before {
				t.Errorf("still at %d", at)
			}
		})
	})
}

// A heavy carousel turns beyond its goal, also over the end of its turn, where nothing wraps.
func TestInertiaOvershoots(t *testing.T) {
	onBench(t, Config{Angle: 90, Faults: Faults{Inertia: 20}}, func(b *bench) {
		b.write(dynamixel.ProfileVelocity, 50, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalPosition, 0, 0)
		lowest := int32(0)
		for range 200 {
			time.Sleep(20 * time.Millisecond)
			lowest = min(lowest, b.Register(dynamixel.PresentPosition))
		}
		if lowest > -5 || lowest < -60 {
			t.Errorf("it came down to %d", lowest)
		}
		b.is(dynamixel.PresentPosition, 0)
	})
}

// 781.7 steps/s · 6 ms · 20 = 94 steps.
func TestInertiaCoastsWithoutTorque(t *testing.T) {
	for friction, want := range map[float64][2]int32{0: {85, 95}, 5: {10, 85}} {
		onBench(t, Config{Faults: Faults{Inertia: 20, Friction: friction}}, func(b *bench) {
			b.write(dynamixel.ProfileVelocity, 50, 0)
			b.write(dynamixel.TorqueEnable, 1, 0)
			b.write(dynamixel.GoalPosition, 4000, 0)
			b.after(2 * time.Second)
			b.write(dynamixel.TorqueEnable, 0, 0)
			from := b.Register(dynamixel.PresentPosition)
			time.Sleep(2 * time.Second)
			way := b.Register(dynamixel.PresentPosition) - from
			if way < want[0] || way > want[1] {
				t.Errorf("with a friction of %v it coasted %d steps", friction, way)
			}
			time.Sleep(time.Second)
			b.is(dynamixel.PresentPosition, from+way)
		})
	}
}

// swing is how far a heavy carousel turns beyond its goal.
func (b *bench) swing() int32 {
	b.write(dynamixel.ProfileVelocity, 50, 0)
	b.write(dynamixel.TorqueEnable, 1, 0)
	b.write(dynamixel.GoalPosition, 2000, 0)
	highest := int32(0)
	for range 1500 {
		time.Sleep(5 * time.Millisecond)
		highest = max(highest, b.Register(dynamixel.PresentPosition))
	}
	return highest - 2000
}

func TestDGainDamps(t *testing.T) {
	var without, with int32
	onBench(t, Config{Faults: Faults{Inertia: 20}}, func(b *bench) { without = b.swing() })
	onBench(t, Config{Faults: Faults{Inertia: 20}}, func(b *bench) {
		b.write(dynamixel.PositionDGain, 10000, 0) // 625 of PWM for a step in a period
		with = b.swing()
	})
	if without < 10 || with > without/4 {
		t.Errorf("beyond its goal by %d steps without D gain, and by %d with it", without, with)
	}
}

// At 781.65 steps/s the horn needs 781.65 · 885 / 5002.6 = 138.3 of PWM. With nothing but a P gain it is behind
// by 19.7 steps for that; feedforward for 0.782 steps a period takes a gain of 177, 708 / 4.
func TestFeedforward(t *testing.T) {
	for gain, want := range map[int32]int32{0: 20, 354: 10, 708: 0} {
		onBench(t, Config{}, func(b *bench) {
			b.write(dynamixel.Feedforward1stGain, gain, 0)
			b.write(dynamixel.ProfileVelocity, 50, 0)
			b.write(dynamixel.TorqueEnable, 1, 0)
			b.write(dynamixel.GoalPosition, 4000, 0)
			b.after(time.Second)
			behind := b.Register(dynamixel.PositionTrajectory) - b.Register(dynamixel.PresentPosition)
			if behind < want-1 || behind > want+1 {
				t.Errorf("with a gain of %d behind by %d steps, want %d", gain, behind, want)
			}
		})
	}
}

// The integral does not run away while the horn cannot follow, as it would have to be undone afterwards.
func TestIGainDoesNotWindUp(t *testing.T) {
	onBench(t, Config{Faults: Faults{Jam: true}}, func(b *bench) {
		b.write(dynamixel.PositionIGain, 1000, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalPWM, 400, 0)
		b.write(dynamixel.GoalPosition, 1000, 0)
		b.after(20 * time.Second)
		b.is(dynamixel.PresentPWM, 400)
		b.SetFaults(Faults{})
		highest := int32(0)
		for range 300 {
			time.Sleep(10 * time.Millisecond)
			highest = max(highest, b.Register(dynamixel.PresentPosition))
		}
		if highest > 1200 {
			t.Errorf("it turned on to %d", highest)
		}
	})
}

func TestBusWatchdogStopsPWM(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.OperatingMode, dynamixel.ModePWM, 0)
		b.write(dynamixel.GoalPWM, 200, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.BusWatchdog, 5, 0)
		b.after(90 * time.Millisecond)
		if v := b.Register(dynamixel.PresentVelocity); v == 0 {
			t.Error("it does not turn")
		}
		b.after(time.Second)
		b.is(dynamixel.PresentVelocity, 0)
		b.is(dynamixel.PresentPWM, 0)
		b.write(dynamixel.BusWatchdog, 0, 0)
		b.after(time.Second)
		b.is(dynamixel.PresentVelocity, 0)
		b.write(dynamixel.GoalPWM, 200, 0)
		b.after(time.Second)
		b.is(dynamixel.PresentPWM, 200)
	})
}

func TestWindowsOfMovingStatus(t *testing.T) {
	for goal, want := range map[int32]int32{5: dynamixel.InPosition, 6: 0, 200: 0, 201: dynamixel.FollowingError} {
		onBench(t, Config{Faults: Faults{Jam: true}}, func(b *bench) {
			b.write(dynamixel.TorqueEnable, 1, 0)
			b.write(dynamixel.GoalPosition, goal, 0)
			b.is(dynamixel.MovingStatus, want)
		})
	}
}

func TestGoalPWMOfZeroLeavesNoForce(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalPWM, 0, 0)
		b.write(dynamixel.GoalPosition, 1000, 0)
		b.after(time.Second)
		b.is(dynamixel.PresentPosition, 0)
		b.is(dynamixel.MovingStatus, dynamixel.FollowingError)
		b.write(dynamixel.GoalPWM, 885, 0)
		b.after(time.Second)
		b.is(dynamixel.PresentPosition, 1000)
	})
}

func TestVelocityMode(t *testing.T) {
	for name, friction := range map[string]float64{"free": 0, "with friction": 2.5} {
		t.Run(name, func(t *testing.T) {
			onBench(t, Config{Faults: Faults{Friction: friction}}, func(b *bench) {
				b.write(dynamixel.OperatingMode, dynamixel.ModeVelocity, 0)
				b.write(dynamixel.ProfileAcceleration, 16, 0) // 64 · 100 / 16 = 400 ms
				b.write(dynamixel.TorqueEnable, 1, 0)
				b.write(dynamixel.GoalVelocity, 100, 0)
				b.after(200 * time.Millisecond)
				b.is(dynamixel.VelocityTrajectory, 50)
				b.after(time.Second)
				b.is(dynamixel.PresentVelocity, 100)
				b.is(dynamixel.Moving, 1)
				b.is(dynamixel.MovingStatus, 0)
				from := b.Register(dynamixel.PresentPosition)
				time.Sleep(24 * time.Hour) // not in position mode: nothing folds
				turned := float64(b.Register(dynamixel.PresentPosition)-from) / 4096
				if want := 100 * 0.229 * 60 * 24; math.Abs(turned-want) > 0.01 {
					t.Errorf("it has turned %v times, want %v", turned, want)
				}
				b.write(dynamixel.GoalVelocity, -100, 0)
				b.after(2 * time.Second)
				b.is(dynamixel.PresentVelocity, -100)
				b.write(dynamixel.BusWatchdog, 5, 0)
				b.after(time.Second)
				b.is(dynamixel.BusWatchdog, -1)
				b.is(dynamixel.PresentVelocity, 0)
				b.write(dynamixel.BusWatchdog, 0, 0)
				b.after(time.Second)
				b.is(dynamixel.PresentVelocity, 0)
			})
		})
	}
}

// A new goal velocity begins where the ramp is, and by time takes as long as Profile Acceleration says.
func TestRamps(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.OperatingMode, dynamixel.ModeVelocity, 0)
		b.write(dynamixel.ProfileAcceleration, 16, 0) // 100 units in 400 ms
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalVelocity, 100, 0)
		b.after(time.Second)
		b.write(dynamixel.GoalVelocity, 200, 0)
		b.after(200 * time.Millisecond)
		b.is(dynamixel.VelocityTrajectory, 150)
		b.write(dynamixel.TorqueEnable, 0, 0)
		b.write(dynamixel.DriveMode, dynamixel.DriveModeTimeProfile, 0)
		b.write(dynamixel.GoalVelocity, 0, 0)
		b.write(dynamixel.ProfileAcceleration, 500, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalVelocity, 300, 0)
		b.after(100 * time.Millisecond)
		b.is(dynamixel.VelocityTrajectory, 60)
		b.after(600 * time.Millisecond)
		b.is(dynamixel.PresentVelocity, 300)
	})
}

func TestPWMMode(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.OperatingMode, dynamixel.ModePWM, 0)
		b.write(dynamixel.GoalPWM, 0, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.is(dynamixel.PresentVelocity, 0)
		b.write(dynamixel.GoalPWM, -177, 0) // a fifth
		b.after(time.Second)
		b.is(dynamixel.PresentVelocity, -64)
		b.is(dynamixel.PresentPWM, -177)
		b.SetFaults(Faults{Voltage: 9})
		time.Sleep(time.Second)
		b.is(dynamixel.PresentVelocity, -48)
		b.is(dynamixel.PresentInputVoltage, 90)
	})
}

// With PWM Slope(62) at 255, 12 V are reached after 11.9 ms: the manual's example.
func TestPWMSlope(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.OperatingMode, dynamixel.ModePWM, 0)
		b.write(dynamixel.GoalPWM, 0, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalPWM, 885, 0)
		b.after(11 * time.Millisecond)
		if pwm := b.Register(dynamixel.PresentPWM); pwm < 700 || pwm > 884 {
			t.Errorf("a PWM of %d after 11 ms", pwm)
		}
		b.after(13 * time.Millisecond)
		b.is(dynamixel.PresentPWM, 885)
	})
}

func TestCurrentModes(t *testing.T) {
	t.Run("current", func(t *testing.T) {
		onBench(t, Config{}, func(b *bench) {
			b.SetFaults(Faults{Jam: true})
			b.write(dynamixel.OperatingMode, dynamixel.ModeCurrent, 0)
			b.write(dynamixel.TorqueEnable, 1, 0)
			b.write(dynamixel.GoalCurrent, 200, 0)
			b.after(time.Second)
			b.is(dynamixel.PresentCurrent, 200)
			b.write(dynamixel.GoalCurrent, -100, 0)
			b.after(time.Second)
			b.is(dynamixel.PresentCurrent, -100)
		})
	})
	t.Run("current-based position", func(t *testing.T) {
		onBench(t, Config{}, func(b *bench) {
			b.write(dynamixel.OperatingMode, dynamixel.ModeCurrentBasedPosition, 0)
			b.write(dynamixel.GoalCurrent, 150, 0)
			b.write(dynamixel.TorqueEnable, 1, 0)
			b.write(dynamixel.GoalPosition, 5000, 0)
			b.after(3 * time.Second)
			b.is(dynamixel.PresentPosition, 5000)
			b.SetFaults(Faults{Jam: true})
			b.write(dynamixel.GoalPosition, 0, 0)
			b.after(10 * time.Second)
			b.is(dynamixel.PresentCurrent, -150)
			b.is(dynamixel.HardwareErrorStatus, 0) // that is not all its force
		})
	})
}

func TestLoadOfAModelThatMeasuresNoCurrent(t *testing.T) {
	onBench(t, Config{Model: 1060, Faults: Faults{Jam: true}}, func(b *bench) {
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalPosition, 3000, 0)
		b.after(time.Second)
		b.is(dynamixel.PresentCurrent, 1000)
	})
}

// A look every 20 ms, as the driver has it.
func BenchmarkLookDuringAMove(b *testing.B) { look(b, 4000, 20*time.Millisecond) }

func BenchmarkLookAtRest(b *testing.B) { look(b, 0, 20*time.Millisecond) }

// look turns to and fro between 0 and the goal, in virtual time.
func look(b *testing.B, goal int32, every time.Duration) {
	s := New(Config{})
	now := s.clock
	s.setTorque(true, now)
	s.set(dynamixel.ProfileVelocity, 50)
	for b.Loop() {
		now = now.Add(every)
		if goal != 0 && !s.path.ongoing(now) {
			s.apply(dynamixel.GoalPosition, goal-s.get(dynamixel.GoalPosition), now)
		}
		s.advance(now)
	}
}

// A profile that begins in the moment of a control period is not taken for rest, though its velocity is 0 there.
func TestProfileThatBeginsWithAPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		s.setTorque(true, s.clock)
		s.set(dynamixel.ProfileVelocity, 50)
		s.set(dynamixel.ProfileAcceleration, 10)
		s.apply(dynamixel.GoalPosition, 1000, s.clock.Add(period))
		s.advance(s.clock.Add(time.Second))
		if s.velocity < 700 { // steps/s
			t.Errorf("after a second at %v", s.horn)
		}
	})
}

// Nothing is computed while nothing happens: a year costs as much as a moment.
func TestRestCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		s.setTorque(true, time.Now())
		time.Sleep(365 * 24 * time.Hour)
		if n := testing.AllocsPerRun(1, func() { s.Register(dynamixel.PresentPosition) }); n > 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
