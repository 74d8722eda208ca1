package motor_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// isReleased checks that torque is off, and stays off.
func (r *rig) isReleased() {
	r.t.Helper()
	if s := r.motor.Status(); s.Connection != device.Released || s.Torque {
		r.t.Errorf("status %+v", s)
	}
	time.Sleep(15 * time.Second)
	r.holds(dynamixel.TorqueEnable, 0)
}

func TestReleaseAtEveryInstructionOfConnecting(t *testing.T) {
	atEveryInstruction(t, func(t *testing.T, n int, end func()) {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			begun := r.count()
			released := make(chan error, 1)
			r.onInstruction(func(i int, _ instruction) {
				if i == begun+n {
					go func() { released <- r.motor.Release(context.Background()) }()
				}
			})
			r.run()
			select {
			case err := <-released:
				if err != nil {
					t.Errorf("release: %v", err)
				}
			case <-time.After(5 * time.Second):
				end() // connected before that
				return
			}
			r.isReleased()
			if later := r.since(begun + n + 1); n < 6 && slices.ContainsFunc(later, func(i instruction) bool {
				return i.writes(dynamixel.TorqueEnable, 1)
			}) {
				t.Error("torque came on all the same")
			}
		})
	})
}

func TestReleaseAtEveryInstructionOfAReset(t *testing.T) {
	atEveryInstruction(t, func(t *testing.T, n int, end func()) {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.connect()
			press := r.press()
			begun := r.count()
			released := make(chan error, 1)
			r.onInstruction(func(i int, _ instruction) {
				if i == begun+n {
					go func() { released <- r.motor.Release(context.Background()) }()
				}
			})
			_ = r.motor.Reset(t.Context(), press.Number)
			if r.count() <= begun+n {
				end()
				return
			}
			if err := <-released; err != nil {
				t.Errorf("release: %v", err)
			}
			r.isReleased()
		})
	})
}

func TestReleaseWithoutTimeToWaitForIt(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		done := r.begin(t.Context(), 350)
		time.Sleep(time.Second)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		_ = r.motor.Release(over)
		<-done
		time.Sleep(time.Second)
		r.isReleased()
	})
}

func TestConnectingElsewhereHaltsTheServo(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		done := r.begin(t.Context(), 350)
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = r.motor.Connect(ctx, device.Line{ID: new(9)})
		<-done
		at := r.servo.Register(dynamixel.PresentPosition)
		time.Sleep(5 * time.Second)
		if p := r.servo.Register(dynamixel.PresentPosition); p != at || p > 1100 {
			t.Errorf("it turned on from %d to %d", at, p)
		}
	})
}

// Whoever only looks does not keep a move from being halted.
func TestHaltGoesBeforeRefreshes(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		ctx, cancel := context.WithCancel(t.Context())
		done := r.begin(ctx, 350)
		time.Sleep(time.Second)
		looking, stopLooking := context.WithCancel(t.Context())
		for range 100 {
			go func() {
				for r.motor.Refresh(looking) == nil {
				}
			}()
		}
		time.Sleep(100 * time.Millisecond)
		at, began := r.servo.Register(dynamixel.PresentPosition), time.Now()
		cancel()
		<-done
		if took := time.Since(began); took > 300*time.Millisecond {
			t.Errorf("it took %v to halt", took)
		}
		if way := r.servo.Register(dynamixel.PresentPosition) - at; way < -30 || way > 100 {
			t.Errorf("it turned %d steps on", way)
		}
		stopLooking()
	})
}

// A lossy port loses two of three packets.
type lossy struct {
	motor.Port
	on *atomic.Bool
	n  int
}

func (l *lossy) Write(b []byte) (int, error) {
	if l.on.Load() {
		if l.n++; l.n%3 != 0 {
			return len(b), nil
		}
	}
	return l.Port.Write(b)
}

// A reset that a bad line holds up does not switch torque on behind a release.
func TestReleaseDuringASlowReset(t *testing.T) {
	for late := time.Duration(0); late < 3*time.Second; late += 20 * time.Millisecond {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			var on atomic.Bool
			r.wrapPort = func(p motor.Port) motor.Port { return &lossy{Port: p, on: &on} }
			r.connect()
			press := r.press()
			on.Store(true)
			done := make(chan error, 1)
			go func() { done <- r.motor.Reset(t.Context(), press.Number) }()
			time.Sleep(late)
			err := r.motor.Release(t.Context())
			<-done
			time.Sleep(time.Second)
			if torque := r.servo.Register(dynamixel.TorqueEnable); err == nil && torque != 0 {
				t.Errorf("released %v after the beginning of the reset, with torque on", late)
			}
		})
	}
}
