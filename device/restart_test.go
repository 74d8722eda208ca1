package device_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

func TestTheLatchSurvivesARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stop("stop")
		r.shutDown()

		motor := devicetest.NewUnconnected()
		r = newRig(t, motor, r.store)
		if n := len(motor.Presses()); n != 1 { // Run has not begun, and the motor has not connected
			t.Fatalf("the motor was stopped %d times before it could connect, want once", n)
		}
		if s := r.View().State; s.Status != device.StatusEStop || !s.EmergencyStop {
			t.Errorf("the first snapshot has status %s", s.Status)
		}
		r.start()
		motor.Find()
		r.status(device.StatusEStop)
		if r.View().State.Torque {
			t.Error("torque came on with the connection")
		}
		r.submit(home("1"))
		r.expect("1 rejected emergency_stopped")

		r.submit(reset("reset"))
		r.expect("reset completed")
		r.status(device.StatusReady)
		if resets := motor.Resets(); resets[0].Press != 1 || motor.Held() {
			t.Errorf("the reset names press %d", resets[0].Press)
		}
	})
}

func TestAReleasedLatchStaysReleasedOverARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stop("stop")
		r.submit(reset("reset"))
		r = r.restart(devicetest.New())
		r.status(device.StatusReady)
		if n := len(r.motor.Presses()); n != 0 {
			t.Errorf("the motor was stopped %d times", n)
		}
	})
}

type unreadable struct{ device.Memory }

var errUnreadable = errors.New("bad sector")

func (*unreadable) Load() (device.Saved, error) { return device.Saved{}, errUnreadable }

// A device that cannot know whether it is latched must not start.
func TestAStoreThatCannotBeReadIsAnErrorOfNew(t *testing.T) {
	_, err := device.New(device.Config{
		QueueSize: queueSize, NewID: newID(), Motor: devicetest.New(),
		Store: new(unreadable), Log: slog.New(slog.DiscardHandler),
	})
	if !errors.Is(err, errUnreadable) || !strings.Contains(err.Error(), "read the stored state") {
		t.Errorf("New returned %v", err)
	}
}
