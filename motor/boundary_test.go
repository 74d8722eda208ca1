package motor_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

const step = 360.0 / 4096

// The servo folds its position into one turn when torque comes on. At 0° a single step, which a touch or
// the encoder's noise may make between reading and switching on, decides which end of the turn it is at.
func TestTorqueThatComesOnAtTheEndOfTheTurn(t *testing.T) {
	for _, turn := range []float64{step, -step} {
		for _, angle := range []float64{0, 360 - step} {
			t.Run(fmt.Sprint(angle, turn), func(t *testing.T) {
				onRig(t, simulator.Config{Angle: angle}, func(t *testing.T, r *rig) {
					on := func(i instruction) bool { return i.writes(dynamixel.TorqueEnable, 1) }
					r.once(on, func() { r.servo.Turn(turn) })
					r.connect()
					time.Sleep(5 * time.Second)
					want := int32(math.Round((angle+turn)/step)+4096) % 4096
					if p := r.servo.Register(dynamixel.PresentPosition); p != want {
						t.Errorf("the carousel turned from %d to %d", want, p)
					}
					r.holds(dynamixel.GoalPWM, r.servo.Register(dynamixel.PWMLimit))
					r.moveTo(90)
				})
			})
		}
	}
}

// What a cancelled move brakes for must not lead over the end of the turn, or it would go all the way back.
func TestCancelledMoveHaltsShortOfTheEndOfTheTurn(t *testing.T) {
	for after := 1300 * time.Millisecond; after < 1700*time.Millisecond; after += 20 * time.Millisecond {
		onRig(t, simulator.Config{Angle: 60}, func(t *testing.T, r *rig) {
			r.config.Acceleration = 5
			r.connect()
			ctx, cancel := context.WithCancel(t.Context())
			done := r.begin(ctx, 0)
			time.Sleep(after)
			cancel()
			<-done
			time.Sleep(5 * time.Second)
			if p := r.servo.Register(dynamixel.PresentPosition); p > 60*4096/360 {
				t.Errorf("cancelled after %v, it is at %d", after, p)
			}
		})
	}
}

// A deafPort swallows what fits while it is deaf.
type deafPort struct {
	motor.Port
	swallows func(dynamixel.Packet) bool
}

func (p deafPort) Write(b []byte) (int, error) {
	var parser dynamixel.Parser
	parser.Feed(append([]byte(nil), b...))
	if packet, ok := parser.Next(); ok && p.swallows(packet) {
		return len(b), nil
	}
	return p.Port.Write(b)
}

// A stop does not give up when the servo hears everything but that.
func TestStopThatTheServoDoesNotHear(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		swallowed := 0
		r.wrapPort = func(p motor.Port) motor.Port {
			return deafPort{p, func(p dynamixel.Packet) bool {
				i := instruction{Packet: p}
				if !i.writes(dynamixel.TorqueEnable, 0) || swallowed == 4 {
					return false
				}
				swallowed++
				return true
			}}
		}
		r.connect()
		done := r.begin(t.Context(), 350)
		time.Sleep(time.Second)
		press := r.motor.Stop()
		var failure *device.Error
		if err := r.answer(press); !errors.As(err, &failure) || failure.Code != device.CodeMotorDisconnected {
			t.Errorf("a stop that was not heard: %v", err)
		}
		<-done
		time.Sleep(2 * time.Second)
		r.holds(dynamixel.TorqueEnable, 0)
		if err := r.answer(r.motor.Stop()); err != nil {
			t.Errorf("the next stop: %v", err)
		}
	})
}

// A stuckPort takes no bytes once it is stuck, until it is closed.
type stuckPort struct {
	motor.Port
	stuck  func() bool
	closed chan struct{}
}

func (p *stuckPort) Write(b []byte) (int, error) {
	if p.stuck() {
		<-p.closed
		return 0, errors.New("closed")
	}
	return p.Port.Write(b)
}

func (p *stuckPort) Close() error {
	close(p.closed)
	return p.Port.Close()
}

func TestPortThatTakesNoBytes(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		var stuck atomic.Bool
		r.wrapPort = func(p motor.Port) motor.Port {
			return &stuckPort{p, stuck.Load, make(chan struct{})}
		}
		r.connect()
		done := r.begin(t.Context(), 350)
		time.Sleep(time.Second)
		stuck.Store(true)
		press := r.motor.Stop()
		began := time.Now()
		if err := r.answer(press); err == nil {
			t.Error("the stop was answered as obeyed")
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the answer took %v", took)
		}
		<-done
		stuck.Store(false)
		time.Sleep(3 * time.Second)
		r.holds(dynamixel.TorqueEnable, 0)
		r.reset(press.Number)
	})
}

// A reset that comes while another one switches torque on must not undo the move that follows.
func TestResetDuringAReset(t *testing.T) {
	for apart := time.Duration(0); apart < 100*time.Millisecond; apart += 3 * time.Millisecond {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			r.connect()
			press := r.press()
			second := make(chan error, 1)
			time.AfterFunc(apart, func() { second <- r.motor.Reset(t.Context(), press.Number) })
			r.reset(press.Number)
			r.moveTo(90)
			if err := <-second; err != nil {
				t.Errorf("a second reset %v after the first: %v", apart, err)
			}
		})
	}
}
