package device_test

import (
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

func TestWhatWaitsIsNotStartedAfterItHasExpired(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		at := time.Now().Add(10 * time.Second)
		r.submit(home("1"), expiring(at, home("late")), expiring(at.Add(1), home("in time")))
		time.Sleep(10*time.Second + 1)
		r.expect("1 queued", "1 running", "late queued", "in time queued") // it ends in its turn
		r.arrive(1)
		r.expect("1 completed", "late expired expired", "in time running")
		op := r.last("late")
		if op.Attempt != 0 || op.StartedAt != nil || op.FinishedAt == nil || op.Error.Message != "its turn came after expires_at" {
			t.Errorf("ended as %+v", op)
		}
		if e := r.View().State.LastError; e != nil {
			t.Errorf("the last error is %+v", e)
		}
	})
}

func TestWhatHasExpiredIsNotStarted(t *testing.T) {
	for name, c := range map[string]device.Command{
		"queued": home("1"), "reboot": reboot("1"), "speed": speed("1", 10), "refresh": refresh("1"),
		"reset": reset("1"), "connection": connection("1", "OFF"),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				time.Sleep(time.Second)
				expired := expiring(time.Now().Add(-1), c)
				r.submit(expired, expired)
				r.noMove()
				if n := len(r.motor.Calls()) + len(r.motor.Resets()); n != 0 {
					t.Errorf("%d calls of the motor", n)
				}
				r.expect("1 expired expired", "1 expired expired")
			})
		})
	}
}

func TestWhatExpiresNowIsInTime(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(expiring(time.Now(), speed("1", 10)))
		r.expect("1 completed")
	})
}

func TestWhatHasBegunDoesNotExpire(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(expiring(time.Now().Add(time.Second), home("1")))
		time.Sleep(time.Minute)
		r.fail(1, device.CodeTimeout)
		r.pause(5*time.Second, 1) // nor at its next attempt
		r.arrive(2)
		r.expect("1 queued", "1 running", "1 retrying timeout", "1 running", "1 completed")
	})
}

// A Pi without a battery is in another year until the network tells it.
func TestTheWallClockDecidesWhatHasExpired(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		at := time.Now().Add(time.Minute)
		r.submit(home("1"), expiring(at, home("2")), expiring(at, home("3")))
		r.expect("1 queued", "1 running", "2 queued", "3 queued")

		time.Sleep(2 * time.Minute)
		r.jump.Store(int64(-time.Hour))
		r.arrive(1)
		r.expect("1 completed", "2 running")

		r.jump.Store(int64(time.Hour))
		r.arrive(2)
		r.expect("2 completed", "3 expired expired")

		r.submit(expiring(at.Add(2*time.Minute), refresh("4")))
		r.expect("4 expired expired")
		r.call(devicetest.Refresh, 0)
	})
}

func TestWhatCannotBeDoneIsRejectedThoughItHasExpired(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stop("stop")
		r.submit(expiring(time.Now().Add(-time.Hour), home("1")))
		if got := brief(r.last("1")); got != "1 rejected emergency_stopped" {
			t.Error(got)
		}
	})
}
