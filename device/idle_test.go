package device_test

import (
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
)

// A port that is closed for want of work counts as connected.
func TestIdleIsReady(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		before := r.View().State
		r.motor.Nap()
		r.settle()
		s := r.View().State
		if s.Connection != "idle" || s.Status != before.Status || s.Message != before.Message || !s.Torque {
			t.Errorf("the state is %+v", s)
		}
		if len(s.AllowedActions) != len(device.Names) {
			t.Errorf("the allowed actions are %v", s.AllowedActions)
		}
		if h := r.View().Health; h.Status != "ok" {
			t.Errorf("the health is %+v", h)
		}
		r.submit(hotel("1", "B"))
		r.arrive(1)
		if op := r.last("1"); op.State != device.Completed {
			t.Errorf("the move is %s", brief(op))
		}
	})
}

// While the port is closed health rests, but what is published stays fresh.
func TestHealthRestsWhileIdle(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.Nap()
		r.settle()
		before := r.View().Health.UpdatedAt
		time.Sleep(2 * time.Minute)
		r.settle()
		if age := time.Since(r.View().Health.UpdatedAt); age > time.Minute {
			t.Errorf("the health is %v old, and was published at %v", age, before)
		}
	})
}
