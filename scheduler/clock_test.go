package scheduler_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
)

const (
	hour = time.Hour
	year = 365 * 24 * hour
)

func TestAPeriodCountsFromWhenItWasSet(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.sleep(1500 * time.Millisecond)
		r.set("tick", everyFive)
		r.sleep(16 * time.Second)
		r.expect("2026-01-01T00:00:06.5Z", "2026-01-01T00:00:11.5Z", "2026-01-01T00:00:16.5Z")
		s := r.status("tick")
		if next := s.NextRun; next == nil || !next.Equal(date("2026-01-01T00:00:21.5Z")) || !s.LastRun.Equal(date("2026-01-01T00:00:16.5Z")) {
			t.Errorf("the schedule is published as %+v", s)
		}
	})
}

func TestAtComesOnceAndStaysDisabled(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		const at = `{"at":"2026-01-01T08:00:00+01:00","operation":"home"}`
		r.set("once", at)
		r.sleep(48 * hour)
		r.expect("2026-01-01T07:00:00Z")
		if s := r.status("once"); s.Enabled || !s.Over || s.NextRun != nil || s.LastRun == nil || s.LastOperation == nil {
			t.Errorf("the schedule is published as %+v", s)
		}
		r.set("once", at) // the same again is nothing new
		r.refused("once", `{"at":"2026-01-01T08:00:00+01:00","operation":"stop"}`, "at is 2026-01-01T07:00:00Z, which has passed: the device's clock says 2026-01-03T00:00:00Z")
		r = r.restart(hour)
		r.sleep(hour)
		r.expect()
		r.counted("once", 0, 0)
		if s := r.status("once"); s.Enabled {
			t.Error("it is enabled after a restart")
		}
	})
}

func TestDowntimeIsCountedAndNotMadeUpFor(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.set("hourly", `{"cron":"@hourly","operation":"home"}`)
		r.set("once", `{"at":"2026-01-01T02:00:00Z","operation":"home"}`)
		r.set("paused", `{"cron":"* * * * *","operation":"home","enabled":false}`)
		r.set("tick", everyFive)
		r.sleep(12 * time.Second)
		r.expect("2026-01-01T00:00:05Z", "2026-01-01T00:00:10Z")
		r = r.restart(5*hour + 1*time.Second) // 05:00:13
		r.expect()
		r.counted("hourly", 5, 0)
		r.counted("once", 1, 0)
		r.counted("paused", 0, 0)
		r.counted("tick", 3600, 0) // 00:00:15 to 05:00:10
		if s := r.status("once"); s.Enabled || s.LastRun != nil {
			t.Errorf("the missed one is %+v", s)
		}
		r.sleep(3 * time.Second)
		r.expect("2026-01-01T05:00:15Z") // in step with what was
		r = r.restart(0)
		r.counted("tick", 3600, 0)
	})
}

// The device's process ends and begins within a second of what is due.
func TestAShortDowntimeIsDowntime(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.set("tick", everyFive)
		r.sleep(4900 * time.Millisecond)
		r = r.restart(200 * time.Millisecond)
		r.expect()
		r.counted("tick", 1, 0)
	})
}

func TestAClockThatIsPutForward(t *testing.T) {
	for _, by := range []time.Duration{time.Minute + 7*time.Second, 3*hour + 7*time.Second, 50*year + 7*time.Second} {
		inBubble(t, func(t *testing.T, r *rig) {
			r.set("tick", everyFive)
			r.set("hourly", `{"cron":"@hourly","operation":"refresh"}`)
			r.set("once", `{"at":"2026-01-01T00:00:40Z","operation":"home"}`)
			r.sleep(6 * time.Second)
			r.expect("2026-01-01T00:00:05Z")
			r.step(by) // to …:13
			stepped := r.now()
			r.sleep(10 * time.Second)
			runs := r.runs()
			for _, run := range runs {
				if run.Source != "schedule:tick" {
					t.Errorf("%v: %s ran at %v", by, run.Source, run.at)
				}
			}
			// It is noticed when the next run would have been due.
			if n := len(runs); n < 1 || n > 2 || runs[0].at.Sub(stepped) > 5*time.Second {
				t.Errorf("%v: %d runs in the 10 s after the step, the first at %v", by, n, runs)
			}
			r.counted("once", 1, 0)
			hours := int(by / hour)
			r.counted("hourly", min(hours, 1000), 0)
			// What was run and what was missed is everything that was due.
			if s := r.status("tick"); s.MissedRuns+len(runs)+1 != int(r.now().Sub(date("2026-01-01T00:00:00Z"))/(5*time.Second)) {
				t.Errorf("%v: %d runs were missed and %d made by %v", by, s.MissedRuns, len(runs)+1, r.now())
			}
			if w := r.warning("clock"); w != "" {
				t.Error(w)
			}
		})
	}
}

// However many runs of however many schedules were missed, counting them is bounded.
func TestManyMissedRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		const n = 15
		for i := range n {
			r.set(fmt.Sprintf("n%02d", i), `{"cron":"*/10 8-17 * * 1-5","timezone":"America/Toronto","operation":"home"}`)
		}
		r.step(50 * year)
		r.sleep(11 * time.Second)
		sum := 0
		for i := range n {
			s := r.status(fmt.Sprintf("n%02d", i))
			sum += s.MissedRuns
			if s.MissedRuns < 1 || s.MissedRuns > 1000 {
				t.Errorf("%d runs were missed, want 1 to 1,000", s.MissedRuns)
			}
			if next := s.NextRun; next == nil || next.Before(r.now()) {
				t.Errorf("the next run is at %v", next)
			}
		}
		if sum < 10_000 || sum > 10_000+n {
			t.Errorf("%d runs were counted of all, want 10,000", sum)
		}
	})
}

// A step that the clock makes now and then, by less than people notice, costs no run.
func TestAClockThatIsPutRight(t *testing.T) {
	for _, by := range []time.Duration{-700 * time.Millisecond, 700 * time.Millisecond} {
		inBubble(t, func(t *testing.T, r *rig) {
			r.set("tick", everyFive)
			r.set("once", `{"at":"2026-01-01T00:01:00Z","operation":"home"}`)
			r.sleep(4500 * time.Millisecond)
			r.step(by)
			r.sleep(57 * time.Second)
			if n := len(r.runs()); n != 13 {
				t.Errorf("%v: %d runs in a minute, want 12 and the single one", by, n)
			}
			r.counted("tick", 0, 0)
		})
	}
}

func TestNothingRunsWhileTheClockIsBehind(t *testing.T) {
	for _, by := range []time.Duration{2 * hour, 50 * year} {
		inBubble(t, func(t *testing.T, r *rig) {
			r.set("tick", everyFive)
			r.set("hourly", `{"cron":"@hourly","operation":"refresh"}`)
			r.sleep(hour + 2*time.Second)
			r.runs()
			r.step(-by)
			r.sleep(time.Minute)
			r.expect()
			if w := r.warning("clock"); !strings.Contains(w, "The clock is behind: it has been 2026-01-01T01:00:0") {
				t.Errorf("after a minute the warning is %q", w)
			}
			r.set("new", `{"every_seconds":3600,"operation":"home"}`)
			r.set("early", `{"cron":"* * * * *","operation":"home"}`)
			r.sleep(hour)
			r.expect()

			// Also after a restart, as the clock of a board without a battery.
			r = r.restart(time.Minute)
			r.sleep(10 * time.Minute)
			r.expect()
			if w := r.warning("clock"); w == "" {
				t.Error("there is no warning after the restart")
			}
			r.step(by) // the network is there
			r.sleep(15 * time.Second)
			if w := r.warning("clock"); w != "" {
				t.Error(w)
			}
			for _, run := range r.runs() {
				if run.Source != "schedule:tick" {
					t.Errorf("%s ran at %v", run.Source, run.at)
				}
			}
		})
	}
}

// Each hour was run once, though the clock has shown it twice.
func TestAClockThatIsPutBackRepeatsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.set("hourly", `{"cron":"@hourly","operation":"refresh"}`)
		r.sleep(2*hour + time.Minute)
		r.step(-90 * time.Minute)
		r.set("new", `{"cron":"50 * * * *","operation":"home"}`)
		r.sleep(3 * hour)
		r.expect("2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z", "2026-01-01T02:50:00Z", "2026-01-01T03:00:00Z")
		r.counted("hourly", 0, 0)
		r.counted("new", 0, 0)
	})
}

func TestWhoDeletesAllTrustsTheClock(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.set("tick", everyFive)
		r.sleep(6 * time.Second)
		r.expect("2026-01-01T00:00:05Z")
		r.step(-10 * year)
		r.sleep(time.Minute)
		r.set("tick", `{"delete":true}`)
		r.sleep(10 * time.Second)
		if w := r.warning("clock"); w != "" {
			t.Error(w)
		}
		set := r.now()
		r.set("tick", everyFive)
		r.sleep(6 * time.Second)
		r.expect(set.Add(5 * time.Second).Format(time.RFC3339Nano))
	})
}

// What the device has stored while its clock was ahead does not hold up the schedules for ever, though it is told
// again at each start.
func TestAClockThatWasAheadOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		ahead := device.Operation{ID: "1", Source: "mqtt", QueuedAt: r.now().Add(50 * year)}
		r.Observe(ahead)
		r.set("tick", everyFive)
		r.set("tock", everyFive)
		r.sleep(time.Minute)
		r.set("tick", `{"delete":true}`)
		r.set("tick", everyFive)
		r.sleep(time.Minute)
		r.expect() // not all were deleted
		if w := r.warning("clock"); !strings.Contains(w, "it has been 2075-12-20T00:00:00Z already") || !strings.Contains(w, "delete all schedules first") {
			t.Errorf("the warning is %q", w)
		}
		r.set("tick", `{"delete":true}`)
		r.set("tock", `{"delete":true}`)
		r.set("tick", everyFive)
		r.Observe(ahead)
		r.sleep(6 * time.Second)
		r.expect("2026-01-01T00:02:05Z")
		r = r.restart(0)
		r.Observe(ahead)
		r.sleep(5 * time.Second)
		r.expect("2026-01-01T00:02:10Z")
		if w := r.warning("clock"); w != "" {
			t.Error(w)
		}

		// It is ahead again, further.
		r.Observe(device.Operation{ID: "2", Source: "mqtt", QueuedAt: r.now().Add(60 * year)})
		r.sleep(time.Minute)
		r.expect()
	})
}

// An at that is taken comes, or is said to be missed.
func TestAnAtWhileTheClockIsBehind(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Observe(device.Operation{ID: "1", Source: "mqtt", QueuedAt: r.now().Add(24 * hour)})
		const early = `{"at":"2026-01-01T06:00:00Z","operation":"home"}`
		r.refused("once", early, "at is 2026-01-01T06:00:00Z, and it has been 2026-01-02T00:00:00Z already, though the device's clock says 2026-01-01T00:00:00Z")
		var refusal *device.Error
		if err := r.try("once", early); !errors.As(err, &refusal) || refusal.Code != device.CodeClockUntrusted {
			t.Errorf("it was answered with %v", err)
		}
		r.set("paused", strings.Replace(early, "{", `{"enabled":false,`, 1))
		r.set("once", `{"at":"2026-01-02T06:00:00Z","operation":"home"}`)
		r.sleep(48 * hour)
		r.expect("2026-01-02T06:00:00Z")
	})
}

func TestAnAtThatPassesBeforeItIsLookedAt(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.set("a", `{"at":"2026-01-01T00:00:04Z","operation":"home"}`)
		r.lab.become(func(l *lab) { l.freeze = time.Second })
		time.Sleep(4500 * time.Millisecond) // Run is at the run of a until :05
		if err := r.begin("b", `{"at":"2026-01-01T00:00:04.8Z","operation":"home"}`)(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			r.sleep(hour)
			r.counted("b", 1, 0)
			if s := r.status("b"); s.Enabled || !s.Over || s.NextRun != nil || s.LastRun != nil {
				t.Errorf("it is published as %+v", s)
			}
			r = r.restart(0)
		}
	})
}

// A machine that sleeps: the wall clock goes on, real time does not.
func TestSuspend(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.set("morning", `{"cron":"0 8 * * *","operation":"home"}`)
		r.sleepUntil("2026-01-01T07:59:00Z")
		r.step(8 * hour)
		r.sleep(time.Minute)
		r.expect()
		r.counted("morning", 1, 0)
		r.sleepUntil("2026-01-02T07:59:30Z")
		r.step(27 * time.Second) // and wakes in time
		r.sleep(time.Minute)
		if runs := r.runs(); len(runs) != 1 || runs[0].at.Sub(date("2026-01-02T08:00:00Z")) > 10*time.Second {
			t.Errorf("in the next morning there were %v", runs)
		}
	})
}

// A process that gets no time to run is late, but not by more than a minute.
func TestAFrozenProcess(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.set("a", `{"cron":"0 8 * * *","operation":"home"}`)
		r.set("b", `{"at":"2026-01-01T08:00:10Z","operation":"home"}`)
		r.lab.become(func(l *lab) { l.freeze = 50 * time.Second })
		r.sleepUntil("2026-01-01T08:30:00Z")
		r.expect("2026-01-01T08:00:00Z", "2026-01-01T08:00:50Z")
		r.set("b", `{"at":"2026-01-02T08:00:10Z","operation":"home"}`)
		r.lab.become(func(l *lab) { l.freeze = 80 * time.Second })
		r.sleepUntil("2026-01-02T08:30:00Z")
		r.expect("2026-01-02T08:00:00Z")
		r.counted("b", 1, 0)
	})
}

// The device has done something at a time that the clock has not come to yet.
func TestAClockThatIsBehindTheOperations(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Observe(device.Operation{ID: "1", Source: "mqtt", QueuedAt: r.now(), FinishedAt: new(r.now().Add(hour))})
		r.set("tick", strings.Replace(everyFive, "{", `{"enabled":false,`, 1))
		r.sleep(time.Minute)
		if w := r.warning("clock"); w != "" {
			t.Errorf("nothing waits for the clock, and the warning is %q", w)
		}
		r.set("tick", everyFive)
		r.sleep(hour - 90*time.Second)
		r.expect()
		if w := r.warning("clock"); !strings.Contains(w, "it has been 2026-01-01T01:00:00Z already") {
			t.Errorf("the warning is %q", w)
		}
		r.sleep(36 * time.Second)
		r.expect("2026-01-01T01:00:05Z")
		r.counted("tick", 0, 0)
	})
}
