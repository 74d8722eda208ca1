package device_test

import (
	"testing"
	"testing/synctest"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

func TestWithoutAMotorMovesAreRejected(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.Lose("cable out")
		r.submit(home("1"))
		r.expect("1 rejected motor_disconnected")
		if got, want := r.last("1").Error.Message, "the motor is not connected: cable out"; got != want {
			t.Errorf("the message is %q, want %q", got, want)
		}
		r.noMove()
		r.status(device.StatusRequiresInit)
		if got, want := r.View().State.Message, "Motor not connected: cable out"; got != want {
			t.Errorf("the message is %q, want %q", got, want)
		}
	})
}

func TestWhenTheMotorIsLostEachOperationEndsInItsTurn(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("1"), hotel("2", "B"), home("3"))
		r.expect("1 queued", "1 running", "2 queued", "3 queued")
		r.motor.Lose("cable out")
		r.expect("1 failed motor_disconnected", "2 failed motor_disconnected", "3 failed motor_disconnected")
		r.move(1) // the others were not even tried
		if op := r.last("2"); op.StartedAt != nil || op.Attempt != 0 {
			t.Errorf("2 ended as %+v", op)
		}
		r.status(device.StatusRequiresInit)
		if e := r.View().State.LastError; e == nil || e.Code != device.CodeMotorDisconnected {
			t.Errorf("the last error is %+v", e)
		}

		r.motor.Find()
		r.status(device.StatusReady)
		r.submit(home("4"))
		r.expect("4 queued", "4 running")
	})
}

// What waits has its place until its turn: a motor that is back by then moves.
func TestAMotorThatReturnsBeforeTheTurnOfAnOperationMoves(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("1"), home("2"))
		r.motor.Set(func(s *device.MotorStatus) { s.Connection = device.Disconnected })
		r.expect("1 queued", "1 running", "2 queued")
		r.motor.Set(func(s *device.MotorStatus) { s.Connection = device.Connected })
		r.arrive(1)
		r.expect("1 completed", "2 running")
	})
}

func TestAServoThatHasSwitchedItselfOffIsAnError(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("1"), home("2"))
		r.expect("1 queued", "1 running", "2 queued")
		r.motor.Fault("overload", "overheating")
		r.expect("1 failed motor_fault", "2 failed motor_fault")
		r.move(1)
		r.status(device.StatusError)
		if got, want := r.View().State.Message, "The servo has switched itself off: overload, overheating"; got != want {
			t.Errorf("the message is %q, want %q", got, want)
		}

		r.submit(home("3"))
		r.expect("3 rejected motor_fault")
		r.motor.Set(func(s *device.MotorStatus) { s.HardwareError, s.Torque = nil, true })
		r.status(device.StatusReady)
	})
}

func TestBeforeTheFirstContactNothingIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t, devicetest.NewUnconnected(), new(device.Memory))
		r.status(device.StatusUnknown)
		if s := r.View().State; s.Angle != nil || s.Hotel != nil || s.Connection != device.Connecting {
			t.Errorf("the snapshot is %+v", s)
		}
		r.submit(home("1"))
		r.expect("1 rejected motor_disconnected")

		r.motor.Lose("no such port")
		r.status(device.StatusRequiresInit)
		r.motor.Find()
		r.status(device.StatusReady)
	})
}
