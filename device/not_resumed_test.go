package device_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

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

func TestAFailingDiskDoesNotUndoWhatWasGivenUp(t *testing.T) {
	for name, giveUp := range map[string]func(r *rig){
		"stop":    func(r *rig) { r.stop("stop") },
		"release": func(r *rig) { r.submit(connection("off", "OFF")) },
		"cancel":  func(r *rig) { r.submit(cancel("c", "all")) },
		"end":     func(r *rig) { r.shutDown(); time.Sleep(3 * time.Second) },
	} {
		for ill, fall := range map[string]func(*disk) (heal func()){
			"fails": func(d *disk) func() { d.fail(errDisk); return func() {} },
			"hangs": (*disk).hang,
		} {
			t.Run(name+" "+ill, func(t *testing.T) {
				onDisk(t, func(t *testing.T, r *rig, d *disk) {
					r.submit(hotel("ran", "B"), home("second"))
					time.Sleep(time.Second)
					defer fall(d)()
					giveUp(r)
					time.Sleep(5 * time.Second)
					r.settle()
					r = startRig(t, devicetest.New(), d.kill())
					r.heard(time.Second)
					r.noMove()
					if got := brief(r.last("ran")); got != "ran interrupted interrupted" {
						t.Error(got)
					}
				})
			})
		}
	}
}

func TestADiskThatIsWellAgainIsReliedOn(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		d.fail(errDisk)
		r.submit(home("1"))
		d.fail(nil)
		time.Sleep(time.Second)
		r = r.restartAfter(time.Second, devicetest.New())
		r.heard(time.Second)
		r.move(1)
	})
}

func TestWhatWasGivenUpDoesNotGoOn(t *testing.T) {
	for name, c := range map[string]struct {
		giveUp []device.Command
		want   string
	}{
		"cancelled":               {[]device.Command{cancel("c", "ran")}, "ran cancelled cancelled"},
		"released, and connected": {[]device.Command{connection("off", "OFF"), connection("on", "ON")}, "ran cancelled cancelled"},
		"sent again since":        {[]device.Command{cancel("c", "ran"), hotel("ran", "B")}, "ran cancelled cancelled"},
		"end of the process":      {nil, "ran interrupted interrupted"},
	} {
		t.Run(name, func(t *testing.T) {
			onDisk(t, func(t *testing.T, r *rig, d *disk) {
				r.motor.HoldHalts(true)
				r.submit(hotel("ran", "B"), angle("second", 90))
				r.submit(c.giveUp...)
				if c.giveUp == nil {
					r.cancel()
				}
				time.Sleep(100 * time.Millisecond)
				if r.move(1).Ended() {
					t.Fatal("it does not halt")
				}
				next := r.kill()
				r.motor.HoldHalts(false)
				time.Sleep(time.Second)
				r = startRig(t, devicetest.New(), next)
				if got := brief(r.last("ran")); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
				r.heard(time.Second)
				for _, m := range r.motor.Moves() {
					if m.Goal == 109 {
						t.Error("it goes on")
					}
				}
			})
		})
	}
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

func TestWithoutAWindowTheDiskIsNotToldThatTheProcessLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(disk)
		r := newRigWith(t, devicetest.New(), d, func(c *device.Config) { c.ResumeWindow = 0 })
		r.start()
		r.submit(home("1"))
		time.Sleep(2 * time.Second)
		before := d.count()
		time.Sleep(time.Hour)
		if n := d.count() - before; n != 0 {
			t.Errorf("%d writes in an hour of one move", n)
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

func TestTheLogSaysWhereAMoveThatDoesNotGoOnWouldHaveTurned(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		r.submit(hotel("ran", "B"))
		next := r.kill()
		var log bytes.Buffer
		newRigWith(t, devicetest.New(), next, func(c *device.Config) {
			c.ResumeWindow, c.Log = 0, slog.New(slog.NewTextHandler(&log, nil))
		})
		if !strings.Contains(log.String(), "id=ran operation=hotel state=interrupted goal=109") {
			t.Errorf("the log is %s", &log)
		}
	})
}

func TestWhatWasMeantForAnotherServoOrSpeedDoesNotGoOn(t *testing.T) {
	on := func(p device.Parameters) device.Command {
		p.State = new("ON")
		return command("other", device.ConnectionOperation, p)
	}
	for name, c := range map[string]struct {
		command device.Command
		setup   device.Setup // of the settings after the kill
		goesOn  bool
	}{
		"port":      {on(device.Parameters{Port: new("/dev/ttyUSB1")}), device.Setup{Port: "/dev/ttyUSB0", Baud: 57600, ID: 1, Speed: 50}, false},
		"baud":      {on(device.Parameters{Baud: new(1000000)}), device.Setup{Port: "/dev/ttyUSB0", Baud: 57600, ID: 1, Speed: 50}, false},
		"id":        {on(device.Parameters{MotorID: new(2)}), device.Setup{Port: "/dev/ttyUSB0", Baud: 57600, ID: 1, Speed: 50}, false},
		"speed":     {speed("other", 3), device.Setup{Port: "/dev/ttyUSB0", Baud: 57600, ID: 1, Speed: 50}, false},
		"settings":  {speed("other", 50), device.Setup{Port: "/dev/ttyUSB1", Baud: 57600, ID: 1, Speed: 50}, false},
		"as before": {speed("other", 50), device.Setup{Port: "/dev/ttyUSB0", Baud: 57600, ID: 1, Speed: 50}, true},
		"moved": {on(device.Parameters{Port: new("/dev/ttyUSB1"), Baud: new(9600), MotorID: new(2)}),
			device.Setup{Port: "/dev/ttyUSB1", Baud: 9600, ID: 2, Speed: 50}, true},
	} {
		t.Run(name, func(t *testing.T) {
			onDisk(t, func(t *testing.T, r *rig, d *disk) {
				r.submit(c.command)
				r.submit(hotel("ran", "B"))
				next := r.kill()
				again := func(next *disk) {
					r = newRigWith(t, devicetest.New(), next, func(config *device.Config) { config.Setup = c.setup })
					r.start()
				}
				again(next)
				again(r.kill()) // which is after the same move
				r.heard(time.Second)
				if c.goesOn {
					r.move(1)
					return
				}
				r.noMove()
				op := (*r.View().History)[0]
				if brief(op) != "ran interrupted interrupted" || !strings.Contains(op.Error.Message, "the servo or the speed") {
					t.Errorf("%s: %s", brief(op), op.Error.Message)
				}
			})
		})
	}
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

func TestNothingGoesOnWhenAStopMayBeLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := interrupted(t, time.Second, devicetest.New(), hotel("ran", "B"), angle("second", 90))
		r.submit(home("new"))
		r.expect("ran retrying interrupted", "second retrying interrupted", "new queued")
		r.StopMissed()
		r.expect("ran interrupted interrupted", "second interrupted interrupted", "new running")
		r.heard(time.Hour)
		if goal := r.move(1).Goal; goal != 0 {
			t.Errorf("the move goes to %v", goal)
		}
	})
}

func TestAStopThatMayBeLostEndsNothingNew(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("1"), home("2"))
		r.StopMissed()
		r.arrive(1)
		r.arrive(2)
		r.expect("1 queued", "1 running", "2 queued", "1 completed", "2 running", "2 completed")
	})
}
