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
		time.Sleep(time.Hour)
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
		r.heard(time.Hour)
		r.noMove()
		motor.Find()
		r.move(1)
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

func TestWhatMustNotGoOnEndsAsInterrupted(t *testing.T) {
	all := []string{"ran interrupted interrupted", "second interrupted interrupted", "third interrupted interrupted"}
	for name, leave := range map[string]func(t *testing.T, r *rig) *rig{
		"too late": func(t *testing.T, r *rig) *rig { return r.restartAfter(time.Minute+1, devicetest.New()) },
		"another boot": func(t *testing.T, r *rig) *rig {
			next := r.kill()
			next.rebooted = true
			return startRig(t, devicetest.New(), next)
		},
		"latched": func(t *testing.T, r *rig) *rig {
			d := r.store.(*disk)
			saved, _ := d.Memory.Load()
			_ = d.Memory.Save(device.Change{Standing: device.Standing{Latched: true}, NextEvent: saved.NextEvent})
			return r.restartAfter(0, devicetest.New())
		},
		"released": func(t *testing.T, r *rig) *rig {
			d := r.store.(*disk)
			saved, _ := d.Memory.Load()
			_ = d.Memory.Save(device.Change{Standing: device.Standing{Released: true}, NextEvent: saved.NextEvent})
			return r.restartAfter(0, devicetest.New())
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := startRig(t, devicetest.New(), new(disk))
				r.submit(hotel("ran", "B"), angle("second", 90), home("third"))
				time.Sleep(time.Second)
				r.settle()
				r = leave(t, r)
				var got []string
				for _, op := range r.events {
					if op.State != device.Queued && op.State != device.Running {
						got = append(got, brief(op))
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(all) {
					t.Errorf("the events are %q, want %q", got, all)
				}
				r.heard(time.Hour)
				r.noMove()
			})
		})
	}
}

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

func TestWithoutAWindowNothingGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t, devicetest.New(), new(disk))
		r.submit(home("ran"))
		next := r.kill()
		r = newRigWith(t, devicetest.New(), next, func(c *device.Config) { c.ResumeWindow = 0 })
		r.start()
		r.heard(time.Second)
		r.noMove()
		if got := brief(r.last("ran")); got != "ran interrupted interrupted" {
			t.Error(got)
		}
	})
}

func TestWhatHasNoAttemptsLeftEndsAsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := interrupted(t, time.Second, devicetest.New(), once(home("ran")), once(hotel("waited", "B")))
		r.expect("ran interrupted interrupted", "waited retrying interrupted")
		r.heard(time.Second)
		r.arrive(1)
		r.expect("waited running", "waited completed")
		if op := r.last("ran"); op.Attempt != 1 {
			t.Errorf("what ran ended with attempt %d", op.Attempt)
		}
	})
}

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

func TestARebootDoesNotGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := interrupted(t, time.Second, devicetest.New(), home("ran"), reboot("reboot"), hotel("waited", "B"))
		r.expect("ran retrying interrupted", "reboot interrupted interrupted", "waited retrying interrupted")
		r.heard(time.Second)
		r.arrive(1)
		r.arrive(2)
		if n := len(r.motor.Calls(devicetest.Reboot)); n != 0 {
			t.Errorf("the servo was rebooted %d times", n)
		}
	})
}

func TestAMoveToAHotelThatIsGoneDoesNotGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t, devicetest.New(), new(disk))
		r.submit(hotel("ran", "D"))
		next := r.kill()
		r = newRigWith(t, devicetest.New(), next, func(c *device.Config) { c.Carousel.Hotels = device.EvenlySpaced([]string{"A"}, 0, 1) })
		r.start()
		if got := brief(r.last("ran")); got != "ran interrupted interrupted" {
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
