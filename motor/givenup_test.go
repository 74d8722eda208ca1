package motor_test

import (
	"context"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// A reset that ends early leaves no torque behind a stop that is held, and the next one is a whole one.
func TestResetThatIsGivenUpAtAnyInstruction(t *testing.T) {
	atEveryInstruction(t, func(t *testing.T, n int, end func()) {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.connect()
			p := r.press()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			begun, hit := r.count(), false
			r.onInstruction(func(i int, _ instruction) {
				if i == begun+n {
					hit = true
					cancel()
				}
			})
			err := r.motor.Reset(ctx, p.Number)
			r.unhook()
			if !hit {
				end()
				return
			}
			time.Sleep(time.Second)
			if err != nil && r.servo.Register(dynamixel.TorqueEnable) == 1 {
				t.Error("the stop is held, and torque is on")
			}
			r.reset(p.Number)
			r.holds(dynamixel.GoalPWM, 885)
			r.moveTo(90)
		})
	})
}

func TestRebootThatIsGivenUpAtAnyInstruction(t *testing.T) {
	atEveryInstruction(t, func(t *testing.T, n int, end func()) {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.connect()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			begun, hit := r.count(), false
			r.onInstruction(func(i int, _ instruction) {
				if i == begun+n {
					hit = true
					cancel()
				}
			})
			_ = r.motor.Reboot(ctx, 800*time.Millisecond, true)
			r.unhook()
			if !hit {
				end()
				return
			}
			time.Sleep(time.Minute)
			r.reset(0)
			r.holds(dynamixel.TorqueEnable, 1)
			r.holds(dynamixel.GoalPWM, 885)
			r.moveTo(90)
		})
	})
}

// Unwinding, once begun, goes on to its end: a cancelled move keeps its torque.
func TestMoveCancelledAtAnyInstructionOfUnwinding(t *testing.T) {
	atEveryInstruction(t, func(t *testing.T, n int, end func()) {
		onShortRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.connect()
			r.press()
			r.servo.Turn(100 * 360)
			r.reset(1)
			unwinding, left, hit := false, n, false
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r.onInstruction(func(_ int, i instruction) {
				unwinding = unwinding || i.writes(dynamixel.TorqueEnable, 0)
				if unwinding && left == 0 {
					hit = true
					cancel()
				}
				if unwinding {
					left--
				}
			})
			<-r.begin(ctx, 1)
			r.unhook()
			if !hit {
				end()
				return
			}
			time.Sleep(time.Second)
			r.holds(dynamixel.TorqueEnable, 1)
			r.holds(dynamixel.GoalPWM, 885)
			r.reset(1)
			r.moveTo(350)
		})
	})
}
