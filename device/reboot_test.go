package device_test

import (
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

func TestARebootWaitsForItsTurn(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.Hold(devicetest.Reboot, true)
		r.submit(home("1"), reboot("2"), home("3"))
		r.call(devicetest.Reboot, 0)
		r.arrive(1)
		r.expect("1 queued", "1 running", "2 queued", "3 queued", "1 completed", "2 running")
		if s := r.View().State; s.Message != "Rebooting the servo" || s.TargetAngle != nil || s.Activity != device.Idle {
			t.Errorf("the state is %+v", s)
		}
		r.move(1) // the next one waits
		r.call(devicetest.Reboot, 1).Answer(nil)
		r.expect("2 completed", "3 running")
	})
}

func TestARebootPassesItsParametersOn(t *testing.T) {
	no, yes, wait := false, true, 2.5
	for name, c := range map[string]struct {
		parameters device.Parameters
		wait       time.Duration
		reapply    bool
	}{
		"none":         {device.Parameters{}, 800 * time.Millisecond, true},
		"wait_seconds": {device.Parameters{WaitSeconds: &wait}, 2500 * time.Millisecond, true},
		"not reapply":  {device.Parameters{Reapply: &no}, 800 * time.Millisecond, false},
		"reapply":      {device.Parameters{Reapply: &yes}, 800 * time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.submit(command("1", device.RebootOperation, c.parameters))
				if call := r.call(devicetest.Reboot, 1); call.Wait != c.wait || call.Reapply != c.reapply {
					t.Errorf("waits %v, reapplies %v", call.Wait, call.Reapply)
				}
				r.expect("1 queued", "1 running", "1 completed")
			})
		})
	}
}

func TestARebootHasItsTime(t *testing.T) {
	wait := 2.0
	for name, c := range map[string]struct {
		command device.Command
		timeout time.Duration
	}{
		"by default":           {reboot("1"), 5800 * time.Millisecond},
		"with a longer wait":   {command("1", device.RebootOperation, device.Parameters{WaitSeconds: &wait}), 7 * time.Second},
		"with timeout_seconds": {within(1.5, reboot("1")), 1500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.motor.Hold(devicetest.Reboot, true)
				r.submit(once(c.command))
				r.expect("1 queued", "1 running")
				time.Sleep(c.timeout - 1)
				r.expect()
				time.Sleep(time.Nanosecond)
				r.expect("1 failed timeout")
			})
		})
	}
}

func TestARebootClearsAFault(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.Fault("overload")
		r.status(device.StatusError)
		r.submit(reboot("1"))
		r.expect("1 queued", "1 running", "1 completed")
		r.status(device.StatusReady)
	})
}

func TestARebootUnderALatchLeavesTorqueOff(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stop("stop")
		r.submit(reboot("1"))
		r.expect("stop completed", "1 queued", "1 running", "1 completed")
		r.status(device.StatusEStop)
		if r.View().State.Torque {
			t.Error("torque came on")
		}
	})
}

func TestAStopCancelsAReboot(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.Hold(devicetest.Reboot, true)
		r.submit(reboot("1"))
		r.stop("stop")
		if got := brief(r.last("1")); got != "1 cancelled emergency_stopped" {
			t.Error(got)
		}
	})
}

// Torque is off during a reboot, and comes back with it: what is sent meanwhile waits for that.
func TestAMoveDuringARebootWaitsForIt(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.Hold("Reboot", true)
		r.submit(device.Command{ID: "reboot", Name: device.RebootOperation, Source: "mqtt"})
		r.motor.Set(func(s *device.MotorStatus) { s.Torque = false })
		r.settle()
		r.status(device.StatusBusy)
		r.submit(home("home"))
		r.settle()
		if got := brief(r.last("home")); got != "home queued" {
			t.Error(got)
		}
	})
}
