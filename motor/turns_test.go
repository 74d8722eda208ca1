package motor_test

import (
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// onShortRig runs a test with a carousel that turns the short way round.
func onShortRig(t *testing.T, config simulator.Config, test func(*testing.T, *rig)) {
	t.Helper()
	onRig(t, config, func(t *testing.T, r *rig) {
		r.config.Shortest = true
		test(t, r)
	})
}

func TestTheShortWayRound(t *testing.T) {
	onShortRig(t, simulator.Config{Angle: 10}, func(t *testing.T, r *rig) {
		r.connect()
		r.holds(dynamixel.OperatingMode, dynamixel.ModeExtendedPosition)
		for _, c := range []struct {
			goal device.Degrees
			at   int32 // Present Position, steps
		}{
			{350, -114},  // 20° back over 0°
			{172, -2139}, // nearly half a turn
			{350, -114},
			{10, 114},
			{130, 1479},
			{250, 2844},
			{10, 4210}, // onward over 360°
			{10, 4210},
			{260, 2958},
		} {
			r.moveTo(c.goal)
			if at := r.servo.Register(dynamixel.PresentPosition); at < c.at-6 || at > c.at+6 {
				t.Errorf("%v is at %d, want %d", c.goal, at, c.at)
			}
		}
	})
}

func TestBoundedNeverTurnsOver0(t *testing.T) {
	onRig(t, simulator.Config{Angle: 10}, func(t *testing.T, r *rig) {
		r.connect()
		for _, goal := range []device.Degrees{350, 10, 359.96, 0, 359, 1} {
			r.moveTo(goal)
		}
		for _, i := range r.instructions() {
			if goal, ok := i.write(dynamixel.GoalPosition); ok && (goal < 0 || goal > 4095) {
				t.Errorf("a goal of %d", goal)
			}
		}
	})
}

// A servo counts its turns from 0 again when it has been rebooted or without power; where the carousel stands is
// known again after that, and the way is the short one.
func TestTurnsAfterARebootAndAReconnection(t *testing.T) {
	for name, interrupt := range map[string]func(r *rig){
		"reboot": func(r *rig) {
			if err := r.motor.Reboot(r.t.Context(), 800*time.Millisecond, true); err != nil {
				r.t.Error(err)
			}
		},
		"power":   func(r *rig) { r.servo.PowerCycle(); time.Sleep(15 * time.Second) },
		"cable":   func(r *rig) { r.unplug(); time.Sleep(15 * time.Second); r.plug(); r.await("connected", connected) },
		"nothing": func(r *rig) { time.Sleep(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			onShortRig(t, simulator.Config{Angle: 300}, func(t *testing.T, r *rig) {
				r.connect()
				for _, goal := range []device.Degrees{50, 170, 290, 50} { // more than a turn
					r.moveTo(goal)
				}
				interrupt(r)
				if at := r.motor.Status().Reading.Angle; at.From(50) < -0.5 || at.From(50) > 0.5 {
					t.Errorf("it is at %v, not at 50°", at)
				}
				before := r.servo.Register(dynamixel.PresentPosition)
				r.moveTo(350)
				if way := r.servo.Register(dynamixel.PresentPosition) - before; way < -690 || way > -675 {
					t.Errorf("it has turned by %d steps, not by the 682 of the short way", way)
				}
			})
		})
	}
}

func TestHandThatTurnsManyTurns(t *testing.T) {
	onShortRig(t, simulator.Config{Angle: 10}, func(t *testing.T, r *rig) {
		r.connect()
		press := r.press()
		r.servo.Turn(-3 * 360)
		r.reset(press.Number)
		r.holds(dynamixel.PresentPosition, 114-3*4096)
		r.holds(dynamixel.GoalPosition, 114-3*4096)
		r.moveTo(20)
		r.holds(dynamixel.PresentPosition, 228-3*4096)
	})
}

// Long before the register ends, at 256 turns, the servo counts anew; the carousel does not turn for that.
func TestTurnsAreUnwound(t *testing.T) {
	onShortRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		r.press()
		r.servo.Turn(99.9 * 360)
		r.reset(1)
		r.moveTo(350)
		if at := r.servo.Register(dynamixel.PresentPosition); at < 99*4096 {
			t.Fatalf("it counts from 0 at %d already", at)
		}
		r.moveTo(40)
		if at := r.servo.Register(dynamixel.PresentPosition); at < 449 || at > 461 {
			t.Errorf("it is at %d after its unwinding, want 455", at)
		}
		r.isHeldInPlace()
		r.holds(dynamixel.OperatingMode, dynamixel.ModeExtendedPosition)
		r.holds(dynamixel.ProfileVelocity, 50)
		r.moveTo(350)
		if at := r.servo.Register(dynamixel.PresentPosition); at > -100 {
			t.Errorf("it is at %d, not 50° back", at)
		}
	})
}

func TestStopAtEveryInstructionOfUnwinding(t *testing.T) {
	atEveryInstruction(t, func(t *testing.T, n int, end func()) {
		onShortRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.connect()
			r.press()
			r.servo.Turn(100 * 360)
			r.reset(1)
			unwinding := false
			left := n
			var press device.Press
			r.onInstruction(func(_ int, i instruction) {
				unwinding = unwinding || i.writes(dynamixel.TorqueEnable, 0)
				if unwinding && left == 0 {
					press = r.motor.Stop()
				}
				if unwinding {
					left--
				}
			})
			<-r.begin(t.Context(), 1)
			r.unhook()
			if press.Done == nil {
				end()
				return
			}
			if err := r.answer(press); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			r.holds(dynamixel.TorqueEnable, 0)
			r.reset(press.Number)
			r.holds(dynamixel.OperatingMode, dynamixel.ModeExtendedPosition)
			r.moveTo(350)
		})
	})
}

// The end of the register is never passed, wherever a hand has turned the carousel to.
func TestGoalsEndWithTheRegister(t *testing.T) {
	onShortRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		r.press()
		r.servo.Turn(255.9 * 360)
		r.reset(1)
		r.moveTo(20) // the short way would be onward
		for _, i := range r.instructions() {
			if goal, ok := i.write(dynamixel.GoalPosition); ok && (goal < -dynamixel.MaxPosition || goal > dynamixel.MaxPosition) {
				t.Errorf("a goal of %d", goal)
			}
		}
	})
}
