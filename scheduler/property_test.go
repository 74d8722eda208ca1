package scheduler_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/plate-resort/plate-resort/scheduler"
)

// Whatever happens to the clock and to the process, a run is for a time at which it was due and that no run
// was for yet, and it is no more than a minute late.
func TestNoRunIsOutsideItsTimesOrTwice(t *testing.T) {
	contents := map[string]string{
		"tick":   `{"every_seconds":7,"operation":"home"}`,
		"minute": `{"cron":"*/2 * * * *","timezone":"America/Toronto","operation":"home"}`,
		"night":  `{"cron":"30 1,2 * * *","timezone":"Europe/Berlin","operation":"home"}`,
		"once":   `{"at":"2026-03-29T01:05:00Z","operation":"home"}`,
	}
	rapid.Check(t, func(rt *rapid.T) {
		type action struct {
			kind string
			by   time.Duration
		}
		kinds := rapid.SampledFrom([]string{"sleep", "sleep", "sleep", "step", "restart"})
		durations := rapid.SampledFrom([]time.Duration{1, 100 * time.Millisecond, 3 * time.Second, 59 * time.Second, 61 * time.Second,
			10 * time.Minute, hour, 26 * hour, 10 * year})
		actions := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) action {
			a := action{kinds.Draw(t, "kind"), durations.Draw(t, "by")}
			switch {
			case a.kind == "step" && rapid.Bool().Draw(t, "back"):
				a.by = -a.by
			case a.kind != "step":
				a.by = min(a.by, hour)
			}
			return a
		}), 1, 12).Draw(rt, "actions")
		var failures []string
		inBubble(t, func(t *testing.T, r *rig) {
			r.step(date("2026-03-29T00:00:00Z").Sub(r.now())) // the clock in Berlin is put forward an hour later
			set := r.now()
			schedules := make(map[string]scheduler.Schedule)
			for name, text := range contents {
				r.set(name, text)
				schedules[name], _ = scheduler.Decode([]byte(text))
			}
			last := make(map[string]time.Time) // the time that the last run was for
			check := func() {
				for _, run := range r.runs() {
					name := run.Source[len("schedule:"):]
					from := latest(set, run.at.Add(-61*time.Second))
					if name == "tick" { // in step with the period
						from = set.Add(from.Sub(set).Truncate(7 * time.Second))
					}
					var due time.Time
					for _, d := range schedules[name].Runs(from, 10) {
						if d.After(run.at) {
							break
						}
						due = d
					}
					switch {
					case due.IsZero() || run.at.Sub(due) > time.Minute:
						failures = append(failures, fmt.Sprintf("%s ran at %v, and was due at %v", name, run.at, due))
					case !due.After(last[name]):
						failures = append(failures, fmt.Sprintf("%s ran at %v for %v, after a run for %v", name, run.at, due, last[name]))
					}
					last[name] = due
				}
			}
			for _, a := range actions {
				switch a.kind {
				case "sleep":
					r.sleep(a.by)
				case "step":
					r.step(a.by)
				case "restart":
					check()
					r = r.restart(a.by)
				}
				synctest.Wait()
				check()
			}
		})
		if len(failures) > 0 {
			rt.Fatal(failures)
		}
	})
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
