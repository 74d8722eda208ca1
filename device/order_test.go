package device_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// What was meant for one servo does not go on with another.
func TestConnectingElsewhereGivesUpWhatRunsAndWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("1"), home("2"))
		r.expect("1 queued", "1 running", "2 queued")
		r.submit(command("on", device.ConnectionOperation, device.Parameters{State: new("ON"), Port: new("/dev/other")}))
		r.expect("2 cancelled cancelled", "1 cancelled cancelled", "on completed")
		r.call(devicetest.Connect, 1)
	})
}

func TestConnectingWhatIsConnectedGivesUpNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("1"), connection("on", "ON"))
		r.expect("1 queued", "1 running", "on completed")
		r.move(1)
	})
}

// Between OFF and ON the motor has yet to be released: nothing begins that this would end.
func TestNothingBeginsBetweenOFFAndItsRelease(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"))
		r.submit(connection("off", "OFF"), connection("on", "ON"), home("2"))
		if got := brief(r.last("2")); got != "2 rejected motor_disconnected" {
			t.Error(got)
		}
		r.move(1).Fail(device.Errorf(device.CodeTimeout, "halted"))
		r.settle()
		r.submit(home("3"))
		if got := brief(r.last("3")); got != "3 running" {
			t.Error(got)
		}
	})
}

func TestAMoveWaitsForTheSpeedThatWasSentBeforeIt(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.Hold(devicetest.SetSpeed, true)
		r.submit(speed("slow", 5), home("1"))
		r.noMove()
		r.motor.Calls(devicetest.SetSpeed)[0].Answer(nil)
		r.settle()
		r.move(1)
	})
}

func TestReadingTheMotorIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.Hold(devicetest.Refresh, true)
		for i := range 9 {
			r.submit(refresh(fmt.Sprint(i)))
		}
		if got := brief(r.last("8")); got != "8 rejected queue_full" {
			t.Error(got)
		}
		if slices.Contains(r.View().State.AllowedActions, device.RefreshOperation) {
			t.Error("refresh is allowed")
		}
		for _, c := range r.motor.Calls(devicetest.Refresh) {
			c.Answer(nil)
		}
		r.motor.Hold(devicetest.Refresh, false)
		r.settle()
		r.submit(refresh("after"))
		if got := brief(r.last("after")); got != "after completed" {
			t.Error(got)
		}
	})
}
