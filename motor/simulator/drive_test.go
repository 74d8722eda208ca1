package simulator

import (
	"math"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

func TestTorqueComingOnDrivesToTheOldGoal(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.is(dynamixel.MovingStatus, 0) // without torque it is nowhere in position
		b.write(dynamixel.GoalPosition, 1024, 0)
		time.Sleep(time.Second)
		b.read(dynamixel.PresentPosition, 0) // the goal alone does not move it
		b.write(dynamixel.TorqueEnable, 1, 0)
		time.Sleep(time.Second)
		b.read(dynamixel.PresentPosition, 1024)
	})
}

func TestTorqueGoingOffStopsTheHorn(t *testing.T) {
	for name, off := range map[string]func(*bench){
		"write":    func(b *bench) { b.write(dynamixel.TorqueEnable, 0, 0) },
		"overload": func(b *bench) { b.Fail(dynamixel.OverloadError) },
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, Config{}, func(b *bench) {
				b.write(dynamixel.TorqueEnable, 1, 0)
				b.write(dynamixel.ProfileVelocity, 50, 0)
				b.write(dynamixel.GoalPosition, 4000, 0)
				time.Sleep(time.Second)
				off(b)
				when := b.Register(dynamixel.PresentPosition)
				if when < 700 || when > 900 { // 781.7 steps a second
					t.Errorf("it was at %d", when)
				}
				time.Sleep(50 * time.Millisecond)
				stopped := b.Register(dynamixel.PresentPosition)
				if coasted := stopped - when; coasted < 1 || coasted > 6 { // 781.7 steps/s · 6 ms
					t.Errorf("it coasted %d steps", coasted)
				}
				time.Sleep(time.Second)
				b.is(dynamixel.PresentPosition, stopped)
				b.is(dynamixel.Moving, 0)
				b.is(dynamixel.MovingStatus, 0)
				b.is(dynamixel.PresentVelocity, 0)
				b.is(dynamixel.PresentCurrent, 0)
			})
		})
	}
}

func TestHandTurnsTheHorn(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.Turn(-90)
		b.read(dynamixel.PresentPosition, -1024)
		b.Turn(3 * 360)
		b.read(dynamixel.PresentPosition, 3*4096-1024) // several turns, in position mode too
		b.write(dynamixel.GoalPosition, 3072, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.read(dynamixel.PresentPosition, 3072) // one turn
		b.Turn(10)
		b.read(dynamixel.PresentPosition, 3072) // held
	})
}

func TestExtendedModeKeepsTheTurns(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.OperatingMode, 4, 0)
		b.Turn(-2 * 360)
		b.write(dynamixel.GoalPosition, -8192, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.read(dynamixel.PresentPosition, -8192)
		b.write(dynamixel.TorqueEnable, 0, 0)
		b.write(dynamixel.OperatingMode, 3, 0)
		b.read(dynamixel.PresentPosition, 0) // entering position mode folds
	})
}

func TestPositionModeDoesNotCrossZero(t *testing.T) {
	onBench(t, Config{Angle: 10}, func(b *bench) {
		b.write(dynamixel.ProfileVelocity, 100, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalPosition, 4000, 0) // 98 steps away across zero
		b.after(time.Second)
		b.is(dynamixel.PresentVelocity, 100) // on the long way
		b.after(3 * time.Second)
		b.is(dynamixel.PresentPosition, 4000)
	})
}

func TestHomingOffset(t *testing.T) {
	onBench(t, Config{Angle: 90}, func(b *bench) {
		b.write(dynamixel.HomingOffset, -512, 0)
		b.read(dynamixel.PresentPosition, 512)
		b.write(dynamixel.HomingOffset, 1025, 0) // ignored in mode 3
		b.read(dynamixel.PresentPosition, 1024)
		b.write(dynamixel.HomingOffset, 1000, 0)
		b.write(dynamixel.GoalPosition, 1000, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		time.Sleep(time.Second)
		b.read(dynamixel.PresentPosition, 1000)
		b.write(dynamixel.TorqueEnable, 0, 0)
		b.write(dynamixel.HomingOffset, 0, 0)
		b.read(dynamixel.PresentPosition, 0)
	})
}

func TestDriveModeTorqueByGoal(t *testing.T) {
	for mode, torque := range map[int32]int32{0: 0, dynamixel.DriveModeTorqueByGoal: 1} {
		onBench(t, Config{}, func(b *bench) {
			b.write(dynamixel.DriveMode, mode, 0)
			b.write(dynamixel.GoalPosition, 1024, 0)
			b.read(dynamixel.TorqueEnable, torque)
			time.Sleep(time.Second)
			b.read(dynamixel.PresentPosition, 1024*torque)
		})
	}
}

func TestDriveModeReverse(t *testing.T) {
	onBench(t, Config{Angle: 90}, func(b *bench) {
		b.write(dynamixel.DriveMode, dynamixel.DriveModeReverse, 0)
		b.read(dynamixel.PresentPosition, 3072)
		b.Turn(-80)
		b.read(dynamixel.PresentPosition, 3072+910)
	})
}

func TestRealtimeTick(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		time.Sleep(1234 * time.Millisecond)
		b.is(dynamixel.RealtimeTick, 1234)
		time.Sleep((32768 - 1234) * time.Millisecond)
		b.is(dynamixel.RealtimeTick, 0)
		b.PowerCycle()
		time.Sleep(302 * time.Millisecond)
		b.is(dynamixel.RealtimeTick, 2)
	})
}

func TestBusWatchdog(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.ProfileVelocity, 50, 0) // 781.653 steps/s
		b.write(dynamixel.BusWatchdog, 10, 0)     // 200 ms
		time.Sleep(time.Second)
		b.is(dynamixel.BusWatchdog, 10) // it does not count without torque

		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalPosition, 4000, 0)
		b.after(150 * time.Millisecond)
		b.read(dynamixel.ID, 1) // feeds it
		b.after(200 * time.Millisecond)
		b.is(dynamixel.BusWatchdog, 10)
		b.is(dynamixel.Moving, 1)
		b.after(time.Second)
		b.is(dynamixel.BusWatchdog, -1)
		b.is(dynamixel.Moving, 0)
		b.is(dynamixel.TorqueEnable, 1)
		// 150 ms, 14 bytes to read the id with, 200 ms: after 0.352431 s the profile was at 275.5, and the
		// horn behind it by what it takes to turn that fast. It stopped then, not when we looked.
		stopped := int32(math.Round(275.5 - 50*0.229*4096/60/gain))
		b.is(dynamixel.PresentPosition, stopped)

		for _, goal := range []dynamixel.Register{dynamixel.GoalPosition, dynamixel.GoalPWM, dynamixel.GoalVelocity, dynamixel.GoalCurrent} {
			b.write(goal, 100, dynamixel.DataRangeError)
		}
		b.write(dynamixel.BusWatchdog, 10, dynamixel.DataRangeError)
		b.write(dynamixel.TorqueEnable, 0, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		time.Sleep(time.Second)
		b.is(dynamixel.PresentPosition, stopped)
		b.write(dynamixel.BusWatchdog, 0, 0)
		time.Sleep(time.Second)
		b.is(dynamixel.PresentPosition, stopped) // clearing does not resume
		b.write(dynamixel.GoalPosition, 300, 0)
		time.Sleep(time.Second)
		b.is(dynamixel.PresentPosition, 300)
	})
}

// gain is the speed in steps a second for each step by which the horn is behind: the initial Position P Gain
// of 900, and the 320 · 0.229 rpm that 885 of PWM make.
const gain = 900. / 128 * 320 * 0.229 * 4096 / 60 / 885

func TestJam(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.ProfileVelocity, 50, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.SetFaults(Faults{Jam: true})
		b.write(dynamixel.GoalPosition, 1024, 0) // 1.31 s
		b.after(time.Second)
		b.is(dynamixel.Moving, 1)
		b.is(dynamixel.PresentPosition, 0)
		b.is(dynamixel.PresentVelocity, 0)
		b.is(dynamixel.VelocityTrajectory, 50)
		b.is(dynamixel.PositionTrajectory, 782)
		b.after(2 * time.Second)
		b.is(dynamixel.Moving, 0)
		b.is(dynamixel.MovingStatus, dynamixel.FollowingError) // not in position
		b.is(dynamixel.PresentPWM, 885)
		b.is(dynamixel.PresentCurrent, 800)
		b.SetFaults(Faults{})
		time.Sleep(100 * time.Millisecond)
		if v := b.Register(dynamixel.PresentVelocity); v < 300 {
			t.Errorf("set free, it turns at %d: not as fast as it can", v)
		}
		time.Sleep(time.Second)
		b.is(dynamixel.PresentPosition, 1024)
		b.is(dynamixel.MovingStatus, dynamixel.InPosition)
		b.is(dynamixel.PresentCurrent, 0)
	})
}

func TestJamDuringAMove(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.ProfileVelocity, 50, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalPosition, 800, 0) // so near that it does not push with all its force
		b.after(time.Second)
		b.SetFaults(Faults{Jam: true})
		jammed := b.Register(dynamixel.PresentPosition)
		b.after(10 * time.Second)
		b.is(dynamixel.PresentPosition, jammed)
		b.write(dynamixel.TorqueEnable, 0, 0)
		b.Turn(90)
		b.is(dynamixel.PresentPosition, jammed+1024)
	})
}
