package motor_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// foreignStates are what another program may have left behind in the servo. Whatever it was, the
// servo is to be held where it is, in position mode, with our units and our profile.
var foreignStates = []struct {
	name     string
	settings []setting
	eeprom   int // how many EEPROM registers have to be written
}{
	{"as from the factory", nil, 0},
	{"an old goal", []setting{{dynamixel.GoalPosition, 3000}}, 0},
	{"torque on at rest", []setting{{dynamixel.GoalPosition, 512}, {dynamixel.TorqueEnable, 1}}, 0},
	{"torque on and moving", []setting{
		{dynamixel.ProfileVelocity, 20}, {dynamixel.TorqueEnable, 1}, {dynamixel.GoalPosition, 4000}}, 0},
	{"extended position mode", []setting{{dynamixel.OperatingMode, dynamixel.ModeExtendedPosition}}, 1},
	{"extended position mode, moving to another turn", []setting{
		{dynamixel.OperatingMode, dynamixel.ModeExtendedPosition}, {dynamixel.ProfileVelocity, 20},
		{dynamixel.TorqueEnable, 1}, {dynamixel.GoalPosition, -9000}}, 1},
	{"velocity mode with torque", []setting{
		{dynamixel.OperatingMode, dynamixel.ModeVelocity}, {dynamixel.TorqueEnable, 1}}, 1},
	{"PWM mode", []setting{{dynamixel.OperatingMode, dynamixel.ModePWM}}, 1},
	{"profile in milliseconds", []setting{
		{dynamixel.DriveMode, dynamixel.DriveModeTimeProfile}, {dynamixel.ProfileVelocity, 2000}}, 1},
	{"a goal switches torque on", []setting{{dynamixel.DriveMode, dynamixel.DriveModeTorqueByGoal}}, 1},
	{"torque comes on by itself and everything else", []setting{
		{dynamixel.StartupConfiguration, dynamixel.StartupTorqueOn | dynamixel.StartupRestoreRAM},
		{dynamixel.DriveMode, dynamixel.DriveModeTimeProfile | dynamixel.DriveModeTorqueByGoal},
		{dynamixel.OperatingMode, dynamixel.ModeCurrentBasedPosition}, {dynamixel.TorqueEnable, 1}}, 3},
	{"bus watchdog tripped", []setting{{dynamixel.TorqueEnable, 1}, {dynamixel.BusWatchdog, 5}}, 0},
	{"homing offset", []setting{{dynamixel.HomingOffset, -512}}, 1},
	{"writes are not answered", []setting{{dynamixel.StatusReturnLevel, 1}}, 0},
}

func TestConnectingTakesOverTheServo(t *testing.T) {
	for _, state := range foreignStates {
		t.Run(state.name, func(t *testing.T) {
			onRig(t, simulator.Config{Angle: 40}, func(t *testing.T, r *rig) {
				r.prepare(state.settings...)
				time.Sleep(200 * time.Millisecond)
				found := r.servo.Register(dynamixel.PresentPosition) - r.servo.Register(dynamixel.HomingOffset)
				r.run()
				time.Sleep(time.Second)
				status := r.motor.Status()
				if status.Connection != device.Connected || !status.Contacted || status.Reading == nil || !status.Torque || status.Speed != 50 {
					t.Fatalf("status %+v", status)
				}
				if attempts := len(r.attempts()); attempts != 1 {
					t.Errorf("%d attempts to connect", attempts)
				}
				r.isHeldInPlace()
				r.holds(dynamixel.OperatingMode, dynamixel.ModePosition)
				r.holds(dynamixel.DriveMode, 0)
				r.holds(dynamixel.StartupConfiguration, 0)
				r.holds(dynamixel.ProfileVelocity, 50)
				position := r.servo.Register(dynamixel.PresentPosition) - r.servo.Register(dynamixel.HomingOffset)
				// A servo that is found turning is halted by the first of the commands, some 100 ms later.
				if way := fold(position - found + 2048); way < 2048-100 || way > 2048+100 {
					t.Errorf("the carousel was at %d and is now at %d", found, position)
				}
				if n := eepromWrites(r.instructions()); n != state.eeprom {
					t.Errorf("%d EEPROM registers were written, want %d", n, state.eeprom)
				}
			})
		})
	}
}

func eepromWrites(heard []instruction) (n int) {
	for _, i := range heard {
		if i.Instruction == dynamixel.Write && i.Params[0] < 64 {
			n++
		}
	}
	return n
}

func TestConnectingKeepsTheDirectionOfRotation(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.prepare(setting{dynamixel.DriveMode, dynamixel.DriveModeReverse | dynamixel.DriveModeTimeProfile})
		r.connect()
		r.holds(dynamixel.DriveMode, dynamixel.DriveModeReverse)
		r.moveTo(90)
	})
}

func TestConnectingWritesTheEEPROMOnce(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.prepare(setting{dynamixel.DriveMode, 0x0C}, setting{dynamixel.OperatingMode, 16})
		r.connect()
		written := eepromWrites(r.instructions())
		for range 3 {
			r.unplug()
			r.await("disconnected", disconnected)
			r.plug()
			r.await("connected", connected)
		}
		if again := eepromWrites(r.instructions()) - written; again != 0 {
			t.Errorf("%d more writes on reconnection", again)
		}
	})
}

func TestConnectingTurnsAMovingServoNoFurther(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.prepare(setting{dynamixel.ProfileVelocity, 50}, setting{dynamixel.TorqueEnable, 1}, setting{dynamixel.GoalPosition, 4000})
		r.connect()
		for n, i := range r.instructions() {
			if i.writes(dynamixel.TorqueEnable, 0) {
				t.Errorf("instruction %d takes the torque away: the carousel would coast", n)
			}
			if goal, ok := i.write(dynamixel.GoalPosition); ok && (goal > i.position || goal < i.position-20) {
				t.Errorf("instruction %d sets the goal to %d at %d", n, goal, i.position)
			}
		}
		time.Sleep(time.Second)
		r.isHeldInPlace()
	})
}

func TestConnectingFoldsTheTurnsOfAHand(t *testing.T) {
	for _, turned := range []float64{-10, 355, 3*360 + 37, -7*360 - 90} {
		onRig(t, simulator.Config{Angle: 5}, func(t *testing.T, r *rig) {
			r.servo.Turn(turned)
			found := r.servo.Register(dynamixel.PresentPosition)
			r.connect()
			r.holds(dynamixel.PresentPosition, fold(found))
			r.isHeldInPlace()
			want := (5 + device.Degrees(turned)).Wrap()
			if off := r.motor.Status().Reading.Angle.From(want); off < -0.1 || off > 0.1 {
				t.Errorf("turned by %v: the angle is %v, want %v", turned, r.motor.Status().Reading.Angle, want)
			}
		})
	}
}

func TestConnectingToAnyModel(t *testing.T) {
	for _, model := range []int32{1020, 1060, 1220, 1240, 4711} {
		onRig(t, simulator.Config{Model: model, Firmware: 45}, func(t *testing.T, r *rig) {
			r.connect()
			r.isHeldInPlace()
		})
	}
}

func TestConnectingToAServoWithAHardwareError(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.servo.Fail(dynamixel.OverheatingError | dynamixel.OverloadError)
		r.connect()
		time.Sleep(30 * time.Second)
		status := r.motor.Status()
		if diff := cmp.Diff([]string{"overheating", "overload"}, status.HardwareError); diff != "" || status.Torque {
			t.Errorf("status %+v", status)
		}
		if slices.ContainsFunc(r.instructions(), func(i instruction) bool { return i.writes(dynamixel.TorqueEnable, 1) }) {
			t.Error("torque was switched on")
		}
		_, err := r.motor.MoveTo(t.Context(), plain(90))
		failed(t, err, device.CodeMotorFault)
	})
}

func TestConnectingLeavesAnotherServoAlone(t *testing.T) {
	onRig(t, simulator.Config{ID: new(byte(2))}, func(t *testing.T, r *rig) {
		r.run()
		r.await("disconnected", disconnected)
		if n := r.count(); n != 0 {
			t.Errorf("the other servo was given %d instructions", n)
		}
	})
}

// Position and health come in one read, and whether torque is still on in a second, small one.
func TestRestCostsLittle(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		before := r.count()
		time.Sleep(time.Minute + time.Second)
		samples, others := 0, 0
		for _, i := range r.since(before) {
			switch {
			case i.samples():
				samples++
			case i.reads(64, 1):
				others++
			default:
				t.Errorf("instruction %+v", i.Packet)
			}
		}
		if samples != 6 || others > 6 {
			t.Errorf("%d samples and %d other reads in a minute", samples, others)
		}
		if age := time.Since(r.motor.Status().Reading.At); age > 10*time.Second {
			t.Errorf("the status is %v old", age)
		}
	})
}

func TestHandIsSeenAtTheNextReading(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		r.press()
		r.servo.Turn(-90)
		time.Sleep(11 * time.Second)
		if angle := r.motor.Status().Reading.Angle; angle != 270 {
			t.Errorf("angle %v", angle)
		}
	})
}

// A move that is begun while the servo is being connected, after any of the transactions of that, is
// refused or carried out; it is not what torque comes on with (see finish).
func TestMoveAtEveryInstructionOfConnecting(t *testing.T) {
	atEveryInstruction(t, func(t *testing.T, n int, end func()) {
		onRig(t, simulator.Config{Angle: 20}, func(t *testing.T, r *rig) {
			done := make(chan outcome, 1)
			r.onInstruction(func(i int, _ instruction) {
				if i == n {
					go func() { done <- <-r.begin(context.Background(), 60) }()
				}
			})
			r.connect()
			if r.count() <= n {
				end()
				return
			}
			o := <-done
			if o.err != nil {
				failed(t, o.err, device.CodeMotorDisconnected)
			} else if o.Angle.From(60) > 0.5 || o.Angle.From(60) < -0.5 {
				t.Errorf("it arrived at %v", o.Angle)
			}
			time.Sleep(5 * time.Second)
			r.isHeldInPlace()
			if attempts := len(r.attempts()); attempts != 1 {
				t.Errorf("%d connections", attempts)
			}
		})
	})
}

// Somebody has limited the servo's range, and the carousel stands outside.
func TestConnectingToAServoOutsideItsLimits(t *testing.T) {
	onRig(t, simulator.Config{Angle: 300}, func(t *testing.T, r *rig) {
		r.prepare(setting{dynamixel.MaxPositionLimit, 2048})
		r.connect()
		r.holds(dynamixel.TorqueEnable, 0)
		if s := r.motor.Status(); s.Torque {
			t.Errorf("the status is %+v", s)
		}
		if lines := r.log.lines(); len(lines) != 1 || !strings.Contains(lines[0], "torque is switched off") {
			t.Errorf("the log is %q", lines)
		}
		r.servo.Turn(-200)
		r.reset(0)
		r.moveTo(90)
	})
}

func TestSpeedAboveTheLimitIsSaid(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.config.Speed = 500
		r.connect()
		if lines := r.log.lines(); len(lines) != 1 || !strings.Contains(lines[0], "speed=500 limit=320") {
			t.Errorf("the log is %q", lines)
		}
		r.holds(dynamixel.ProfileVelocity, 320)
		if speed := r.motor.Status().Speed; speed != 320 {
			t.Errorf("the speed is %d", speed)
		}
	})
}
