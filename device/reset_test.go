package device_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

func TestAResetReleasesTheLatch(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stop("stop")
		r.submit(reset("reset"))
		r.expect("stop completed", "reset completed")
		if resets := r.motor.Resets(); len(resets) != 1 || resets[0].Press != 1 || r.motor.Held() {
			t.Errorf("the motor was reset %d times", len(resets))
		}
		r.status(device.StatusReady)
		if s := r.View().State; s.EmergencyStop || !s.Torque {
			t.Errorf("after the reset the snapshot is %+v", s)
		}
		r.submit(home("1"))
		r.move(1)
		r.expect("1 queued", "1 running")
	})
}

func TestWhileAResetIsUnderWayTheLatchHolds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stop("stop")
		r.motor.HoldResets(true)
		r.submit(reset("reset"), home("1"))
		if got := brief(r.last("1")); got != "1 rejected emergency_stopped" {
			t.Error(got)
		}
		r.status(device.StatusEStop)
		r.motor.Resets()[0].Answer(nil)
		r.status(device.StatusReady)
	})
}

func TestAResetThatTheMotorRefusesReleasesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stop("stop")
		r.motor.HoldResets(true)
		r.submit(reset("reset"))
		r.motor.Resets()[0].Answer(device.Errorf(device.CodeMotorFault, "overload"))
		r.expect("stop completed", "reset failed motor_fault")
		r.status(device.StatusEStop)
		if !r.motor.Held() {
			t.Error("the motor is not held any more")
		}
	})
}

func TestAStopDuringAResetWins(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stop("first")
		r.motor.HoldResets(true)
		r.submit(reset("reset"))
		r.stop("second")
		r.motor.Resets()[0].Answer(nil) // names the first press only
		r.expect("first completed", "second completed", "reset cancelled emergency_stopped")
		r.status(device.StatusEStop)
		if !r.motor.Held() {
			t.Error("the motor is not held any more")
		}

		r.motor.HoldResets(false)
		r.submit(reset("again"))
		r.status(device.StatusReady)
		if resets := r.motor.Resets(); resets[1].Press != 2 {
			t.Errorf("the second reset names press %d", resets[1].Press)
		}
	})
}

// The motor has released the first press, and the second one comes before Run has heard of that.
func TestAStopThatMeetsTheEndOfAResetWins(t *testing.T) {
	for range 20 { // Run has the choice which of the two it hears of first
		synctest.Test(t, func(t *testing.T) {
			motor := &busy{Motor: devicetest.New()}
			r := wrapRig(t, motor, motor.Motor, new(device.Memory))
			r.start()
			r.stop("first")
			motor.HoldResets(true)
			r.submit(reset("reset"))

			release := motor.occupy()
			motor.Resets()[0].Answer(nil)
			synctest.Wait()
			go r.Stop(func() *device.Command { return nil })
			synctest.Wait()
			release()

			r.status(device.StatusEStop)
			if !motor.Held() {
				t.Error("the motor is not held any more")
			}
			r.shutDown()
			if saved, _ := r.store.Load(); !saved.Latched {
				t.Error("the latch is not stored")
			}
		})
		if t.Failed() {
			return
		}
	}
}

func TestAResetWaitsForTheCancelledMoveToEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"))
		r.stop("stop")
		r.submit(reset("reset"))
		if n := len(r.motor.Resets()); n != 0 {
			t.Fatal("torque came on while the cancelled move had not ended")
		}
		time.Sleep(2 * time.Second)
		r.move(1).Fail(device.Errorf(device.CodeEmergencyStopped, "stopped"))
		r.expect("1 queued", "1 running", "stop completed", "1 cancelled emergency_stopped", "reset completed")
		r.status(device.StatusReady)
	})
}

func TestAResetGivesUpOnACancelledMoveThatDoesNotEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"))
		r.stop("stop")
		r.submit(reset("reset"))
		time.Sleep(5 * time.Second)
		if got := brief(r.last("reset")); got != "reset failed timeout" {
			t.Error(got)
		}
		r.status(device.StatusEStop)
	})
}

// A stop that was reset long ago is no reason to wait for a move that nobody has cancelled.
func TestAResetWithoutALatchDoesNotWaitForAMove(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stop("stop")
		r.submit(reset("reset"))
		r.submit(home("move"), reset("needless"))
		if got := brief(r.last("needless")); got != "needless completed" {
			t.Error(got)
		}
		if move := r.move(1); move.Ended() || move.Context.Err() != nil {
			t.Error("the reset ended the move")
		}
	})
}

func TestAResetWithoutAStopDoesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(reset("reset"))
		r.expect("reset completed")
		r.status(device.StatusReady)
	})
}

func TestAResetWithoutAConnectionReleasesTheLatch(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stop("stop")
		r.motor.Lose("cable out")
		r.submit(reset("reset"))
		r.expect("stop completed", "reset completed")
		r.status(device.StatusRequiresInit)
		r.motor.Find()
		r.status(device.StatusReady)
	})
}
