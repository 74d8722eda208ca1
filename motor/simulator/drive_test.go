package simulator

import (
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
				stopped := b.Register(dynamixel.PresentPosition)
				if stopped < 700 || stopped > 900 { // 781.7 steps a second
					t.Errorf("stopped at %d", stopped)
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

func TestOtherModesDoNotMove(t *testing.T) {
	for _, mode := range []int32{0, 1, 5, 16} {
		onBench(t, Config{}, func(b *bench) {
			b.write(dynamixel.OperatingMode, mode, 0)
			b.write(dynamixel.TorqueEnable, 1, 0)
			b.write(dynamixel.GoalPosition, 1000, 0)
			b.write(dynamixel.GoalVelocity, 100, 0)
			time.Sleep(time.Second)
			b.read(dynamixel.PresentPosition, 0)
		})
	}
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
		// 150 ms, 14 bytes to read the id with, 200 ms: 0.352431 s. It stopped then, not when we looked.
		b.is(dynamixel.PresentPosition, 275)

		for _, goal := range []dynamixel.Register{dynamixel.GoalPosition, dynamixel.GoalPWM, dynamixel.GoalVelocity, goalCurrent} {
			b.write(goal, 100, dynamixel.DataRangeError)
		}
		b.write(dynamixel.BusWatchdog, 10, dynamixel.DataRangeError)
		b.write(dynamixel.TorqueEnable, 0, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		time.Sleep(time.Second)
		b.is(dynamixel.PresentPosition, 275)
		b.write(dynamixel.BusWatchdog, 0, 0)
		time.Sleep(time.Second)
		b.is(dynamixel.PresentPosition, 275) // clearing does not resume
		b.write(dynamixel.GoalPosition, 300, 0)
		time.Sleep(time.Second)
		b.is(dynamixel.PresentPosition, 300)
	})
}

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
		b.is(velocityTrajectory, 50)
		b.is(positionTrajectory, 782)
		b.after(2 * time.Second)
		b.is(dynamixel.Moving, 0)
		b.is(dynamixel.MovingStatus, 0) // not in position
		if current := b.Register(dynamixel.PresentCurrent); current <= 0 {
			t.Errorf("it pushes with %d mA", current)
		}
		b.SetFaults(Faults{})
		time.Sleep(time.Second)
		b.is(dynamixel.PresentPosition, 782) // goes on with a profile of its own
		b.is(dynamixel.MovingStatus, dynamixel.ProfileOngoing|0x10)
		time.Sleep(time.Second)
		b.is(dynamixel.PresentPosition, 1024)
		b.is(dynamixel.MovingStatus, dynamixel.InPosition)
	})
}

func TestJamDuringAMove(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.ProfileVelocity, 50, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalPosition, 1024, 0)
		b.after(time.Second)
		b.SetFaults(Faults{Jam: true})
		b.after(10 * time.Second)
		b.is(dynamixel.PresentPosition, 782)
		b.write(dynamixel.TorqueEnable, 0, 0)
		b.Turn(90)
		b.is(dynamixel.PresentPosition, 782+1024)
	})
}
