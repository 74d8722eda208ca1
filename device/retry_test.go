package device_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// fail ends the nth move with that code.
func (r *rig) fail(n int, code device.Code) {
	r.t.Helper()
	if !r.move(n).Fail(device.Errorf(code, "attempt %d", n)) {
		r.t.Fatalf("move %d has ended already", n)
	}
	r.settle()
}

// pause lets the time pass that is between two attempts, and fails unless it is exactly that.
func (r *rig) pause(d time.Duration, moves int) {
	r.t.Helper()
	time.Sleep(d - 1)
	r.move(moves)
	time.Sleep(time.Nanosecond)
	r.move(moves + 1)
}

func TestWhatMayPassIsTriedThreeMoreTimes(t *testing.T) {
	for _, code := range []device.Code{device.CodeTimeout, device.CodeSerialError} {
		t.Run(string(code), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.submit(hotel("1", "B"), home("2"))
				r.expect("1 queued", "1 running", "2 queued")
				for n := 1; n <= 3; n++ {
					r.fail(n, code)
					r.expect("1 retrying " + string(code))
					op := r.last("1")
					if op.Attempt != n || op.Error.Message != fmt.Sprintf("attempt %d", n) || op.FinishedAt != nil {
						t.Errorf("while it waits it is %+v", op)
					}
					s := r.View().State
					want := fmt.Sprintf("Moving to hotel B: trying again after: attempt %d", n)
					if s.Status != device.StatusBusy || s.Message != want || s.Activity != device.Idle || s.LastError != nil {
						t.Errorf("the state is %s, %q, %s", s.Status, s.Message, s.Activity)
					}
					if s.Operation == nil || s.Operation.State != device.Retrying || s.QueueLength != 1 {
						t.Errorf("the state has %+v, and %d wait", s.Operation, s.QueueLength)
					}
					r.pause(5*time.Second, n) // it keeps its place
					r.expect("1 running")
					if op := r.last("1"); op.Attempt != n+1 || op.Error != nil {
						t.Errorf("the next attempt is %+v", op)
					}
				}
				r.fail(4, code)
				r.expect("1 failed "+string(code), "2 running")
				if op := r.last("1"); op.Attempt != 4 || op.Error.Message != "attempt 4" {
					t.Errorf("ended as %+v", op)
				}
			})
		})
	}
}

func TestWhatIsTriedAgainMayComplete(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(hotel("1", "B"))
		r.fail(1, device.CodeTimeout)
		r.pause(5*time.Second, 1)
		time.Sleep(2 * time.Second)
		r.arrive(2)
		r.expect("1 queued", "1 running", "1 retrying timeout", "1 running", "1 completed")
		op := r.last("1")
		if op.Attempt != 2 || op.Error != nil || op.Result.DurationSeconds != 2 || op.FinishedAt.Sub(*op.StartedAt) != 2*time.Second {
			t.Errorf("ended as %+v, %+v", op, op.Result)
		}
		if s := r.View().State; s.LastError != nil || s.OperationsTotal != 1 {
			t.Errorf("the state has the error %+v, %d operations", s.LastError, s.OperationsTotal)
		}
	})
}

// What may be somebody's hand, or a servo that is gone, only on demand; the rest never.
func TestTheCodeDecidesWhatIsTriedAgain(t *testing.T) {
	always := []device.Code{device.CodeTimeout, device.CodeSerialError}
	onDemand := []device.Code{device.CodeStalled, device.CodeMotorDisconnected}
	never := []device.Code{device.CodeMotorFault, device.CodeEmergencyStopped}
	for kind, codes := range map[int][]device.Code{0: always, 1: onDemand, 2: never} {
		for _, code := range codes {
			for _, demanded := range []bool{false, true} {
				t.Run(fmt.Sprint(code, " demanded ", demanded), func(t *testing.T) {
					inBubble(t, func(t *testing.T, r *rig) {
						c := home("1")
						if demanded {
							c = retries(2, c)
						}
						r.submit(c)
						r.fail(1, code)
						want := kind == 0 || kind == 1 && demanded
						if got := r.last("1").State == device.Retrying; got != want {
							t.Errorf("%s", brief(r.last("1")))
						}
					})
				})
			}
		}
	}
}

func TestACommandSaysHowOftenAndWhen(t *testing.T) {
	for _, n := range []int{0, 1, 5} {
		for _, delay := range []float64{0, 0.25, 60} {
			t.Run(fmt.Sprintf("%d after %v s", n, delay), func(t *testing.T) {
				inBubble(t, func(t *testing.T, r *rig) {
					c := retries(n, home("1"))
					c.Parameters.RetryDelaySeconds = &delay
					r.submit(c)
					want := []string{"1 queued", "1 running"}
					for i := range n {
						r.move(i + 1).Fail(device.Errorf(device.CodeStalled, "in the way"))
						if delay > 0 {
							r.settle()
							r.pause(time.Duration(delay*1e9), i+1)
						}
						want = append(want, "1 retrying stalled", "1 running")
					}
					r.fail(n+1, device.CodeStalled)
					r.expect(append(want, "1 failed stalled")...)
					time.Sleep(time.Hour)
					r.move(n + 1)
				})
			})
		}
	}
}

func TestARebootIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.Hold(devicetest.Reboot, true)
		r.submit(reboot("1"))
		time.Sleep(5800*time.Millisecond + 5*time.Second)
		r.call(devicetest.Reboot, 2).Answer(nil)
		r.expect("1 queued", "1 running", "1 retrying timeout", "1 running", "1 completed")
	})
}

// An attempt that cannot even begin counts, or it would never end.
func TestAMotorThatIsGoneIsTriedAgainOnDemand(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(retries(2, home("1")))
		r.motor.Lose("cable out")
		time.Sleep(5 * time.Second)
		r.settle()
		r.expect("1 queued", "1 running", "1 retrying motor_disconnected", "1 running", "1 retrying motor_disconnected")
		time.Sleep(5 * time.Second)
		r.expect("1 running", "1 failed motor_disconnected")
		if op := r.last("1"); op.Attempt != 3 {
			t.Errorf("after %d attempts", op.Attempt)
		}
		r.move(1)
	})
}

func TestAMotorThatComesBackMovesAtTheNextAttempt(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("runs"), retries(2, home("1")))
		r.motor.Lose("cable out")
		r.expect("runs queued", "runs running", "1 queued", "runs failed motor_disconnected", "1 running", "1 retrying motor_disconnected")
		r.motor.Find()
		r.pause(5*time.Second, 1)
		r.expect("1 running")
		r.arrive(2)
		if op := r.last("1"); op.State != device.Completed || op.Attempt != 2 {
			t.Errorf("ended as %+v", op)
		}
	})
}

// While an operation waits for its retry it ends at once, and nothing is left of it.
func TestWhatWaitsForItsRetryCanBeGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(r *rig)
		want string
	}{
		"stop":       {func(r *rig) { r.stop("stop") }, "1 cancelled emergency_stopped"},
		"cancel":     {func(r *rig) { r.submit(cancel("cancel", "1")) }, "1 cancelled cancelled"},
		"cancel all": {func(r *rig) { r.submit(cancel("cancel", "all")) }, "1 cancelled cancelled"},
		"release":    {func(r *rig) { r.submit(connection("off", "OFF")) }, "1 cancelled cancelled"},
		"shutdown":   {func(r *rig) { r.cancel(); r.waitEnd(0) }, "1 interrupted interrupted"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.submit(home("1"))
				r.fail(1, device.CodeTimeout)
				time.Sleep(time.Second)
				c.do(r)
				op := r.last("1")
				if got := brief(op); got != c.want || time.Since(*op.FinishedAt) != 0 {
					t.Errorf("%s, want %s", got, c.want)
				}
				for _, other := range r.events {
					if other.ID != "1" && other.State != device.Completed {
						t.Errorf("the other ended as %s", brief(other))
					}
				}
				if name != "shutdown" {
					r.submit(reset("reset"), connection("on", "ON"))
					r.submit(home("2"))
					time.Sleep(time.Hour)
					if r.move(2).Ended() { // not disturbed by what was left of the first
						t.Error("the next move was ended")
					}
					return
				}
				time.Sleep(time.Hour)
				r.move(1)
			})
		})
	}
}

// The attempt has failed, and before Run hears of it the operation is given up: it is not tried again.
func TestAnOperationThatIsGivenUpAsItFailsIsNotTriedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(r *rig)
		want string
	}{
		"stop":     {func(r *rig) { r.Stop(func() *device.Command { return nil }) }, "1 cancelled emergency_stopped"},
		"cancel":   {func(r *rig) { r.Submit(cancel("cancel", "1")) }, "1 cancelled cancelled"},
		"release":  {func(r *rig) { r.Submit(connection("off", "OFF")) }, "1 cancelled cancelled"},
		"shutdown": {func(r *rig) { r.cancel() }, "1 interrupted interrupted"},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 { // Run has the choice which of the two it hears of first
				synctest.Test(t, func(t *testing.T) {
					motor := &busy{Motor: devicetest.New()}
					r := wrapRig(t, motor, motor.Motor, new(device.Memory))
					r.start()
					r.submit(home("1"))

					release := motor.occupy()
					r.move(1).Fail(device.Errorf(device.CodeTimeout, "too slow"))
					synctest.Wait()
					c.do(r)
					release()
					r.settle()

					if got := brief(r.last("1")); got != c.want {
						t.Error(got)
					}
					time.Sleep(time.Minute)
					r.move(1)
				})
				if t.Failed() {
					return
				}
			}
		})
	}
}

// A timer that has fired already must not start what has been given up since.
func TestARetryThatIsGivenUpAsItIsDueDoesNotBegin(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			motor := &busy{Motor: devicetest.New()}
			r := wrapRig(t, motor, motor.Motor, new(device.Memory))
			r.start()
			r.submit(home("1"))
			r.fail(1, device.CodeTimeout)

			release := motor.occupy()
			time.Sleep(5 * time.Second) // the timer fires while Run is busy
			r.Submit(cancel("cancel", "1"))
			r.Submit(home("2"))
			release()
			r.settle()
			for _, m := range motor.Moves() {
				if !m.Ended() && m.Context.Err() != nil {
					t.Error("a move goes on that was cancelled")
				}
			}
			if got := brief(r.last("1")); got != "1 cancelled cancelled" {
				t.Error(got)
			}
			if got := brief(r.last("2")); got != "2 running" {
				t.Error(got)
			}
		})
		if t.Failed() {
			return
		}
	}
}

func TestAShutdownDuringARetryIsNotTriedAgainAfterTheRestart(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("1"))
		r.move(1).Fail(context.DeadlineExceeded)
		r.settle()
		r = r.restart(devicetest.New())
		time.Sleep(time.Hour)
		r.noMove()
		r.expect()
		if h := *r.View().History; len(h) != 1 || brief(h[0]) != "1 interrupted interrupted" {
			t.Errorf("the history is %+v", h)
		}
	})
}
