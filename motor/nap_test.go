package motor_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// onIdleRig runs a test with a driver that closes its port after 30 s, and has done so.
func onIdleRig(t *testing.T, test func(*testing.T, *rig)) {
	t.Helper()
	onRig(t, simulator.Config{Angle: 40}, func(t *testing.T, r *rig) {
		r.config.IdleTimeout = 30 * time.Second
		r.connect()
		r.await("idle", idle)
		if !r.lastPort().closed.Load() {
			t.Error("the port is open")
		}
		test(t, r)
	})
}

func idle(s device.MotorStatus) bool { return s.Connection == device.Napping }

func (r *rig) lastPort() *port {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ports[len(r.ports)-1]
}

func TestPortIsClosedForWantOfWork(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.config.IdleTimeout = 30 * time.Second
		r.connect()
		time.Sleep(20 * time.Second)
		r.moveTo(350) // takes 5 s, and the time begins anew with its end
		began := time.Now()
		time.Sleep(29 * time.Second)
		if r.lastPort().closed.Load() {
			t.Error("the port was closed early")
		}
		r.await("idle", idle)
		if after := time.Since(began); after < 30*time.Second || after > 61*time.Second {
			t.Errorf("the port was closed after %v", after)
		}
		before := r.count()
		time.Sleep(10 * time.Minute)
		if heard := r.since(before); len(heard) > 0 {
			t.Errorf("the servo heard %d instructions", len(heard))
		}
		s := r.motor.Status()
		if !s.Torque || s.Reading == nil || s.Reading.Angle.From(350) > 0.5 || s.Problem != "" {
			t.Errorf("the status is %+v", s)
		}
		r.isHeldInPlace()
	})
}

func TestPortIsOpenedForWhatComes(t *testing.T) {
	for name, work := range map[string]func(t *testing.T, r *rig){
		"move": func(_ *testing.T, r *rig) { r.moveTo(90) },
		"refresh": func(t *testing.T, r *rig) {
			if err := r.motor.Refresh(t.Context()); err != nil {
				t.Error(err)
			}
			if at := r.motor.Status().Reading.At; time.Since(at) > time.Second {
				t.Errorf("the reading is from %v", at)
			}
		},
		"speed": func(t *testing.T, r *rig) {
			if err := r.motor.SetSpeed(t.Context(), 77); err != nil {
				t.Error(err)
			}
			r.holds(dynamixel.ProfileVelocity, 77)
		},
		"reboot": func(t *testing.T, r *rig) {
			if err := r.motor.Reboot(t.Context(), time.Second, true); err != nil {
				t.Error(err)
			}
		},
		"two at once": func(_ *testing.T, r *rig) {
			done := r.begin(r.t.Context(), 100)
			if err := r.motor.Refresh(r.t.Context()); err != nil {
				r.t.Error(err)
			}
			if o := <-done; o.err != nil {
				r.t.Error(o.err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			onIdleRig(t, func(t *testing.T, r *rig) {
				began := time.Now()
				opened := len(r.attempts())
				work(t, r)
				if n := len(r.attempts()) - opened; n != 1 {
					t.Errorf("the port was opened %d times", n)
				}
				if c := r.motor.Status().Connection; c != device.Connected {
					t.Errorf("the motor is %s", c)
				}
				r.isHeldInPlace()
				r.await("idle again", idle)
				if after := time.Since(began); after < 30*time.Second {
					t.Errorf("it was closed again after %v", after)
				}
			})
		})
	}
}

func TestStopOpensThePort(t *testing.T) {
	onIdleRig(t, func(t *testing.T, r *rig) {
		began, before := time.Now(), r.count()
		press := r.press()
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		r.holds(dynamixel.TorqueEnable, 0)
		if first := r.since(before)[0]; !first.writes(dynamixel.TorqueEnable, 0) {
			t.Errorf("the servo heard %+v first", first.Packet)
		}
		r.await("idle again", idle) // the stop is held over that, and over what opens the port
		if err := r.motor.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		r.holds(dynamixel.TorqueEnable, 0)
		r.await("idle again", idle)
		r.reset(press.Number)
		r.moveTo(90)
	})
}

func TestReleaseOpensThePortToSwitchTorqueOff(t *testing.T) {
	onIdleRig(t, func(t *testing.T, r *rig) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := r.motor.Release(ctx); err != nil {
			t.Error(err)
		}
		r.holds(dynamixel.TorqueEnable, 0)
		if c := r.motor.Status().Connection; c != device.Released || !r.lastPort().closed.Load() {
			t.Errorf("the motor is %s", c)
		}
		if err := r.motor.Connect(ctx, device.Line{}); err != nil {
			t.Error(err)
		}
		r.moveTo(90)
	})
}

func TestServoThatIsGoneWhenThePortIsNeeded(t *testing.T) {
	onIdleRig(t, func(t *testing.T, r *rig) {
		r.unplug()
		began := time.Now()
		o := <-r.begin(t.Context(), 90)
		failed(t, o.err, device.CodeMotorDisconnected)
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		failed(t, r.answer(r.motor.Stop()), device.CodeMotorDisconnected)
		r.plug()
		r.await("connected", connected)
		r.holds(dynamixel.TorqueEnable, 0)
	})
}

func TestStopThatFindsTheServoGone(t *testing.T) {
	onIdleRig(t, func(t *testing.T, r *rig) {
		r.unplug()
		failed(t, r.answer(r.motor.Stop()), device.CodeMotorDisconnected)
		r.plug()
		r.await("connected", connected)
		r.holds(dynamixel.TorqueEnable, 0)
	})
}

func TestMoveThatIsCancelledBeforeThePortIsOpen(t *testing.T) {
	onIdleRig(t, func(t *testing.T, r *rig) {
		ctx, cancel := context.WithCancel(t.Context())
		done := r.begin(ctx, 90)
		synctest.Wait()
		cancel()
		if o := <-done; o.err == nil {
			t.Error("it has arrived")
		}
		r.await("connected", connected)
		r.holds(dynamixel.PresentPosition, 455)
	})
}

func TestRunEndsInANap(t *testing.T) {
	onIdleRig(t, func(t *testing.T, r *rig) {
		r.end() // the rig checks that it does
		synctest.Wait()
		if c := r.motor.Status().Connection; c != device.Disconnected {
			t.Errorf("the motor is %s", c)
		}
	})
}

// A servo whose settings have not been given back to it keeps its port, as opening it would do that.
func TestRebootWithoutTheSettingsKeepsThePort(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.config.IdleTimeout = 30 * time.Second
		r.connect()
		if err := r.motor.Reboot(t.Context(), time.Second, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		r.holds(dynamixel.TorqueEnable, 0)
		if c := r.motor.Status().Connection; c != device.Connected {
			t.Errorf("the motor is %s", c)
		}
	})
}

func TestConnectOpensThePort(t *testing.T) {
	onIdleRig(t, func(t *testing.T, r *rig) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := r.motor.Connect(ctx, device.Line{}); err != nil {
			t.Error(err)
		}
		if c := r.motor.Status().Connection; c != device.Connected {
			t.Errorf("the motor is %s", c)
		}
	})
}
