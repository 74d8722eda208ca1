package motor_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

func TestServoStopsByItselfWhenNothingIsHeard(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		before := r.count()
		done := r.begin(t.Context(), 300)
		time.Sleep(500 * time.Millisecond)
		if !r.since(before)[1].writes(dynamixel.BusWatchdog, 50) {
			t.Errorf("the goal was followed by %+v", r.since(before)[1].Packet)
		}
		r.unplug()
		<-done
		heard := r.instructions()
		time.Sleep(1500 * time.Millisecond)
		r.holds(dynamixel.BusWatchdog, -1)
		at := heard[len(heard)-1].position + 860 // in 1.1 s
		if now := r.servo.Register(dynamixel.PresentPosition); now > at {
			t.Errorf("it has turned to %d, further than %d", now, at)
		}
		time.Sleep(time.Second)
		r.holds(dynamixel.Moving, 0)

		r.plug() // and everything is as before
		r.await("connected", connected)
		r.holds(dynamixel.BusWatchdog, 0)
		r.moveTo(300)
		r.holds(dynamixel.BusWatchdog, 0)
	})
}

// A program that is frozen for longer than the watchdog waits finds its servo standing, and goes on.
func TestMoveGoesOnAfterItsServoHasStoppedByItself(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		freeze := &freezer{}
		r.wrapPort = func(p motor.Port) motor.Port { freeze.Port = p; return freeze }
		r.connect()
		done := r.begin(t.Context(), 300)
		time.Sleep(500 * time.Millisecond)
		freeze.long.Store(int64(3 * time.Second))
		time.Sleep(2 * time.Second)
		r.holds(dynamixel.BusWatchdog, -1)
		o := <-done
		if off := o.Angle.From(300); o.err != nil || off < -0.5 || off > 0.5 {
			t.Errorf("it ended at %v, %v", o.Angle, o.err)
		}
		r.holds(dynamixel.BusWatchdog, 0)
	})
}

// A freezer is a port that takes long, once.
type freezer struct {
	motor.Port
	long atomic.Int64 // ns
}

func (f *freezer) SetReadTimeout(timeout time.Duration) error {
	time.Sleep(time.Duration(f.long.Swap(0))) // between two instructions
	return f.Port.SetReadTimeout(timeout)
}

func TestTrippedServoAcceptsTheNextGoal(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		r.prepare(setting{dynamixel.BusWatchdog, 1})
		time.Sleep(time.Second)
		r.holds(dynamixel.BusWatchdog, -1)
		r.moveTo(90)
	})
}

func TestWatchdogThatIsOff(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.config.Watchdog = 0
		r.connect()
		r.begin(t.Context(), 300)
		time.Sleep(500 * time.Millisecond)
		r.unplug()
		time.Sleep(10 * time.Second)
		r.holds(dynamixel.PresentPosition, 3413) // it has gone on to its goal
	})
}

func TestWatchdogEndsWithEveryMove(t *testing.T) {
	for name, end := range map[string]func(r *rig, cancel context.CancelFunc){
		"cancelled": func(_ *rig, cancel context.CancelFunc) { cancel() },
		"stalled":   func(r *rig, _ context.CancelFunc) { r.servo.SetFaults(simulator.Faults{Jam: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
				r.connect()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := r.begin(ctx, 300)
				time.Sleep(500 * time.Millisecond)
				end(r, cancel)
				if o := <-done; o.err == nil {
					t.Error("it has arrived")
				}
				r.holds(dynamixel.BusWatchdog, 0)
			})
		})
	}
}

// A servo that stands where it will stay needs no watchdog any more: it is ended before the end of the move is seen, which
// does not have to wait for that.
func TestWatchdogEndsAtTheGoal(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		before := r.count()
		r.once(func(i instruction) bool { return i.writes(dynamixel.BusWatchdog, 0) }, func() {
			r.holds(dynamixel.PositionTrajectory, 1024)
			if off := r.servo.Register(dynamixel.PresentPosition) - 1024; off < -11 || off > 11 {
				t.Errorf("the carousel is %d steps away from its goal", off)
			}
		})
		r.moveTo(90)
		all := r.since(before)
		if last := all[len(all)-1]; !last.samples() {
			t.Errorf("the last instruction is %+v", last.Packet)
		}
		r.holds(dynamixel.BusWatchdog, 0)
	})
}

// A servo that pushes against something is watched to the end, though its profile has ended.
func TestWatchdogLastsWhileTheServoPushes(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		before := r.count()
		done := r.begin(t.Context(), 10)
		r.servo.SetFaults(simulator.Faults{Jam: true})
		failed(t, (<-done).err, device.CodeStalled)
		ended := false
		for _, i := range r.since(before)[1:] {
			ended = ended || i.writes(dynamixel.BusWatchdog, 0)
			if ended && i.addresses(dynamixel.GoalPosition) {
				t.Error("it was told to stop after the end of its watchdog")
			}
		}
		if !ended {
			t.Error("the watchdog has not been ended")
		}
		r.holds(dynamixel.PositionTrajectory, r.servo.Register(dynamixel.GoalPosition))
	})
}

// After a stop the servo may trip, as nobody looks at it for long; a reset ends that.
func TestStoppedMoveLeavesNoWatchdogToTheNext(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		done := r.begin(t.Context(), 300)
		time.Sleep(500 * time.Millisecond)
		press := r.press()
		failed(t, (<-done).err, device.CodeEmergencyStopped)
		r.reset(press.Number)
		time.Sleep(5 * time.Second)
		r.holds(dynamixel.BusWatchdog, 0)
		r.moveTo(200)
	})
}

// The XM430 has a bus watchdog from firmware 38 on.
func TestServoWithoutAWatchdog(t *testing.T) {
	onRig(t, simulator.Config{Model: 1020, Firmware: 37}, func(t *testing.T, r *rig) {
		r.connect()
		r.moveTo(90)
		if w := r.motor.Status().Warnings; len(w) != 1 || !strings.Contains(w[0], "firmware 37 has no bus watchdog") {
			t.Errorf("the warnings are %q", w)
		}
	})
	onRig(t, simulator.Config{Model: 1020, Firmware: 37}, func(t *testing.T, r *rig) {
		r.config.Watchdog = 0 // that is as its owner wants it
		r.connect()
		if w := r.motor.Status().Warnings; len(w) > 0 {
			t.Errorf("the warnings are %q", w)
		}
	})
}

func TestServoThatHasStoppedByItselfInAPulse(t *testing.T) {
	onRough(t, 2.3, 1, func(t *testing.T, r *rig) {
		r.end() // begin anew, with a port that can freeze
		<-r.ended
		freeze := &freezer{}
		r.wrapPort = func(p motor.Port) motor.Port { freeze.Port = p; return freeze }
		r.connect()
		r.once(func(i instruction) bool { return i.writes(dynamixel.PositionPGain, 900) }, func() { freeze.long.Store(int64(3 * time.Second)) })
		arrival, err := r.motor.MoveTo(t.Context(), precise(90))
		if off := arrival.Angle.From(90); err != nil || off < -0.5 || off > 0.5 {
			t.Errorf("it ended at %v, %v", arrival.Angle, err)
		}
		r.holds(dynamixel.PositionPGain, 900)
		r.holds(dynamixel.GoalPWM, 885)
		r.holds(dynamixel.BusWatchdog, 0)
	})
}

func TestCancelledMoveOfAServoThatHasStoppedByItself(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		freeze := &freezer{}
		r.wrapPort = func(p motor.Port) motor.Port { freeze.Port = p; return freeze }
		r.connect()
		ctx, cancel := context.WithCancel(t.Context())
		done := r.begin(ctx, 300)
		time.Sleep(500 * time.Millisecond)
		freeze.long.Store(int64(3 * time.Second))
		time.Sleep(2 * time.Second)
		cancel()
		if o := <-done; o.err == nil {
			t.Error("it has arrived")
		}
		r.holds(dynamixel.BusWatchdog, 0)
		r.isHeldInPlace()
		r.moveTo(90)
	})
}

// With the watchdog off, a servo is not left to itself while it is being pushed.
func TestPulsesArmTheWatchdogInAnyCase(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.config.Watchdog = 0
		r.servo.SetFaults(simulator.Faults{Friction: 2.3})
		r.connect()
		r.once(func(i instruction) bool { return i.writes(dynamixel.PositionPGain, 16383) }, func() { r.holds(dynamixel.BusWatchdog, 20) })
		r.push(90)
		r.holds(dynamixel.BusWatchdog, 0)
	})
}
