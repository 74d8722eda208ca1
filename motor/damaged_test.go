package motor_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// A damager is a port on which the servo receives the packet number n damaged, and says so.
type damager struct {
	motor.Port
	n      atomic.Int64
	answer atomic.Bool
}

func (d *damager) Write(b []byte) (int, error) {
	if d.n.Add(-1) == -1 {
		d.answer.Store(true)
		return len(b), nil
	}
	return d.Port.Write(b)
}

func (d *damager) Read(b []byte) (int, error) {
	if d.answer.CompareAndSwap(true, false) {
		time.Sleep(3 * time.Millisecond)
		return copy(b, dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: dynamixel.Status, Error: dynamixel.CRCError})), nil
	}
	return d.Port.Read(b)
}

// onDamaged runs a test for every packet that may arrive damaged, from when it lets the damager count.
func onDamaged(t *testing.T, faults simulator.Faults, test func(t *testing.T, r *rig, count func())) {
	t.Helper()
	atEveryInstruction(t, func(t *testing.T, n int, end func()) {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			d := new(damager)
			d.n.Store(1 << 40)
			r.wrapPort = func(p motor.Port) motor.Port { d.Port = p; return d }
			r.servo.SetFaults(faults)
			test(t, r, func() { d.n.Store(int64(n)) })
			if d.n.Load() >= 0 {
				end()
				return
			}
			r.holds(dynamixel.TorqueEnable, 1)
			r.holds(dynamixel.PositionPGain, 900)
			r.holds(dynamixel.GoalPWM, 885)
		})
	})
}

// An instruction that arrives damaged is not carried out, and so repeated.
func TestDamagedInstructionOfConnecting(t *testing.T) {
	onDamaged(t, simulator.Faults{}, func(_ *testing.T, r *rig, count func()) {
		count()
		r.connect()
	})
}

func TestDamagedInstructionOfAReset(t *testing.T) {
	onDamaged(t, simulator.Faults{}, func(_ *testing.T, r *rig, count func()) {
		r.connect()
		press := r.press()
		count()
		r.reset(press.Number)
	})
}

func TestDamagedInstructionOfAPreciseMove(t *testing.T) {
	onDamaged(t, simulator.Faults{Friction: 2.3}, func(t *testing.T, r *rig, count func()) {
		r.connect()
		r.once(func(i instruction) bool { return i.writes(dynamixel.GoalPWM, 180) }, count)
		if _, err := r.motor.MoveTo(t.Context(), precise(90)); err != nil {
			t.Error(err)
		}
		time.Sleep(100 * time.Millisecond)
	})
}
