package device_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

func TestAShutdownHaltsWhatRunsAndEndsWhatWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("1"), home("2"), home("3"))
		r.expect("1 queued", "1 running", "2 queued", "3 queued")
		r.cancel()
		if took := r.waitEnd(time.Second); took != 0 {
			t.Errorf("Run returned after %v", took)
		}
		if move := r.move(1); !move.Ended() {
			t.Error("the move goes on")
		}
		for _, id := range []string{"1", "2", "3"} {
			if got := brief(r.last(id)); got != id+" interrupted interrupted" {
				t.Error(got)
			}
		}
		saved, _ := r.store.Load()
		for _, record := range saved.Records {
			op := record.Operation
			if op.State != device.Interrupted {
				t.Errorf("stored is %s", brief(op))
			}
		}
	})
}

func TestAShutdownWaitsForTheMoveToBeHalted(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"))
		r.cancel()
		time.Sleep(700 * time.Millisecond)
		select {
		case <-r.ended:
			t.Fatal("Run returned while the carousel turned")
		default:
		}
		r.move(1).Fail(context.Canceled)
		r.waitEnd(0)
		if got := brief(r.last("1")); got != "1 interrupted interrupted" {
			t.Error(got)
		}
	})
}

func TestAShutdownWaitsASecondAtTheLatest(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"))
		r.cancel()
		if took := r.waitEnd(time.Minute); took != time.Second {
			t.Errorf("Run returned after %v, want 1s", took)
		}
		if got := brief(r.last("1")); got != "1 interrupted interrupted" {
			t.Error(got)
		}
	})
}

func TestAfterAShutdownNoGoroutineIsLeft(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("motor late %v", late), func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			synctest.Test(t, func(t *testing.T) {
				inside := goleak.IgnoreCurrent()
				r := startRig(t, devicetest.New(), new(device.Memory))
				r.motor.HoldHalts(late)
				r.motor.HoldStops(late)
				r.motor.HoldResets(late)
				r.submit(home("1"), home("2"), reset("3"))
				r.stop("4")
				r.cancel()
				r.waitEnd(time.Minute)
				r.shutDown() // the motor returns, too late
				if err := goleak.Find(before, inside); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestStartingAndStoppingAtAnyMomentLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for i := range 100 {
			id := fmt.Sprint(i)
			began := make(chan struct{})
			go func() {
				close(began)
				r.Submit(home(id))
			}()
			<-began
			r.cancel() // at the same time
			synctest.Wait()
			time.Sleep(time.Second) // so that the flood rule lets the answer through
			r.settle()
			if op := r.last(id); op.Error == nil || op.Error.Code != device.CodeInterrupted {
				t.Fatalf("ended as %s", brief(op))
			}
			r = r.restart(devicetest.New())
		}
	})
}

func TestAStopWhileTheDeviceShutsDownIsLatched(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"))
		r.cancel()
		r.settle()
		r.stop("stop")
		r.move(1).Fail(context.Canceled)
		r.waitEnd(0)
		if got := brief(r.last("stop")); got != "stop completed" {
			t.Error(got)
		}
		r = r.restart(devicetest.New())
		r.status(device.StatusEStop)
	})
}

// Run has the choice between a press and the end, and must not lose the press.
func TestAStopAtTheMomentOfTheShutdownIsLatched(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			motor := &busy{Motor: devicetest.New()}
			r := wrapRig(t, motor, motor.Motor, new(device.Memory))
			r.start()

			release := motor.occupy()
			go r.Stop(func() *device.Command {
				return &device.Command{ID: "stop", Name: device.StopOperation}
			})
			synctest.Wait()
			r.cancel()
			release()

			r.waitEnd(time.Minute)
			if saved, _ := r.store.Load(); !saved.Latched {
				t.Error("the press was lost")
			}
		})
		if t.Failed() {
			return
		}
	}
}

func TestACommandThatComesWhileTheDeviceShutsDownIsAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"))
		r.cancel()
		r.settle()
		r.submit(home("late"))
		r.move(1).Fail(context.Canceled)
		r.waitEnd(0)
		r.submit(home("too late"))
		for _, id := range []string{"late", "too late"} {
			if got := brief(r.last(id)); got != id+" rejected interrupted" {
				t.Error(got)
			}
		}
		r.move(1)
	})
}
