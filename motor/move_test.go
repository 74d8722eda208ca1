package motor_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// stepsPerSecond is the speed of a profile velocity of 50: 50 · 0.229 rpm of 4096 steps.
const stepsPerSecond = 50 * 0.229 * 4096 / 60

// lag is by how much the horn is late where its profile is: it takes an error to turn, of 900 / 128 of PWM
// for each step, and 885 of PWM to turn at 320 · 0.229 rpm.
const lag = 25150 * time.Microsecond

// seconds is a duration.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func TestMoveArrives(t *testing.T) {
	for _, goals := range [][]struct {
		goal device.Degrees
		step int32 // the position that the servo is to be sent to
	}{
		{{90, 1024}, {180, 2048}, {0, 0}},
		{{359.99, 4095}, {0, 0}, {359.99, 4095}}, // the whole turn back: never across 0°
		{{0, 0}},                                 // is there already
		{{19, 216}, {109, 1240}, {199, 2264}, {289, 3288}},
		{{0.04, 0}, {0.05, 1}, {359.9, 4095}},
	} {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.connect()
			for _, g := range goals {
				from, before := r.servo.Register(dynamixel.PresentPosition), r.count()
				o := r.moveTo(g.goal)
				if o.Stage != "position" {
					t.Errorf("MoveTo(%v): arrival %+v", g.goal, o.Arrival)
				}
				if s := r.motor.Status(); s.Reading.Angle != o.Angle || s.Reading.Moving || !s.Torque {
					t.Errorf("status after the move %+v", s)
				}
				r.settle()
				r.holds(dynamixel.PresentPosition, g.step)
				for _, i := range r.since(before) {
					if i.position < min(from, g.step) || i.position > max(from, g.step) {
						t.Fatalf("on the way from %d to %d it was at %d", from, g.step, i.position)
					}
				}
			}
		})
	}
}

func TestMoveBeginsWithItsGoal(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		time.Sleep(3 * time.Second)
		before, called := r.count(), time.Now()
		r.moveTo(90)
		first := r.since(before)[0]
		if !first.writes(dynamixel.GoalPosition, 1024) {
			t.Errorf("the first instruction is %+v", first.Packet)
		}
		onWire := 16 * 10 * time.Second / 57600
		if took := first.at.Sub(called); took > onWire+time.Millisecond {
			t.Errorf("the servo had it after %v; its bytes take %v", took, onWire)
		}
		all := r.since(before)
		if second := all[1]; !second.writes(dynamixel.BusWatchdog, 50) {
			t.Errorf("the second instruction is %+v, not the watchdog's second", second.Packet)
		}
		ends, samples := 0, 0
		for _, i := range all[2:] {
			switch {
			case i.writes(dynamixel.BusWatchdog, 0):
				ends++
			case i.samples():
				samples++
			default:
				t.Errorf("after them there was %+v", i.Packet)
			}
		}
		if ends != 1 {
			t.Errorf("the watchdog was ended %d times, not once", ends)
		}
		// Every 20 ms, and at the end for 0.3 s at the most as often as the wire allows.
		if most := int(time.Since(called)/(20*time.Millisecond)) + 300/9; samples > most {
			t.Errorf("the servo was looked at %d times, more than %d", samples, most)
		}
	})
}

func TestMoveEndsWithinASampleOfRest(t *testing.T) {
	for _, goal := range []device.Degrees{3, 45, 90, 91, 92, 200, 350} {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.connect()
			before := r.count()
			o := r.moveTo(goal)
			rest := r.since(before)[0].at.Add(seconds(float64(r.servo.Register(dynamixel.GoalPosition)) / stepsPerSecond))
			const settled = 65 * time.Millisecond // behind its profile
			const apart, sample, disarm = 11 * time.Millisecond, 10 * time.Millisecond, 5 * time.Millisecond
			if late := o.at.Sub(rest); late < 0 || late > settled+apart+sample+disarm {
				t.Errorf("MoveTo(%v) ended %v after the servo had come to rest", goal, late)
			}
		})
	}
}

func TestMoveIsSeenWhileItRuns(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		done := r.begin(t.Context(), 180)
		time.Sleep(time.Second)
		s := r.motor.Status()
		if !s.Reading.Moving || s.Reading.Angle < 60 || s.Reading.Angle > 70 || time.Since(s.Reading.At) > 30*time.Millisecond {
			t.Errorf("after a second at 68.7°/s: %+v", s)
		}
		<-done
	})
}

func TestMoveWithAcceleration(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.config.Acceleration = 2
		r.connect()
		r.holds(dynamixel.ProfileAcceleration, 2)
		r.moveTo(90)
	})
}

func TestCancelledMoveHaltsWhereItIs(t *testing.T) {
	because := errors.New("somebody said so")
	for name, acceleration := range map[string]int{"at once": 0, "braking": 5} {
		t.Run(name, func(t *testing.T) {
			onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
				r.config.Acceleration = acceleration
				r.connect()
				ctx, cancel := context.WithCancelCause(t.Context())
				done := r.begin(ctx, 300)
				time.Sleep(2 * time.Second)
				at := r.servo.Register(dynamixel.PresentPosition)
				cancel(because)
				o := <-done
				if o.err == nil || !errors.Is(o.err, because) {
					t.Errorf("error %v", o.err)
				}
				r.isHeldInPlace()
				// At an acceleration of 5 the servo brakes for 250 steps; some 10 ms pass until it is told to.
				if way := r.servo.Register(dynamixel.PresentPosition) - at; way < -20 || way > 290 {
					t.Errorf("it was at %d when it was cancelled and came to rest %d from there", at, way)
				}
				if r.motor.Status().Reading.Moving {
					t.Errorf("status %+v", r.motor.Status())
				}
				r.moveTo(10)
			})
		})
	}
}

func TestMoveCancelledBeforeItBegins(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		before := r.count()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if o := <-r.begin(ctx, 90); o.err == nil {
			t.Error("no error")
		}
		for _, i := range r.since(before) {
			if goal, ok := i.write(dynamixel.GoalPosition); ok && goal != 0 {
				t.Errorf("the goal %d was written", goal)
			}
		}
	})
}

func TestMoveCancelledWhileItsGoalIsNotAcknowledged(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		ctx, cancel := context.WithCancel(t.Context())
		r.once(func(i instruction) bool { return i.writes(dynamixel.GoalPosition, 2048) }, func() {
			r.servo.SetFaults(simulator.Faults{DropNext: 1}) // the servo goes, but its reply is lost
			cancel()
		})
		if o := <-r.begin(ctx, 180); o.err == nil {
			t.Error("no error")
		}
		r.isHeldInPlace()
		time.Sleep(5 * time.Second)
		if p := r.servo.Register(dynamixel.PresentPosition); p > 200 {
			t.Errorf("the carousel is at %d, although the move was cancelled when it began", p)
		}
	})
}

func TestJammedMoveStalls(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		done := r.begin(t.Context(), 90)
		time.Sleep(500 * time.Millisecond)
		r.servo.SetFaults(simulator.Faults{Jam: true})
		jammed := r.servo.Register(dynamixel.PresentPosition)
		o := <-done
		failed(t, o.err, device.CodeStalled)
		r.servo.SetFaults(simulator.Faults{})
		time.Sleep(5 * time.Second)
		r.holds(dynamixel.PresentPosition, jammed) // no surprise for whoever freed it
		r.isHeldInPlace()
		r.moveTo(90)
	})
}

func TestMoveTimesOut(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.config.Speed = 320
		r.config.MoveTimeout = time.Millisecond
		r.servo.SetFaults(simulator.Faults{Voltage: 4}) // with which it is three times as slow
		r.connect()
		time.Sleep(time.Second)
		before, called := r.count(), time.Now()
		o := <-r.begin(t.Context(), 350)
		failed(t, o.err, device.CodeTimeout)
		// Twice what 350° take at 320 · 0.229 rpm, and then the halt.
		if took := time.Since(called); took < seconds(2*350/439.7) || took > seconds(2*350/439.7+0.2) {
			t.Errorf("it took %v", took)
		}
		if goal, ok := r.since(before)[0].write(dynamixel.GoalPosition); !ok || goal != 3982 {
			t.Errorf("goal %d (%v)", goal, ok)
		}
		time.Sleep(time.Second)
		stopped := r.servo.Register(dynamixel.PresentPosition)
		time.Sleep(5 * time.Second)
		r.holds(dynamixel.PresentPosition, stopped)
		r.isHeldInPlace()
	})
}

func TestMoveTimeoutLeavesTimeForTheWay(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.config.MoveTimeout = time.Millisecond
		r.config.Acceleration = 1
		r.connect()
		r.moveTo(350)
		r.moveTo(2)
	})
}

func TestMoveThatFrictionEnds(t *testing.T) {
	for short, code := range map[device.Degrees]device.Code{2: "", 4: device.CodeStalled} {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.connect()
			done := r.begin(t.Context(), 90)
			time.Sleep(lag + seconds(float64((90-short)/360*4096/stepsPerSecond)))
			r.servo.SetFaults(simulator.Faults{Jam: true})
			o := <-done
			if code != "" {
				failed(t, o.err, code)
				return
			}
			if off := (90 - o.Angle) - short; o.err != nil || off < -0.5 || off > 0.5 {
				t.Errorf("it stood %v short of 90° and MoveTo returned %v, %v", short, o.Angle, o.err)
			}
		})
	}
}

func TestHardwareErrorEndsAMove(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		done := r.begin(t.Context(), 180)
		time.Sleep(time.Second)
		r.servo.Fail(dynamixel.OverloadError)
		at := time.Now()
		o := <-done
		failed(t, o.err, device.CodeMotorFault)
		if took := o.at.Sub(at); took > 100*time.Millisecond {
			t.Errorf("noticed after %v", took)
		}
		if !strings.Contains(o.err.Error(), "overload") {
			t.Errorf("error %q does not name it", o.err)
		}
		s := r.motor.Status()
		if diff := cmp.Diff([]string{"overload"}, s.HardwareError); diff != "" || s.Torque || s.Connection != device.Connected {
			t.Errorf("status %+v", s)
		}
		failed(t, r.motor.Reset(t.Context(), 0), device.CodeMotorFault)
		r.holds(dynamixel.TorqueEnable, 0)
	})
}

// An alert that comes with the answer to something else is looked into at once, and so is its end.
func TestAlertIsLookedIntoAtOnce(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		time.Sleep(time.Second)
		r.servo.Fail(dynamixel.OverheatingError)
		if err := r.motor.SetSpeed(t.Context(), 60); err != nil {
			t.Error(err)
		}
		before := r.count()
		time.Sleep(100 * time.Millisecond)
		if s := r.motor.Status(); len(s.HardwareError) != 1 || s.Torque {
			t.Errorf("the status is %+v", s)
		}
		if n := r.count() - before; n > 4 {
			t.Errorf("%d instructions for one alert", n)
		}
	})
}

func TestHardwareErrorAtRest(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		r.servo.Fail(dynamixel.ElectricalShockError)
		r.await("shocked", func(s device.MotorStatus) bool { return len(s.HardwareError) == 1 })
		if s := r.motor.Status(); s.HardwareError[0] != "electrical_shock" || s.Torque {
			t.Errorf("status %+v", s)
		}
	})
}

// An error that Shutdown(63) does not list leaves the servo in operation, as the input voltage does in
// the factory's setting.
func TestHardwareErrorThatSwitchesNothingOff(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		done := r.begin(t.Context(), 90)
		time.Sleep(500 * time.Millisecond)
		r.servo.Fail(dynamixel.InputVoltageError)
		if o := <-done; o.err != nil {
			t.Errorf("the servo works on, but the move ends with %v", o.err)
		}
		r.holds(dynamixel.TorqueEnable, 1)
		if s := r.motor.Status(); !s.Torque || len(s.HardwareError) != 0 {
			t.Errorf("status %+v", s)
		}
	})
}

func TestMoveWithoutAServo(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.unplug()
		r.run()
		called := time.Now()
		_, err := r.motor.MoveTo(t.Context(), plain(90))
		failed(t, err, device.CodeMotorDisconnected)
		if took := time.Since(called); took != 0 {
			t.Errorf("it took %v to say so", took)
		}
	})
}

func TestSpeedReachesARunningMove(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		began := time.Now()
		done := r.begin(t.Context(), 300)
		time.Sleep(time.Second) // at 68.7° a second
		if err := r.motor.SetSpeed(t.Context(), 100); err != nil {
			t.Error(err)
		}
		o := <-done
		if off := o.Angle.From(300); o.err != nil || off < -0.5 || off > 0.5 {
			t.Errorf("it ended at %v, %v", o.Angle, o.err)
		}
		slow, fast := 68.7, 137.4
		want := seconds(1 + (300-slow)/fast)
		if took := o.at.Sub(began); took < want-50*time.Millisecond || took > want+300*time.Millisecond {
			t.Errorf("it took %v, want about %v", took, want)
		}
	})
}

func TestSpeedAtRestMovesNothing(t *testing.T) {
	onRig(t, simulator.Config{Angle: 40}, func(t *testing.T, r *rig) {
		r.connect()
		r.moveTo(90)
		before := r.count()
		if err := r.motor.SetSpeed(t.Context(), 100); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		for _, i := range r.since(before) {
			if goal, ok := i.write(dynamixel.GoalPosition); ok {
				t.Errorf("the goal was set to %d", goal)
			}
		}
	})
}

// What is in the way is noticed while the profile runs on.
func TestJamIsNoticedBeforeTheProfileEnds(t *testing.T) {
	for speed, most := range map[int]time.Duration{5: 1500 * time.Millisecond, 50: 700 * time.Millisecond, 320: 700 * time.Millisecond} {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.config.Speed = speed
			r.connect()
			r.servo.SetFaults(simulator.Faults{Jam: true})
			began := time.Now()
			o := <-r.begin(t.Context(), 350)
			failed(t, o.err, device.CodeStalled)
			if took := time.Since(began); took > most {
				t.Errorf("at a speed of %d it took %v", speed, took)
			}
			r.servo.SetFaults(simulator.Faults{})
			time.Sleep(time.Second)
			if at := r.servo.Register(dynamixel.PresentPosition); at > 6 {
				t.Errorf("freed, it went on to %d", at)
			}
		})
	}
}

func TestSpeedAboveTheServosLimitLeavesTimeForTheWay(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.prepare(setting{dynamixel.VelocityLimit, 8})
		r.connect()
		r.moveTo(350)
	})
}

func TestLowerSpeedLeavesTimeForTheWay(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		done := r.begin(t.Context(), 300)
		time.Sleep(100 * time.Millisecond)
		if err := r.motor.SetSpeed(t.Context(), 5); err != nil {
			t.Error(err)
		}
		if o := <-done; o.err != nil {
			t.Error(o.err)
		}
	})
}

func TestCancelledMoveWaitsForItsLongWayToRest(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.config.Acceleration = 1
		r.connect()
		ctx, cancel := context.WithCancel(t.Context())
		done := r.begin(ctx, 300)
		time.Sleep(3500 * time.Millisecond)
		cancel()
		<-done
		r.holds(dynamixel.Moving, 0)
		r.holds(dynamixel.BusWatchdog, 0)
		if r.motor.Status().Reading.Moving {
			t.Error("the status says that it moves")
		}
	})
}
