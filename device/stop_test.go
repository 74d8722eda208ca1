package device_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

func TestAStopCancelsWhatRunsAndWhatWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(hotel("1", "B"), home("2"), home("3"), home("4")) // the queue is full
		r.expect("1 queued", "1 running", "2 queued", "3 queued", "4 queued")
		r.stop("stop")
		if move := r.move(1); move.Context.Err() == nil || !move.Ended() {
			t.Error("the move goes on")
		}
		if n := len(r.motor.Presses()); n != 1 {
			t.Errorf("the motor was stopped %d times", n)
		}
		for _, id := range []string{"1", "2", "3", "4"} {
			if got := brief(r.last(id)); got != id+" cancelled emergency_stopped" {
				t.Error(got)
			}
		}
		if got := brief(r.last("stop")); got != "stop completed" {
			t.Error(got)
		}
		r.status(device.StatusEStop)
		if s := r.View().State; !s.EmergencyStop || s.QueueLength != 0 || s.Operation != nil || s.Torque || s.OperationsTotal != 5 {
			t.Errorf("after the stop the snapshot is %+v", s)
		}
		if s := r.View().State; s.LastError != nil {
			t.Errorf("a stop is no failure, but the last error is %+v", s.LastError)
		}

		r.submit(home("5"))
		if got := brief(r.last("5")); got != "5 rejected emergency_stopped" {
			t.Error(got)
		}
		r.move(1)
	})
}

func TestAStopWithNothingToStopLatches(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stop("stop")
		r.expect("stop completed")
		r.status(device.StatusEStop)
	})
}

func TestAStopIsCompletedWhenTheMotorConfirmsIt(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldStops(true)
		r.stop("stop")
		r.expect()
		r.status(device.StatusEStop) // latched all the same
		time.Sleep(40 * time.Millisecond)
		r.motor.Presses()[0].Answer(nil)
		if op := r.last("stop"); op.State != device.Completed || op.Result.DurationSeconds != 0.04 {
			t.Errorf("the stop ended as %+v", op)
		}
	})
}

func TestAStopWithoutABusLatchesAndFails(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.Lose("cable out")
		r.settle()
		r.stop("stop")
		r.expect("stop failed motor_disconnected")
		r.status(device.StatusEStop)

		r.motor.Find()
		r.settle()
		if s := r.View().State; !s.EmergencyStop || s.Torque || s.Connection != device.Connected {
			t.Errorf("after the connection returned the snapshot is %+v", s)
		}
	})
}

func TestEveryStopReachesTheMotor(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stop("1")
		r.stop("2")
		r.stop("1") // the sender repeats it
		r.Stop(func() *device.Command { return nil })
		r.expect("1 completed", "2 completed", "1 completed")
		if n := len(r.motor.Presses()); n != 4 {
			t.Errorf("the motor was stopped %d times, want 4", n)
		}
	})
}

func TestARepeatedStopStopsAgainAfterAReset(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stop("1")
		r.submit(reset("reset"))
		r.status(device.StatusReady)
		r.submit(home("move"))
		r.stop("1")
		r.status(device.StatusEStop)
		if got := brief(r.last("move")); got != "move cancelled emergency_stopped" {
			t.Error(got)
		}
	})
}

func TestASecondCopyIsObeyedAndNotAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("1"))
		r.expect("1 queued", "1 running")
		r.Stop(func() *device.Command { return nil })
		r.expect("1 cancelled emergency_stopped")
		r.status(device.StatusEStop)
	})
}

func TestAStopWithTheIDOfAnotherOperationIsObeyedUnderItsOwn(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("1"))
		r.stop("1")
		r.status(device.StatusEStop)
		if got := brief(r.last("1")); got != "1 cancelled emergency_stopped" {
			t.Error(got)
		}
		i := slices.IndexFunc(r.events, func(op device.Operation) bool { return op.Name == device.StopOperation })
		if i < 0 {
			t.Fatal("the stop has no answer")
		}
		if op := r.events[i]; op.ID == "1" || op.ID == "" || op.State != device.Completed {
			t.Errorf("the stop ended as %+v", op)
		}
	})
}

// The motor is signalled before anybody asks how the stop is to be answered.
func TestTheMotorIsStoppedBeforeTheCommandIsDecoded(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Stop(func() *device.Command {
			if len(r.motor.Presses()) != 1 {
				t.Error("the motor was not stopped first")
			}
			return nil
		})
	})
}

// A signalled motor is one of which Run does not know yet that it was stopped.
type signalled struct {
	*devicetest.Motor
	then func()
}

func (m *signalled) Stop() device.Press {
	defer m.then()
	return m.Motor.Stop()
}

func TestAMoveInTheInboxBehindAStopDoesNotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &signalled{Motor: devicetest.New()}
		r := wrapRig(t, m, m.Motor, new(device.Memory))
		m.then = func() { r.Submit(home("between")) }
		r.start()
		r.stop("stop")
		r.submit(home("behind"))
		for _, move := range r.motor.Moves() {
			if move.Refused == nil {
				t.Error("a move began")
			}
		}
		if op := r.last("between"); op.Error == nil || op.Error.Code != device.CodeEmergencyStopped && op.Error.Code != device.CodeMotorFault {
			t.Errorf("between ended as %+v", op)
		}
		if got := brief(r.last("behind")); got != "behind rejected emergency_stopped" {
			t.Error(got)
		}
	})
}

func TestAMoveThatArrivesWithTheStopIsCompletedAndTheLatchHolds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"), home("2"))
		r.stop("stop")
		if got := brief(r.last("2")); got != "2 cancelled emergency_stopped" { // does not wait for 1
			t.Error(got)
		}
		r.arrive(1)
		if got := brief(r.last("1")); got != "1 completed" {
			t.Error(got)
		}
		r.status(device.StatusEStop)
		r.move(1)
	})
}

func TestWhatCoastsAfterAStopIsNotActivity(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"))
		if a := r.View().State.Activity; a != device.Turning {
			t.Fatalf("activity is %s", a)
		}
		time.Sleep(time.Second)
		r.stop("stop")
		s := r.View().State
		if s.Activity != device.Idle || time.Since(s.ActivitySince) != 0 || !r.motor.Status().Reading.Moving {
			t.Errorf("activity is %s since %v", s.Activity, s.ActivitySince)
		}
	})
}

// A press must never be lost: the motor would be held and the device would not know.
func TestAStopBeforeRunIsLatchedWhenItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, devicetest.New(), new(device.Memory))
		r.stop("stop") // gives up waiting after a second
		r.start()
		if !r.motor.Held() {
			t.Fatal("the motor is not held")
		}
		r.status(device.StatusEStop)
		r.expect("stop completed")
	})
}

// A schedule's stop does not wait behind commands, and there is always room for it.
func TestAStopThatIsSubmittedSignalsTheMotorAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, devicetest.New(), new(device.Memory))
		for range 300 { // more than wait for Run
			r.Submit(home(""))
		}
		r.Submit(device.Command{ID: "stop", Name: device.StopOperation, Source: "schedule:evening"})
		if !r.motor.Held() {
			t.Error("the motor is not held before Run has looked at the stop")
		}
		r.start()
		if op := r.last("stop"); op.State != device.Completed || op.Source != "schedule:evening" {
			t.Errorf("the stop ended as %+v", op)
		}
		r.status(device.StatusEStop)
		r.noMove()
	})
}
