package device_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// A hangingMotor does not say how it is while its gate is full.
type hangingMotor struct {
	*devicetest.Motor
	gate chan struct{}
}

func (m *hangingMotor) Status() device.MotorStatus {
	m.gate <- struct{}{}
	<-m.gate
	return m.Motor.Status()
}

// alive asks for a second.
func (r *rig) alive() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return r.Alive(ctx)
}

func TestAliveIsAnsweredByRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		motor := &hangingMotor{devicetest.New(), make(chan struct{}, 1)}
		r := wrapRig(t, motor, motor.Motor, new(device.Memory))
		if err := r.alive(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("before Run it returned %v", err)
		}
		r.start()
		if err := r.alive(); err != nil {
			t.Errorf("at rest it returned %v", err)
		}
		r.submit(home("1"))
		if err := r.alive(); err != nil {
			t.Errorf("in a move it returned %v", err)
		}

		r.settle()
		motor.gate <- struct{}{}
		if err := r.alive(); err != nil { // it looks at the motor after the answer
			t.Errorf("before it hangs it returned %v", err)
		}
		if err := r.alive(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a Run that hangs it returned %v", err)
		}
		<-motor.gate
		if err := r.alive(); err != nil {
			t.Errorf("after that it returned %v", err)
		}
	})
}

func TestAliveWhileOthersTakeLeave(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		var err error
		r.leave = func() { err = r.alive() }
		r.shutDown()
		if err != nil {
			t.Errorf("while the others took leave it returned %v", err)
		}
		if err := r.alive(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after Run it returned %v", err)
		}
	})
}
