package motor_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// Of 100 replies one is lost, one has a wrong bit, and one comes behind noise: a thousand moves end where they
// should, all at the first attempt.
func TestThousandMovesOnADisturbedLine(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.config.Speed = 320
		r.connect()
		r.servo.SetFaults(simulator.Faults{DropRate: 0.01, CorruptRate: 0.01, NoiseRate: 0.01, Seed: 4})
		random := rand.New(rand.NewPCG(5, 6))
		for n := range 1000 {
			goal := device.Degrees(random.Float64() * 359.9)
			if _, err := r.motor.MoveTo(t.Context(), plain(goal)); err != nil {
				t.Fatalf("move %d: %v", n, err)
			}
			at := device.Degrees(r.servo.Register(dynamixel.PresentPosition)) * 360 / 4096
			if off := at - goal; off < -0.5 || off > 0.5 {
				t.Errorf("move %d ended at %v instead of %v", n, at, goal)
			}
		}
		if n := r.motor.Status().SerialErrors; n < 300 {
			t.Errorf("only %d transactions were disturbed", n)
		}
		if n := len(r.attempts()); n != 1 {
			t.Errorf("the port was opened %d times", n)
		}
	})
}

// The cable is pulled at every instruction of a precise move. The move ends, and when the cable is back, the
// carousel stands, is held, and turns again.
func TestUnpluggedAtEveryInstructionOfAMove(t *testing.T) {
	atEveryInstruction(t, func(t *testing.T, n int, end func()) {
		onRough(t, 2.3, 1, func(t *testing.T, r *rig) {
			r.config.Speed = 320
			before := r.count()
			var pulled time.Time
			r.onInstruction(func(at int, _ instruction) {
				if at == before+n {
					r.unplug()
					pulled = time.Now()
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := r.motor.MoveTo(ctx, precise(30))
			r.unhook()
			if pulled.IsZero() {
				end()
				return
			}
			if took := time.Since(pulled); took > 100*time.Millisecond {
				t.Errorf("it took %v", took)
			}
			if err != nil { // the last instruction is no longer part of the way
				failed(t, err, device.CodeMotorDisconnected)
			}
			time.Sleep(5 * time.Second)
			r.plug()
			time.Sleep(15 * time.Second)
			r.await("connected", connected)
			r.holds(dynamixel.TorqueEnable, 1)
			r.holds(dynamixel.Moving, 0)
			r.holds(dynamixel.BusWatchdog, 0)
			r.holds(dynamixel.PositionPGain, 900)
			r.servo.SetFaults(simulator.Faults{})
			r.moveTo(200)
		})
	})
}

// Waiting for a servo costs next to nothing: no more than an attempt every two seconds, and what that takes.
func TestWaitingForAServoCostsLittle(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		r.unplug()
		time.Sleep(time.Minute)
		before, heard := len(r.attempts()), r.count()
		time.Sleep(time.Hour)
		if n := len(r.attempts()) - before; n > 1801 {
			t.Errorf("the port was tried %d times in an hour", n)
		}
		if n := r.count() - heard; n > 0 {
			t.Errorf("%d instructions", n)
		}
		if _, err := r.motor.MoveTo(t.Context(), plain(90)); !errors.As(err, new(*device.Error)) {
			t.Errorf("MoveTo: %v", err)
		}
	})
}
