package device_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// heard lets a stop be heard for so long.
func (r *rig) heard(since time.Duration) {
	r.StopHeard(true)
	time.Sleep(since)
	r.settle()
}

// interrupted is a device that was killed while "ran" ran and "second" and "third" waited, so long ago. A
// second had passed before, in which the store was told what had been delivered.
func interrupted(t *testing.T, away time.Duration, motor *devicetest.Motor, commands ...device.Command) *rig {
	t.Helper()
	r := startRig(t, devicetest.New(), new(disk))
	if commands == nil {
		commands = []device.Command{hotel("ran", "B"), angle("second", 90), home("third")}
	}
	r.submit(commands...)
	time.Sleep(time.Second)
	return r.restartAfter(away, motor)
}

func TestWhatAKilledProcessLeftGoesOnInItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := interrupted(t, 10*time.Second, devicetest.New())
		r.expect("ran retrying interrupted", "second retrying interrupted", "third retrying interrupted")
		if op := r.last("ran"); op.Attempt != 1 || op.StartedAt == nil || op.Error.Message != "the process ended before the operation did" {
			t.Errorf("what ran shows as %+v", op)
		}
		if op := r.last("second"); op.Attempt != 0 || op.StartedAt != nil {
			t.Errorf("what waited shows as %+v", op)
		}
		r.status(device.StatusBusy)
		if n := r.View().State.QueueLength; n != 3 {
			t.Errorf("%d operations wait, want 3", n)
		}
		r.heard(time.Second)
		r.expect("ran running")
		r.submit(home("new"))
		for i := range 4 {
			r.arrive(i + 1)
		}
		r.expect("new queued", "ran completed", "second running", "second completed", "third running",
			"third completed", "new running", "new completed")
		for i, goal := range []device.Degrees{109, 90, 0, 0} {
			if got := r.motor.Moves()[i].Goal; got != goal {
				t.Errorf("move %d went to %v, want %v", i+1, got, goal)
			}
		}
		if first, second := r.last("ran").Attempt, r.last("second").Attempt; first != 2 || second != 1 {
			t.Errorf("attempts %d and %d, want 2 and 1", first, second)
		}
	})
}

func TestNothingGoesOnBeforeAStopHasBeenHeardForASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := interrupted(t, time.Second, devicetest.New())
		r.submit(home("new"))
		time.Sleep(10 * time.Second)
		r.noMove()
		r.heard(time.Second - 1)
		r.noMove()
		r.StopHeard(false)
		time.Sleep(time.Second)
		r.noMove()
		r.StopHeard(true)
		time.Sleep(time.Second / 2)
		r.StopHeard(true) // another connection
		time.Sleep(time.Second / 2)
		r.noMove()
		time.Sleep(time.Second / 2)
		if goal := r.move(1).Goal; goal != 109 {
			t.Errorf("the first move goes to %v, want what ran", goal)
		}
	})
}

func TestNothingGoesOnBeforeItIsKnownWhetherTheMotorIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		motor := devicetest.NewUnconnected()
		r := interrupted(t, time.Second, motor)
		r.heard(10 * time.Second)
		r.noMove()
		motor.Find()
		r.move(1)
	})
}

// The broker may come back tomorrow, and nobody expects a motion then.
func TestWhatCannotGoOnInTimeEnds(t *testing.T) {
	for name, wait := range map[string]func(t *testing.T) *rig{
		"stop not heard": func(t *testing.T) *rig { return interrupted(t, 20*time.Second, devicetest.New()) },
		"motor not contacted": func(t *testing.T) *rig {
			r := interrupted(t, 20*time.Second, devicetest.NewUnconnected())
			r.heard(0)
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := wait(t)
				r.expect("ran retrying interrupted", "second retrying interrupted", "third retrying interrupted")
				time.Sleep(40*time.Second - 1)
				r.expect()
				time.Sleep(time.Nanosecond)
				r.expect("ran interrupted interrupted", "second interrupted interrupted", "third interrupted interrupted")
				if m := r.last("ran").Error.Message; m != "the process ended before the operation did, and it could not go on within 1m0s" {
					t.Errorf("the message is %q", m)
				}
				r.motor.Find()
				r.heard(time.Second)
				r.noMove()
				r.submit(home("new"))
				r.move(1)
			})
		})
	}
}

func TestWhatIsNewRunsOnceNothingGoesOnAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := interrupted(t, time.Second, devicetest.New(), hotel("ran", "B"))
		r.submit(home("new"))
		time.Sleep(time.Minute)
		if goal := r.move(1).Goal; goal != 0 {
			t.Errorf("the move goes to %v", goal)
		}
		r.arrive(1)
		r.status(device.StatusReady)
	})
}

// The window begins with the end of the process that ran, however many have waited since.
func TestBeingKilledWhileItWaitsGivesItNoMoreTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := interrupted(t, 5*time.Second, devicetest.New(), hotel("ran", "B"))
		for i := range 5 {
			r.submit(home(fmt.Sprint("new", i))) // which is saved
			time.Sleep(6 * time.Second)
			r = r.restartAfter(5*time.Second, devicetest.New())
		}
		if got := brief(r.last("ran")); got != "ran interrupted interrupted" {
			t.Error(got)
		}
		r.heard(time.Hour)
		r.noMove()
	})
}

func TestADegradedDeviceSaysWhatItWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := interrupted(t, time.Second, devicetest.New())
		r.Warn("disk", "It is full")
		r.status(device.StatusDegraded)
		if m := r.View().State.Message; m != "Waiting until a stop would be heard, to go on after the interruption; It is full" {
			t.Errorf("the message is %q", m)
		}
	})
}

func TestWhatGoesOnFailsWithoutAMotor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		motor := devicetest.NewUnconnected()
		r := interrupted(t, time.Second, motor)
		motor.Lose("no such file")
		r.heard(time.Second)
		for _, id := range []string{"ran", "second", "third"} {
			if got := brief(r.last(id)); got != id+" failed motor_disconnected" {
				t.Error(got)
			}
		}
		r.noMove()
	})
}

// A disk that fails has an earlier state, in which what was given up since still runs.
func TestTheWindowIsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := interrupted(t, 54*time.Second, devicetest.New()) // and the seconds before the end
		r.heard(time.Second)
		r.move(1)
	})
}

// The window begins with the end of the process, not with the last operation.
func TestAMoveOfAnHourGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t, devicetest.New(), new(disk))
		r.submit(home("1"))
		time.Sleep(time.Hour)
		r = r.restartAfter(50*time.Second, devicetest.New())
		r.heard(time.Second)
		r.move(1)
	})
}

// It was halting when the process was killed.
// An operation that is killed each time has as many attempts as any other.
func TestBeingKilledUsesUpAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t, devicetest.New(), new(disk))
		r.submit(retries(2, home("1")))
		for attempt := 2; attempt <= 3; attempt++ {
			time.Sleep(time.Second)
			r = r.restartAfter(time.Second, devicetest.New())
			time.Sleep(time.Second) // killed before it has gone on is no attempt
			r = r.restartAfter(time.Second, devicetest.New())
			r.heard(time.Second)
			if op := r.last("1"); op.State != device.Running || op.Attempt != attempt {
				t.Fatalf("it is %s, attempt %d, want attempt %d", brief(op), op.Attempt, attempt)
			}
		}
		r = r.restartAfter(time.Second, devicetest.New())
		r.heard(time.Second)
		r.noMove()
		if got := brief(r.last("1")); got != "1 interrupted interrupted" {
			t.Error(got)
		}
	})
}

func TestAStopCancelsWhatWouldGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := interrupted(t, time.Second, devicetest.New())
		r.heard(time.Second / 2)
		r.stop("stop")
		r.heard(time.Hour)
		r.noMove()
		for _, id := range []string{"ran", "second", "third"} {
			if got := brief(r.last(id)); got != id+" cancelled emergency_stopped" {
				t.Error(got)
			}
		}
		r.submit(reset("reset"))
		r.submit(home("new"))
		if goal := r.move(1).Goal; goal != 0 {
			t.Errorf("a move goes to %v", goal)
		}
	})
}

func TestWhatWouldGoOnCanBeCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := interrupted(t, time.Second, devicetest.New())
		r.submit(cancel("c1", "second"))
		if got := brief(r.last("second")); got != "second cancelled cancelled" {
			t.Error(got)
		}
		r.submit(cancel("c2", "all"), home("new"))
		r.move(1) // which waits for nobody
		r.status(device.StatusBusy)
		for _, id := range []string{"ran", "third"} {
			if got := brief(r.last(id)); got != id+" cancelled cancelled" {
				t.Error(got)
			}
		}
	})
}

func TestAShutdownEndsWhatWouldGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := interrupted(t, time.Second, devicetest.New())
		r = r.restart(devicetest.New())
		r.heard(time.Hour)
		r.noMove()
		for _, op := range *r.View().History {
			if op.State != device.Interrupted {
				t.Error(brief(op))
			}
		}
		if n := len(*r.View().History); n != 3 {
			t.Errorf("%d have ended, want 3", n)
		}
	})
}

func TestWhatWouldGoOnExpiresUnlessItHadBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().Add(5 * time.Second)
		r := interrupted(t, 10*time.Second, devicetest.New(), expiring(at, home("ran")), expiring(at, hotel("waited", "B")))
		r.heard(time.Second)
		r.arrive(1)
		r.expect("ran retrying interrupted", "waited retrying interrupted", "ran running", "ran completed", "waited expired expired")
	})
}

func TestTheSameCommandAgainAfterAKillIsTheSameOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := time.Now().Add(time.Hour).In(time.FixedZone("", 5*3600+1800))
		moves := func() []device.Command {
			withEmpty := expiring(in, hotel("empty", "B"))
			withEmpty.Parameters.Overrides = map[string]*float64{}
			withSome := angle("some", 0.1+0.2)
			withSome.Parameters.Precise = new(true)
			withSome.Parameters.Overrides = map[string]*float64{"max_step_factor": new(100.0 / 3), "pulse_rest": new(0.1)}
			return []device.Command{withEmpty, withSome}
		}
		r := interrupted(t, time.Second, devicetest.New(), moves()...)
		r.submit(moves()...)
		for _, op := range r.events {
			if op.State != device.Retrying {
				t.Errorf("the answer is %s", brief(op))
			}
		}
		if len(r.events) != 4 {
			t.Errorf("%d answers", len(r.events))
		}
		other := moves()[0]
		other.Parameters.ExpiresAt = new(in.Add(1))
		r.submit(other, expiring(in, hotel("empty", "C")))
		r.expect("empty retrying interrupted", "some retrying interrupted", "empty retrying interrupted", "some retrying interrupted",
			"empty rejected duplicate_id", "empty rejected duplicate_id")
	})
}

// The journal must have seen the end before anybody can take it for one.
func TestWhatHasCompletedIsNeverStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t, devicetest.New(), new(disk))
		r.submit(home("1"))
		r.arrive(1)
		want := r.last("1")
		r = r.restartAfter(time.Second, devicetest.New())
		r.heard(time.Second)
		r.submit(home("1"))
		r.noMove()
		if diff := diffOf(want, r.last("1")); diff != "" {
			t.Errorf("the answer differs (-before +after):\n%s", diff)
		}
	})
}
