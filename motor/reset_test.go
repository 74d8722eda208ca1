package motor_test

import (
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

func TestResetHoldsTheCarouselWhereItStands(t *testing.T) {
	for _, turned := range []float64{0, 1, -1, 100, -100, 3*360 + 37, -5*360 - 200} {
		onRig(t, simulator.Config{Angle: 30}, func(t *testing.T, r *rig) {
			r.connect()
			r.moveTo(40)
			p := r.press()
			r.servo.Turn(turned)
			r.settle()
			stands := fold(r.servo.Register(dynamixel.PresentPosition))
			r.reset(p.Number)
			r.isHeldInPlace()
			time.Sleep(5 * time.Second)
			r.holds(dynamixel.PresentPosition, stands)
			if !r.motor.Status().Torque {
				t.Error("the status says that torque is off")
			}
			r.moveTo(200)
		})
	}
}

func TestResetOfAnOldPressReleasesNothing(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		first := r.press()
		second := r.press()
		before := r.count()
		failed(t, r.motor.Reset(t.Context(), first.Number), device.CodeEmergencyStopped)
		_, err := r.motor.MoveTo(t.Context(), plain(90))
		failed(t, err, device.CodeEmergencyStopped)
		if m := r.motionAfter(before); len(m) > 0 {
			t.Error(m)
		}
		r.holds(dynamixel.TorqueEnable, 0)
		r.reset(second.Number)
		r.moveTo(90)
		r.motor.Reset(t.Context(), first.Number) // takes nothing back either
		r.moveTo(80)
	})
}

func TestResetWithoutAStopKeepsTheTorque(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		before := r.count()
		r.reset(0)
		for _, i := range r.since(before) {
			if i.Instruction != dynamixel.Read {
				t.Errorf("%+v for nothing", i.Packet)
			}
		}
		r.moveTo(20)
	})
}

// A press in the middle of each transaction of a reset: it wins.
func TestStopAtEveryInstructionOfAReset(t *testing.T) {
	atEveryInstruction(t, func(t *testing.T, n int, end func()) {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.connect()
			first := r.press()
			r.servo.Turn(50)
			begun := r.count()
			var second device.Press
			r.onInstruction(func(i int, _ instruction) {
				if i == begun+n {
					second = r.motor.Stop()
				}
			})
			err := r.motor.Reset(t.Context(), first.Number)
			if second.Number == 0 {
				end()
				if err != nil {
					t.Errorf("Reset: %v", err)
				}
				return
			}
			failed(t, err, device.CodeEmergencyStopped)
			if err := r.answer(second); err != nil {
				t.Errorf("stop: %v", err)
			}
			if next := r.since(begun + n + 1); len(next) == 0 || !next[0].writes(dynamixel.TorqueEnable, 0) {
				t.Errorf("it is not followed by torque off: %+v", next)
			}
			time.Sleep(15 * time.Second)
			for _, m := range r.motionAfter(begun + n + 1) {
				t.Error(m)
			}
			r.holds(dynamixel.TorqueEnable, 0)
			if r.motor.Status().Torque {
				t.Error("the status says that torque is on")
			}
			failed(t, r.motor.Reset(t.Context(), first.Number), device.CodeEmergencyStopped)
			r.reset(second.Number)
			r.isHeldInPlace()
		})
	})
}

func TestResetThatTheServoRefusesReleasesNothing(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		p := r.press()
		r.servo.Fail(dynamixel.OverheatingError)
		failed(t, r.motor.Reset(t.Context(), p.Number), device.CodeMotorFault)
		r.servo.PowerCycle()
		time.Sleep(11 * time.Second)
		_, err := r.motor.MoveTo(t.Context(), plain(90))
		failed(t, err, device.CodeEmergencyStopped)
		r.holds(dynamixel.TorqueEnable, 0)
		r.reset(p.Number)
		r.isHeldInPlace()
	})
}

func TestResetWithoutAServoIsGoodForTheNext(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		p := r.press()
		r.unplug()
		r.await("disconnected", disconnected)
		failed(t, r.motor.Reset(t.Context(), p.Number-1), device.CodeEmergencyStopped)
		r.reset(p.Number)
		r.plug()
		r.await("connected", connected)
		r.isHeldInPlace()
		r.moveTo(90)
	})
}

// A reset that comes while the servo is being connected, after any of the transactions of that, gives
// it its torque: nothing else will.
func TestResetAtEveryInstructionOfConnecting(t *testing.T) {
	atEveryInstruction(t, func(t *testing.T, n int, end func()) {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.connect()
			p := r.press()
			r.unplug()
			r.await("disconnected", disconnected)
			begun := r.count()
			reset := make(chan error, 1)
			r.onInstruction(func(i int, _ instruction) {
				if i == begun+n {
					go func() { reset <- r.motor.Reset(t.Context(), p.Number) }()
				}
			})
			r.plug()
			r.await("connected", connected)
			if r.count() <= begun+n {
				end()
				return
			}
			err := <-reset
			time.Sleep(5 * time.Second)
			if status := r.motor.Status(); err == nil && !status.Torque {
				t.Errorf("the status is %+v", status)
			}
			if err != nil {
				t.Errorf("Reset: %v", err)
				return
			}
			r.isHeldInPlace()
		})
	})
}
