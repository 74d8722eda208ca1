package device_test

import (
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

func TestACancelHaltsTheMoveThatRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"), home("2"))
		r.expect("1 queued", "1 running", "2 queued")
		r.submit(cancel("cancel", "1"))
		r.expect() // not before the carousel is at rest
		if r.move(1).Context.Err() == nil {
			t.Error("the move is not halted")
		}
		r.motor.HoldHalts(false)
		time.Sleep(time.Second)
		r.move(1).Fail(device.Errorf(device.CodeTimeout, "halted"))
		r.settle()
		r.expect("1 cancelled cancelled", "2 running", "cancel completed")
		if s := r.View().State; !s.Torque || s.LastError != nil {
			t.Errorf("after the cancel the state is %+v", s)
		}
		if got := r.last("cancel").Result.DurationSeconds; got != 1 {
			t.Errorf("the cancel took %v s", got)
		}
	})
}

func TestACancelOfAMoveThatDoesNotHaltTimesOut(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"))
		r.submit(cancel("cancel", "1"))
		time.Sleep(immediateTimeout)
		if got := brief(r.last("cancel")); got != "cancel failed timeout" {
			t.Error(got)
		}
		r.move(1).Fail(device.Errorf(device.CodeTimeout, "halted"))
		if got := brief(r.last("1")); got != "1 cancelled cancelled" {
			t.Error(got)
		}
	})
}

func TestAMoveThatArrivesWithTheCancelIsCompleted(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"))
		r.submit(cancel("cancel", "1"))
		r.arrive(1)
		r.expect("1 queued", "1 running", "1 completed", "cancel completed")
	})
}

func TestACancelTakesOutWhatWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("1"), home("2"), home("3"), home("4"))
		r.expect("1 queued", "1 running", "2 queued", "3 queued", "4 queued")
		r.submit(cancel("cancel", "3"))
		r.expect("3 cancelled cancelled", "cancel completed")
		if n := r.View().State.QueueLength; n != 2 {
			t.Errorf("%d operations wait", n)
		}
		r.arrive(1)
		r.arrive(2)
		r.arrive(3)
		r.expect("1 completed", "2 running", "2 completed", "4 running", "4 completed")
	})
}

func TestACancelOfAllEndsWhatRunsAndWhatWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("1"), reboot("2"), home("3"))
		r.expect("1 queued", "1 running", "2 queued", "3 queued")
		r.submit(cancel("cancel", "all"))
		r.expect("2 cancelled cancelled", "3 cancelled cancelled", "1 cancelled cancelled", "cancel completed")
		r.status(device.StatusReady)
		if !r.View().State.Torque {
			t.Error("torque is off")
		}
		r.submit(cancel("again", "all"))
		r.expect("again completed") // there is nothing left to cancel
	})
}

func TestACancelOfWhatIsNotThereIsRejected(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("ended"))
		r.arrive(1)
		r.motor.Hold(devicetest.Refresh, true)
		r.submit(home("runs"), refresh("immediate"))
		r.expect("ended queued", "ended running", "ended completed", "runs queued", "runs running")
		for _, target := range []string{"unknown", "ended", "immediate", "cancel", "ALL", ""} {
			r.submit(cancel("cancel", target))
			r.expect("cancel rejected invalid_payload")
			want := `no operation with the id "` + target + `" is running or waiting`
			if got := r.last("cancel").Error.Message; got != want {
				t.Errorf("the message is %q, want %q", got, want)
			}
		}
		if r.move(2).Context.Err() != nil {
			t.Error("the move was cancelled")
		}
	})
}

func TestTwoCancelsOfOneMoveEndTogether(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"))
		r.submit(cancel("a", "1"), cancel("b", "all"))
		r.move(1).Fail(device.Errorf(device.CodeTimeout, "halted"))
		r.settle()
		for _, want := range []string{"1 cancelled cancelled", "a completed", "b completed"} {
			if got := brief(r.last(want[:1])); got != want {
				t.Error(got)
			}
		}
	})
}

// The stop has come last, but the move was being cancelled already.
func TestAStopAfterACancelLatches(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"))
		r.submit(cancel("cancel", "1"))
		r.stop("stop")
		r.move(1).Fail(device.Errorf(device.CodeEmergencyStopped, "stopped"))
		if got := brief(r.last("1")); got != "1 cancelled cancelled" {
			t.Error(got)
		}
		r.status(device.StatusEStop)
	})
}

func TestACancelledRebootEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.Hold(devicetest.Reboot, true)
		r.submit(reboot("1"))
		r.submit(cancel("cancel", "1"))
		r.expect("1 queued", "1 running", "1 cancelled cancelled", "cancel completed")
	})
}
