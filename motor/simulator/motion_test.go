package simulator

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// A turn of 90° with the registers' units as the manual gives them: 0.229 rev/min, 214.577 rev/min².
//
//	50 · 0.229 rev/min = 11.45 rev/min = 68.7 °/s
//	10 · 214.577 rev/min² = 2145.77 rev/min² = 214.577 °/s²
func TestProfiles(t *testing.T) {
	const us = time.Microsecond
	for _, e := range []struct {
		name                   string
		drive                  int32 // mode
		velocity, acceleration int32
		goal                   int32
		takes                  time.Duration
		shape                  int32
		when                   time.Duration // and there
		position, speed        int32
	}{
		{"rectangular", 0, 50, 0, 1024, 1_310_044 * us, // 90 / 68.7
			0x10, 655_022 * us, 512, 50},
		{"trapezoidal", 0, 50, 10, 1024, 1_630_208 * us, // 90 / 68.7 + 68.7 / 214.577
			0x30, 160_082 * us, 31, 25}, // half of the time to speed up: 214.577 · 0.160082² / 2 = 2.7494°
		{"triangular", 0, 50, 10, 114, 432_177 * us, // 114 steps are 10.0195°: 2 · √(10.0195 / 214.577)
			0x20, 216_089 * us, 57, 34}, // √(10.0195 · 214.577) = 46.3677 °/s
		{"backwards", 0, 50, 0, -1024, 1_310_044 * us, 0x10, 655_022 * us, -512, -50},
		{"by time", dynamixel.DriveModeTimeProfile, 1000, 250, 1024, 1_000_000 * us,
			0x30, 125_000 * us, 43, 44}, // 90° / (1 s − 0.25 s) = 120 °/s; half of 250 ms: 480 · 0.125² / 2 = 3.75° → 42.67
	} {
		t.Run(e.name, func(t *testing.T) {
			onBench(t, Config{}, func(b *bench) {
				b.write(dynamixel.OperatingMode, dynamixel.ModeExtendedPosition, 0)
				b.write(dynamixel.DriveMode, e.drive, 0)
				b.write(dynamixel.ProfileVelocity, e.velocity, 0)
				b.write(dynamixel.ProfileAcceleration, e.acceleration, 0)
				b.write(dynamixel.TorqueEnable, 1, 0)
				b.is(dynamixel.MovingStatus, dynamixel.InPosition)
				sent := time.Now()
				b.port.Write(dynamixel.AppendWrite(nil, 1, dynamixel.GoalPosition, e.goal))
				time.Sleep(3 * time.Millisecond) // 16 bytes take 2.778 ms
				if b.received().Before(sent) {
					t.Fatal("the goal has not been received")
				}
				b.is(dynamixel.MovingStatus, dynamixel.ProfileOngoing|e.shape)
				b.after(e.when)
				b.is(dynamixel.PositionTrajectory, e.position)
				b.is(dynamixel.VelocityTrajectory, e.speed)
				// The horn follows, by what it takes to turn that fast.
				behind := float64(e.position-b.Register(dynamixel.PresentPosition)) / (float64(e.speed) * velocityUnit / gain)
				if behind < 0.5 || behind > 1.05 {
					t.Errorf("it is behind by %.2f of what is expected", behind)
				}
				if current := b.Register(dynamixel.PresentCurrent); current*e.speed <= 0 {
					t.Errorf("%d mA at speed %d", current, e.speed)
				}
				b.after(e.takes - 2*us)
				b.is(dynamixel.Moving, 1)
				b.after(e.takes + 2*us)
				b.is(dynamixel.PositionTrajectory, e.goal)
				b.is(dynamixel.VelocityTrajectory, 0)
				if status := b.Register(dynamixel.MovingStatus); status&dynamixel.ProfileOngoing != 0 {
					t.Errorf("the profile has not ended: moving status %#x", status)
				}
				b.after(e.takes + 150*time.Millisecond)
				b.is(dynamixel.Moving, 0)
				b.is(dynamixel.MovingStatus, dynamixel.InPosition)
				b.is(dynamixel.PresentPosition, e.goal)
				b.is(dynamixel.PresentVelocity, 0)
				b.is(dynamixel.PresentCurrent, 0)
			})
		})
	}
}

// Without a profile the goal is wanted at once: 90 / (320 · 0.229 · 6) = 0.205 s at full speed.
func TestStep(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.ProfileAcceleration, 10, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalPosition, 1024, 0)
		b.is(dynamixel.PositionTrajectory, 1024)
		b.is(dynamixel.MovingStatus, dynamixel.FollowingError)
		b.after(100 * time.Millisecond)
		b.is(dynamixel.Moving, 1)
		b.is(dynamixel.PresentPWM, 885)
		b.is(dynamixel.PresentVelocity, 320)
		b.after(205 * time.Millisecond)
		if p := b.Register(dynamixel.PresentPosition); p < 900 || p > 1020 {
			t.Errorf("at %d, want it about to arrive", p)
		}
		b.after(350 * time.Millisecond)
		b.is(dynamixel.PresentPosition, 1024)
		b.is(dynamixel.MovingStatus, dynamixel.InPosition)
	})
}

// The manual gives the time to speed up as 64 · velocity / acceleration in ms.
func TestTimeToSpeedUp(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.ProfileVelocity, 100, 0)
		b.write(dynamixel.ProfileAcceleration, 16, 0) // 400 ms
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalPosition, 4000, 0)
		b.after(390 * time.Millisecond)
		if v := b.Register(dynamixel.VelocityTrajectory); v >= 99 {
			t.Errorf("velocity %d after 390 ms, want less than 99", v)
		}
		b.after(401 * time.Millisecond)
		b.is(dynamixel.VelocityTrajectory, 100)
		b.after(500 * time.Millisecond)
		b.is(dynamixel.PresentVelocity, 100)
	})
}

func TestMovingThreshold(t *testing.T) {
	for threshold, moving := range map[int32]int32{319: 1, 320: 0} {
		onBench(t, Config{}, func(b *bench) {
			b.write(dynamixel.MovingThreshold, threshold, 0)
			b.write(dynamixel.TorqueEnable, 1, 0)
			b.write(dynamixel.GoalPosition, 4000, 0) // no profile, 320 units
			b.after(100 * time.Millisecond)
			b.is(dynamixel.PresentVelocity, 320)
			b.is(dynamixel.Moving, moving)
		})
	}
}

func TestProfileRegistersCountFromTheNextGoal(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.ProfileVelocity, 50, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalPosition, 4000, 0)
		b.write(dynamixel.ProfileVelocity, 100, 0)
		b.write(dynamixel.GoalPWM, 885, 0) // not a goal of this mode
		b.after(100 * time.Millisecond)
		b.is(dynamixel.PresentVelocity, 50)
		b.write(dynamixel.GoalPosition, 4000, 0)
		b.is(dynamixel.VelocityTrajectory, 100)
		b.write(dynamixel.ProfileVelocity, 1000, 0)
		b.write(dynamixel.GoalPosition, 4000, 0)
		b.is(dynamixel.VelocityTrajectory, 320) // all that the motor has
		b.after(200 * time.Millisecond)
		b.is(dynamixel.PresentVelocity, 320)
	})
}

// Velocity override: a new goal does not let the horn stop on its way.
func TestNewGoalKeepsTheVelocity(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.ProfileVelocity, 50, 0)
		b.write(dynamixel.ProfileAcceleration, 2, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalPosition, 3000, 0)
		b.after(2 * time.Second)
		b.is(dynamixel.VelocityTrajectory, 50)
		b.write(dynamixel.GoalPosition, 4000, 0)
		if v := b.Register(dynamixel.VelocityTrajectory); v < 49 {
			t.Errorf("the new profile begins at %d", v)
		}
	})
}

// Of a move by time at most half is speeding up: 0.5 s to 180 °/s is 360 °/s², and so 7.2° after 0.2 s.
func TestTimeProfileBrakesInTime(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.DriveMode, dynamixel.DriveModeTimeProfile, 0)
		b.write(dynamixel.ProfileVelocity, 1000, 0)
		b.write(dynamixel.ProfileAcceleration, 900, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalPosition, 1024, 0)
		b.after(200 * time.Millisecond)
		b.is(dynamixel.PositionTrajectory, 82)
		b.after(time.Second)
		b.is(dynamixel.PositionTrajectory, 1024)
		b.after(1100 * time.Millisecond)
		b.is(dynamixel.PresentPosition, 1024)
	})
}

// Whatever the motion at its start, a path begins there, never jumps, accelerates no more than allowed,
// and ends at rest at the target.
func TestNewGoalDuringAMove(t *testing.T) {
	const speed, acceleration, tick = 800.0, 2000.0, 0.0005 // steps/s, steps/s², s
	for _, v0 := range []float64{0, 300, -300, 800, -800, 1500, -1500} {
		for _, target := range []float64{0, 1, -1, 50, -50, 160, 1000, -1000, 4000} {
			t.Run(fmt.Sprintf("from %v to %v", v0, target), func(t *testing.T) {
				start := time.Now()
				p := newPath(start, 0, v0, target, speed, acceleration)
				x, v := p.at(start)
				if x != 0 || math.Abs(v-v0) > 1e-9 && (x != target || v0 != 0) {
					t.Fatalf("begins at %v with %v", x, v)
				}
				now, top := start, math.Max(math.Abs(v0), speed)
				for p.ongoing(now) {
					now = now.Add(500 * time.Microsecond)
					x2, v2 := p.at(now)
					if math.Abs(x2-x) > top*tick+1e-6 {
						t.Fatalf("jumps from %v to %v at %v", x, x2, now.Sub(start))
					}
					if math.Abs(v2-v) > acceleration*tick+1e-6 {
						t.Fatalf("speed jumps from %v to %v at %v", v, v2, now.Sub(start))
					}
					if now.Sub(start) > 20*time.Second {
						t.Fatal("does not end")
					}
					x, v = x2, v2
				}
				if x != target || v != 0 {
					t.Errorf("ends at %v with %v", x, v)
				}
			})
		}
	}
}

// 1500 steps/s takes 562.5 steps to brake at 2000 steps/s², so a target at 50 is passed and returned to.
func TestWhatCannotStopComesBack(t *testing.T) {
	start := time.Now()
	p := newPath(start, 0, 1500, 50, 800, 2000)
	x, v := p.at(start.Add(750 * time.Millisecond))
	if math.Abs(x-562.5) > 1e-6 || math.Abs(v) > 1e-6 {
		t.Errorf("after 0.75 s at %v with %v, want 562.5 and 0", x, v)
	}
	// The way back, 512.5 steps: 0.4 s to 800 steps/s, as long to brake, 192.5 steps between.
	ends := start.Add(750*time.Millisecond + 800*time.Millisecond + 240_625*time.Microsecond)
	if !p.ongoing(ends.Add(-time.Microsecond)) || p.ongoing(ends.Add(time.Microsecond)) {
		t.Errorf("does not end after %v", ends.Sub(start))
	}
}

func TestFold(t *testing.T) {
	for position, want := range map[float64]float64{
		0: 0, 4095: 4095, 4096: 0, -1: 4095, 4095.4: 4095.4, 4095.6: -0.4, -4096: 0, 10 * 4096: 0, -0.6: 4095.4,
	} {
		if got := fold(position); math.Abs(got-want) > 1e-9 {
			t.Errorf("fold(%v) = %v, want %v", position, got, want)
		}
	}
}
