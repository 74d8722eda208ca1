package motor_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

func TestUnpluggedDuringAMove(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		done := r.begin(t.Context(), 180)
		time.Sleep(time.Second)
		r.unplug()
		pulled := time.Now()
		o := <-done
		failed(t, o.err, device.CodeMotorDisconnected)
		if took := o.at.Sub(pulled); took > 50*time.Millisecond {
			t.Errorf("noticed after %v", took)
		}
		r.await("disconnected", disconnected)
		if s := r.motor.Status(); s.Problem == "" || s.Reading.Moving {
			t.Errorf("status %+v", s)
		}
		r.plug()
		r.await("connected", connected)
		if s := r.motor.Status(); s.Problem != "" {
			t.Errorf("status %+v", s)
		}
		r.moveTo(90)
	})
}

// The servo hears everything and says nothing, as with a broken receive line.
func TestMuteServoIsLostAfterThreeTransactions(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		done := r.begin(t.Context(), 350)
		time.Sleep(time.Second)
		before := r.count()
		r.servo.SetFaults(simulator.Faults{Mute: true})
		failed(t, (<-done).err, device.CodeMotorDisconnected)
		r.await("disconnected", disconnected)
		unanswered := 0
		for _, i := range r.since(before) {
			if i.connection == 1 {
				unanswered++
			}
		}
		if unanswered != 3 {
			t.Errorf("%d unanswered transactions", unanswered)
		}
		time.Sleep(10 * time.Second)
		r.servo.PowerCycle() // and forgets its profile
		time.Sleep(time.Second)
		r.servo.SetFaults(simulator.Faults{})
		r.await("connected", connected)
		r.holds(dynamixel.ProfileVelocity, 50)
		r.isHeldInPlace()
		r.moveTo(90)
	})
}

func TestReconnectedServoHaltsAndIsSetUp(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.config.Acceleration = 20
		r.connect()
		done := r.begin(t.Context(), 350)
		time.Sleep(time.Second)
		r.unplug()
		<-done
		r.plug()
		r.await("connected", connected)
		time.Sleep(time.Second)
		r.isHeldInPlace()
		if p := r.servo.Register(dynamixel.PresentPosition); p > 2000 {
			t.Errorf("it went on to %d", p)
		}
		angle := device.Degrees(r.servo.Register(dynamixel.PresentPosition)) * 360 / 4096
		// The driver looks until the servo says that it does not move, which is some steps before it has settled.
		if s := r.motor.Status(); s.Reading.Moving || math.Abs(float64(s.Reading.Angle.From(angle))) > 0.5 {
			t.Errorf("it stands at %v, and the status is %+v", angle, s)
		}
		r.holds(dynamixel.ProfileVelocity, 50)
		r.holds(dynamixel.ProfileAcceleration, 20)
	})
}

// A short loss of the servo's power between two readings leaves the serial port as it was; the servo
// is without torque and profile then, and so would turn at full speed.
func TestPowerLossBetweenTwoReadings(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		time.Sleep(2 * time.Second)
		r.servo.PowerCycle()
		time.Sleep(15 * time.Second)
		if s := r.motor.Status(); s.Torque != (r.servo.Register(dynamixel.TorqueEnable) == 1) {
			t.Errorf("the status says torque %v and the servo %v", s.Torque, !s.Torque)
		}
		r.await("connected", connected)
		if !r.motor.Status().Torque {
			r.reset(0)
		}
		r.isHeldInPlace()
		r.holds(dynamixel.ProfileVelocity, 50)
		r.moveTo(90)
	})
}

// So does a power cycle while torque is off, which is also what clears an overload. Whenever torque
// comes on again, the profile is to be there.
func TestPowerCycleWithoutTorque(t *testing.T) {
	for name, switchOff := range map[string]func(*rig) uint64{
		"stopped": func(r *rig) uint64 { return r.press().Number },
		"overloaded": func(r *rig) uint64 {
			r.servo.Fail(dynamixel.OverloadError)
			r.await("overloaded", func(s device.MotorStatus) bool { return len(s.HardwareError) == 1 })
			return 0
		},
	} {
		for _, wait := range []time.Duration{time.Second, 15 * time.Second} {
			t.Run(fmt.Sprint(name, ", reset after ", wait), func(t *testing.T) {
				onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
					r.connect()
					press := switchOff(r)
					r.servo.PowerCycle()
					time.Sleep(wait)
					r.await("connected", connected)
					r.reset(press)
					r.isHeldInPlace()
					r.holds(dynamixel.ProfileVelocity, 50)
					began := time.Now()
					r.moveTo(90)
					if took := time.Since(began); took < seconds(1024/stepsPerSecond) {
						t.Errorf("it turned by 90° in %v", took)
					}
				})
			})
		}
	}
}

func TestPortThatAppears(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.unplug()
		if s := motor.New(r.config).Status(); s.Connection != device.Connecting || s.Contacted {
			t.Errorf("at first the status is %+v", s)
		}
		r.run()
		r.await("disconnected", disconnected)
		if s := r.motor.Status(); s.Problem != errNoCable.Error() || !s.Contacted || s.Reading != nil {
			t.Errorf("status %+v", s)
		}
		time.Sleep(time.Minute)
		r.plug()
		plugged := time.Now()
		r.await("connected", connected)
		if took := time.Since(plugged); took > 2500*time.Millisecond {
			t.Errorf("connected %v after the port appeared", took)
		}
		r.isHeldInPlace()
	})
}

func TestAttemptsAreTwoSecondsApartAtMost(t *testing.T) {
	for name, setUp := range map[string]func(*rig){
		"no port":  func(r *rig) { r.unplug() },
		"no servo": func(r *rig) { r.servo.SetFaults(simulator.Faults{Mute: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
				setUp(r)
				r.run()
				time.Sleep(10 * time.Minute)
				attempts := r.attempts()
				if n := len(attempts); n < 200 || n > 310 {
					t.Errorf("%d attempts in ten minutes", n)
				}
				for n, at := range attempts[1:] {
					if pause := at.Sub(attempts[n]); pause < 100*time.Millisecond || pause > 2500*time.Millisecond {
						t.Fatalf("%v from attempt %d to the next", pause, n+1)
					}
				}
				if lines := r.log.lines(); len(lines) != 1 {
					t.Errorf("logged %q", lines)
				}
			})
		})
	}
}

func TestBackoffBeginsAnewAfterAConnection(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.unplug()
		r.run()
		time.Sleep(time.Minute)
		r.plug()
		r.await("connected", connected)
		r.unplug()
		r.await("disconnected", disconnected)
		lost := time.Now()
		r.plug()
		r.await("connected", connected)
		if took := time.Since(lost); took > 300*time.Millisecond {
			t.Errorf("connected again after %v", took)
		}
	})
}

func TestEveryOutageIsLoggedOnce(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		for n := range 3 {
			r.unplug()
			time.Sleep(time.Minute)
			r.plug()
			r.await("connected", connected)
			// The loss, and what then is in the way of a new connection.
			if lines := r.log.lines(); len(lines) != 2*(n+1) || !strings.Contains(lines[2*n+1], errNoCable.Error()) {
				t.Fatalf("after outage %d: %q", n+1, lines)
			}
		}
	})
}

func TestStopWhileDisconnected(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.prepare(setting{dynamixel.ProfileVelocity, 50}, setting{dynamixel.TorqueEnable, 1}, setting{dynamixel.GoalPosition, 4000})
		r.unplug()
		r.run()
		r.await("disconnected", disconnected)
		pressed := time.Now()
		p := r.motor.Stop()
		failed(t, r.answer(p), device.CodeMotorDisconnected)
		if took := time.Since(pressed); took != 0 {
			t.Errorf("answered after %v", took)
		}
		r.plug()
		r.await("connected", connected)
		r.staysOff(0)
		r.reset(p.Number)
		r.isHeldInPlace()
	})
}

// staysOff checks that torque off was the first that the servo heard after the first n instructions,
// and that it got no torque since.
func (r *rig) staysOff(n int) {
	r.t.Helper()
	if first := r.since(n)[0]; !first.writes(dynamixel.TorqueEnable, 0) {
		r.t.Errorf("the first instruction is %+v", first.Packet)
	}
	time.Sleep(15 * time.Second)
	for _, m := range r.motionAfter(n) {
		r.t.Error(m)
	}
	r.holds(dynamixel.TorqueEnable, 0)
	if s := r.motor.Status(); s.Torque || s.Connection != device.Connected {
		r.t.Errorf("status %+v", s)
	}
}

func TestStopIsHeldAcrossReconnections(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		p := r.press()
		for range 3 {
			before := r.count()
			r.unplug()
			r.await("disconnected", disconnected)
			r.plug()
			r.await("connected", connected)
			r.staysOff(before)
		}
		r.reset(p.Number)
		r.isHeldInPlace()
	})
}

func TestStopAsTheServoIsLost(t *testing.T) {
	for name, lose := range map[string]func(*rig){
		"mute":      func(r *rig) { r.servo.SetFaults(simulator.Faults{Mute: true}) },
		"unplugged": (*rig).unplug,
	} {
		t.Run(name, func(t *testing.T) {
			onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
				r.connect()
				done := r.begin(t.Context(), 180)
				time.Sleep(time.Second)
				lose(r)
				pressed := time.Now()
				p := r.motor.Stop()
				failed(t, r.answer(p), device.CodeMotorDisconnected)
				if took := time.Since(pressed); took > 600*time.Millisecond {
					t.Errorf("answered after %v", took)
				}
				if o := <-done; o.err == nil {
					t.Error("the move has no error")
				}
				r.await("disconnected", disconnected)
				r.servo.SetFaults(simulator.Faults{})
				before := r.count()
				r.plug()
				r.await("connected", connected)
				r.staysOff(before)
				r.reset(p.Number)
				r.isHeldInPlace()
			})
		})
	}
}

func TestPressesDuringAnOutageAreAnsweredAtOnce(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.servo.SetFaults(simulator.Faults{Mute: true})
		r.run()
		for range 100 { // while the driver waits for a reply, or for its next attempt
			time.Sleep(17 * time.Millisecond)
			pressed := time.Now()
			failed(t, r.answer(r.motor.Stop()), device.CodeMotorDisconnected)
			if took := time.Since(pressed); took > 600*time.Millisecond {
				t.Errorf("answered after %v", took)
			}
		}
	})
}

// Who learns from a move that the servo is lost must not find it connected, or the next move would begin.
func TestStatusIsDisconnectedWhenALostMoveEnds(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		done := r.begin(t.Context(), 350)
		time.Sleep(time.Second)
		r.unplug()
		if o := <-done; o.err == nil {
			t.Error("the move has no error")
		}
		if s := r.motor.Status(); s.Connection != device.Disconnected || s.Problem == "" {
			t.Errorf("status %+v", s)
		}
	})
}

// The speed that the servo then has is ours, but its torque is off.
func TestPowerLossBeforeANewSpeed(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		time.Sleep(2 * time.Second)
		r.servo.PowerCycle()
		time.Sleep(2 * time.Second)
		if err := r.motor.SetSpeed(t.Context(), 60); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		r.holds(dynamixel.TorqueEnable, 1)
		r.moveTo(90)
	})
}

// A servo whose clock happens to go on as if nothing had been is found out by the next move.
func TestPowerLossThatTheClockDoesNotShow(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		time.Sleep(32768*time.Millisecond - 300*time.Millisecond)
		r.servo.PowerCycle()
		time.Sleep(2 * time.Minute)
		r.holds(dynamixel.TorqueEnable, 0)
		o := <-r.begin(t.Context(), 90)
		failed(t, o.err, device.CodeMotorDisconnected)
		if o.err != nil && !strings.Contains(o.err.Error(), "without power") {
			t.Error(o.err)
		}
		time.Sleep(time.Second)
		r.await("connected", connected)
		r.moveTo(90)
	})
}

func TestConnectingWithAStopToAServoThatSaysNothing(t *testing.T) {
	for _, level := range []int32{0, 1} {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.prepare(setting{dynamixel.StatusReturnLevel, level}, setting{dynamixel.TorqueEnable, 1})
			r.motor = motor.New(r.config)
			failed(t, r.answer(r.motor.Stop()), device.CodeMotorDisconnected)
			ctx, cancel := context.WithCancel(context.Background())
			r.end = cancel
			go func() { r.ended <- r.motor.Run(ctx) }()
			r.await("connected", connected)
			if first := r.instructions()[0]; !first.writes(dynamixel.TorqueEnable, 0) {
				t.Errorf("the first instruction is %+v", first.Packet)
			}
			r.holds(dynamixel.TorqueEnable, 0)
		})
	}
}
