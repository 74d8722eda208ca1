package motor_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// motionAfter returns what the servo was told after the first n instructions that could move it: a goal
// that is not where it stands, or torque.
func (r *rig) motionAfter(n int) (found []string) {
	for at, i := range r.since(n) {
		if goal, ok := i.write(dynamixel.GoalPosition); ok && goal != fold(i.position) {
			found = append(found, fmt.Sprintf("instruction %d: goal %d at %d", n+at, goal, i.position))
		}
		if i.writes(dynamixel.TorqueEnable, 1) {
			found = append(found, fmt.Sprintf("instruction %d: torque on", n+at))
		}
	}
	return found
}

// scenarios are what may be under way when the emergency stop is pressed. Each returns the errors of
// what it called; it has a connected servo unless it connects itself.
var scenarios = []struct {
	name      string
	connected bool
	run       func(*rig) error
}{
	{"connecting", false, func(r *rig) error {
		r.connect()
		return nil
	}},
	{"connecting with EEPROM to write", false, func(r *rig) error {
		r.prepare(setting{dynamixel.DriveMode, 0x0C}, setting{dynamixel.OperatingMode, 4}, setting{dynamixel.TorqueEnable, 1})
		r.connect()
		return nil
	}},
	{"moving", true, func(r *rig) error {
		arrival, err := r.motor.MoveTo(r.t.Context(), plain(10))
		if off := arrival.Angle.From(10); err == nil && (off < -0.5 || off > 0.5) {
			return fmt.Errorf("MoveTo(10°) reports success at %v", arrival.Angle)
		}
		return err
	}},
	{"cancelling", true, func(r *rig) error {
		ctx, cancel := context.WithTimeout(r.t.Context(), 200*time.Millisecond)
		defer cancel()
		r.motor.MoveTo(ctx, plain(90))
		return nil
	}},
	{"stalling", true, func(r *rig) error {
		r.servo.SetFaults(simulator.Faults{Jam: true})
		defer r.servo.SetFaults(simulator.Faults{})
		r.motor.MoveTo(r.t.Context(), plain(2))
		return nil
	}},
}

// The stop is pressed in the middle of each transaction of each scenario: the next packet switches
// torque off, and nothing afterwards moves the carousel until the reset.
func TestStopAtEveryInstruction(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			atEveryInstruction(t, func(t *testing.T, n int, end func()) {
				onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
					if s.connected {
						r.connect()
					}
					begun := r.count()
					var press device.Press
					var answer error
					pressed := make(chan struct{})
					r.onInstruction(func(i int, _ instruction) {
						if i == begun+n {
							press = r.motor.Stop()
							go func() { answer = <-press.Done; close(pressed) }()
						}
					})
					err := s.run(r)
					select {
					case <-pressed:
					case <-time.After(5 * time.Second):
						end() // the scenario has fewer instructions
						return
					}
					time.Sleep(5 * time.Second)
					if answer != nil {
						t.Errorf("stop: %v", answer)
					}
					if next := r.since(begun + n + 1); len(next) == 0 || !next[0].writes(dynamixel.TorqueEnable, 0) {
						t.Errorf("it is not followed by torque off: %+v", next)
					}
					for _, m := range r.motionAfter(begun + n + 1) {
						t.Error(m)
					}
					r.holds(dynamixel.TorqueEnable, 0)
					if status := r.motor.Status(); status.Torque || status.Connection != device.Connected {
						t.Errorf("status %+v", status)
					}
					if attempts := len(r.attempts()); attempts != 1 {
						t.Errorf("the port was opened %d times", attempts)
					}
					if err != nil {
						failed(t, err, device.CodeEmergencyStopped)
					}
					_, err = r.motor.MoveTo(t.Context(), plain(20))
					failed(t, err, device.CodeEmergencyStopped)

					r.servo.Turn(5) // what it stands at is not the old goal
					r.reset(press.Number)
					r.isHeldInPlace()
					r.moveTo(30)
				})
			})
		})
	}
}

func TestStopDuringAMove(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		done := r.begin(t.Context(), 180)
		time.Sleep(time.Second)
		at := r.servo.Register(dynamixel.PresentPosition)
		pressed := time.Now()
		r.press()
		// The transaction on the wire takes 10 ms, the stop two of less than 5 ms.
		if took := time.Since(pressed); took > 20*time.Millisecond {
			t.Errorf("torque was read back as off after %v", took)
		}
		o := <-done
		failed(t, o.err, device.CodeEmergencyStopped)
		if late := o.at.Sub(pressed); late > 100*time.Millisecond {
			t.Errorf("the move ended %v after the stop", late)
		}
		if way := r.servo.Register(dynamixel.PresentPosition) - at; way > 20 {
			t.Errorf("it went on for %d steps", way)
		}
	})
}

func TestStopAtRestIsTheNextPacket(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		time.Sleep(3 * time.Second)
		before, pressed := r.count(), time.Now()
		press := r.press()
		heard := r.since(before)
		if press.Number != 1 || len(heard) != 2 || !heard[0].writes(dynamixel.TorqueEnable, 0) || !heard[1].reads(64, 1) {
			t.Errorf("press %d: %+v", press.Number, heard)
		}
		if took := heard[0].at.Sub(pressed); took > 3*time.Millisecond { // 13 bytes on the wire: 2.3 ms
			t.Errorf("the servo had it after %v", took)
		}
		if r.motor.Status().Torque {
			t.Error("the status says that torque is on")
		}
	})
}

func TestEveryPressIsAnswered(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		var presses []device.Press
		for range 50 {
			presses = append(presses, r.motor.Stop())
			time.Sleep(time.Millisecond) // some while the bus is busy with those before
		}
		for n, p := range presses {
			if p.Number != uint64(n+1) {
				t.Errorf("press %d has the number %d", n+1, p.Number)
			}
			if err := r.answer(p); err != nil {
				t.Errorf("press %d: %v", p.Number, err)
			}
		}
		failed(t, r.motor.Reset(t.Context(), 49), device.CodeEmergencyStopped)
		r.holds(dynamixel.TorqueEnable, 0)
		r.reset(50)
		r.isHeldInPlace()
	})
}

func TestStopInsistsOnTorqueOff(t *testing.T) {
	for name, faults := range map[string]simulator.Faults{
		"lost replies":    {DropNext: 2},
		"damaged replies": {CorruptNext: 2},
		"noise":           {NoiseNext: []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x10, 0x00}},
	} {
		t.Run(name, func(t *testing.T) {
			onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
				r.connect()
				r.servo.SetFaults(faults)
				r.press()
				r.holds(dynamixel.TorqueEnable, 0)
			})
		})
	}
}

func TestStopGoesAheadOfARepetition(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		before := r.count()
		var press device.Press
		r.once(func(i instruction) bool { return i.writes(dynamixel.GoalPosition, 1024) }, func() {
			r.servo.SetFaults(simulator.Faults{DropNext: 1})
			press = r.motor.Stop()
		})
		o := <-r.begin(t.Context(), 90)
		failed(t, o.err, device.CodeEmergencyStopped)
		if err := r.answer(press); err != nil {
			t.Errorf("stop: %v", err)
		}
		if heard := r.since(before); !heard[1].writes(dynamixel.TorqueEnable, 0) {
			t.Errorf("the goal was followed by %+v", heard[1].Packet)
		}
		if m := r.motionAfter(before + 1); len(m) > 0 {
			t.Error(m)
		}
	})
}

// Nobody answers any more, or nobody's answers arrive: whatever is being waited for, torque off goes out at once.
func TestStopDoesNotWaitForAReplyThatIsLate(t *testing.T) {
	for lost := range 3 { // the last of which would be the end of the connection
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.connect()
			before := r.count()
			r.servo.SetFaults(simulator.Faults{DropNext: 100})
			var press device.Press
			r.onInstruction(func(n int, i instruction) {
				if n == before+lost {
					press = r.motor.Stop()
				}
			})
			moved := r.begin(t.Context(), 90)
			time.Sleep(time.Second)
			heard := r.since(before)
			if took := heard[lost+1].at.Sub(heard[lost].at); !heard[lost+1].writes(dynamixel.TorqueEnable, 0) || took > 30*time.Millisecond {
				t.Errorf("with %d replies lost before, % x comes %v later", lost, heard[lost+1].Packet.Params, took)
			}
			r.holds(dynamixel.TorqueEnable, 0)
			r.unhook()
			r.servo.SetFaults(simulator.Faults{})
			r.answer(press)
			<-moved
		})
	}
}

// What has been asked for and waits for the bus waits longer.
func TestStopGoesAheadOfWhatWaits(t *testing.T) {
	for range 20 {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.connect()
			before := r.count()
			r.once(func(i instruction) bool { return i.samples() }, func() {
				r.motor.Stop()
				for range 5 {
					go r.motor.Reset(t.Context(), 0) // reads the servo before it is refused
				}
			})
			time.Sleep(11 * time.Second)
			if heard := r.since(before); len(heard) < 8 || !heard[1].writes(dynamixel.TorqueEnable, 0) {
				t.Errorf("the stop was followed by %+v", heard[1:])
			}
		})
	}
}

// No order of stop, reset and the end of a move may bring that move back.
func TestMoveBegunBeforeAStopWritesNothingAfterIt(t *testing.T) {
	for _, wait := range []time.Duration{0, 5 * time.Millisecond, 25 * time.Millisecond, 200 * time.Millisecond, time.Second} {
		for _, cancelled := range []bool{false, true} {
			onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
				r.connect()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := r.begin(ctx, 180)
				time.Sleep(time.Second)
				p := r.press()
				if cancelled {
					cancel()
				}
				time.Sleep(wait)
				r.reset(p.Number)
				after := r.count()
				if o := <-done; o.err == nil {
					t.Errorf("reset after %v: no error", wait)
				}
				time.Sleep(25 * time.Second)
				for _, i := range r.since(after) {
					if i.Instruction != dynamixel.Read {
						t.Errorf("reset after %v: the servo heard %+v", wait, i.Packet)
					}
				}
				r.isHeldInPlace()
			})
		}
	}
}
