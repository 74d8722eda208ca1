package motor_test

import (
	"context"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// Run is told to end at every moment of connecting and of a move: it closes the port (see finish), and
// who waits gets an answer.
func TestRunEndsWhenItIsTold(t *testing.T) {
	for after := time.Duration(0); after < 600*time.Millisecond; after += 7 * time.Millisecond {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.run()
			done := make(chan outcome, 1)
			time.AfterFunc(300*time.Millisecond, func() { done <- <-r.begin(context.Background(), 90) })
			time.Sleep(after)
			told := time.Now()
			press := r.motor.Stop()
			r.end()
			if err := <-r.ended; err != nil {
				t.Errorf("Run: %v", err)
			}
			r.ended <- nil
			if took := time.Since(told); took > 100*time.Millisecond {
				t.Errorf("told after %v, it took %v to end", after, took)
			}
			// A stop that was pressed before is still obeyed, if there was a connection.
			if err := r.answer(press); after > 0 && err != nil {
				t.Errorf("pressed and told to end after %v: %v", after, err)
			}
			if o := <-done; o.err == nil {
				t.Errorf("told after %v: the move has no error", after)
			}
			_, err := r.motor.MoveTo(t.Context(), plain(10))
			failed(t, err, device.CodeMotorDisconnected)
			failed(t, r.answer(r.motor.Stop()), device.CodeMotorDisconnected)
		})
	}
}

func TestRunEndsDuringAnOutage(t *testing.T) {
	for after := time.Duration(0); after < 5*time.Second; after += 130 * time.Millisecond {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.unplug()
			r.run()
			time.Sleep(after)
			told := time.Now()
			r.end()
			<-r.ended
			r.ended <- nil
			if took := time.Since(told); took != 0 {
				t.Errorf("told after %v, it took %v to end", after, took)
			}
		})
	}
}

func TestRunLeavesTheTorqueAsItIs(t *testing.T) {
	for _, torque := range []int32{0, 1} {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.connect()
			if torque == 0 {
				r.press()
			}
			r.end()
			<-r.ended
			r.ended <- nil
			r.holds(dynamixel.TorqueEnable, torque)
		})
	}
}

func TestStatusAfterRunIsNotConnected(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		r.end()
		<-r.ended
		r.ended <- nil
		if s := r.motor.Status(); s.Connection == device.Connected {
			t.Errorf("nobody is there to reach the servo, and the status is %+v", s)
		}
	})
}

// Whoever receives late sees the last status.
func TestChangedJoinsWhatIsNotReceived(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.run()
		time.Sleep(time.Minute) // nobody receives
		<-r.motor.Changed()
		select {
		case <-r.motor.Changed():
			t.Error("a second change although nothing happened")
		default:
		}
		if s := r.motor.Status(); s.Connection != device.Connected || !s.Torque {
			t.Errorf("status %+v", s)
		}
		r.press()
		<-r.motor.Changed()
		if r.motor.Status().Torque {
			t.Error("torque is on after the change")
		}
	})
}

// Two motors on two ports have nothing in common.
func TestMotorsAreIndependent(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		other := motor.New(r.config)
		failed(t, r.answer(other.Stop()), device.CodeMotorDisconnected)
		r.moveTo(90)
	})
}
