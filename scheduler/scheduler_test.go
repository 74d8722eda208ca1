package scheduler_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/scheduler"
)

func TestARunIsACommand(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.set("tick", `{"every_seconds":5,"operation":"hotel","parameters":{"hotel":"A","retries":1}}`)
		r.sleep(11 * time.Second)
		runs := r.runs()
		want := device.Command{ID: runs[0].ID, Name: "hotel", Parameters: device.Parameters{Hotel: new("A"), Retries: new(1)}, Source: "schedule:tick"}
		if diff := cmp.Diff(want, runs[0].Command); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		if runs[0].ID == "" || runs[0].ID == runs[1].ID {
			t.Errorf("the ids are %q and %q", runs[0].ID, runs[1].ID)
		}
		if o := r.status("tick").LastOperation; o == nil || o.ID != runs[1].ID || o.State != device.Completed {
			t.Errorf("the last operation is %+v", o)
		}
	})
}

func TestARejectedRunShowsWhy(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.lab.become(func(l *lab) { l.refuse = device.Errorf(device.CodeEmergencyStopped, "the emergency stop is latched") })
		r.set("tick", everyFive)
		r.sleep(11 * time.Second)
		r.expect("2026-01-01T00:00:05Z", "2026-01-01T00:00:10Z") // it goes on
		if o := r.status("tick").LastOperation; o.State != device.Rejected || o.Error.Code != device.CodeEmergencyStopped {
			t.Errorf("the last operation is %+v", o)
		}
	})
}

// A run is skipped while the last one is queued, running or retrying, however long that takes.
func TestOverlap(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.lab.become(func(l *lab) { l.busy = true })
		r.set("skip", everyFive)
		r.set("queue", `{"every_seconds":5,"operation":"home","overlap":"queue"}`)
		r.sleep(6 * time.Second)
		var id string
		for _, run := range r.runs() {
			if run.Source == "schedule:skip" {
				id = run.ID
			}
		}
		change := func(state device.State) {
			r.Observe(device.Operation{ID: id, Source: "schedule:skip", State: state})
		}
		skipped := 0
		for _, state := range []device.State{device.Queued, device.Running, device.Retrying, device.Running} {
			change(state)
			r.sleep(5 * time.Second)
			skipped++
			r.counted("skip", 0, skipped)
			if runs := r.runs(); len(runs) != 1 || runs[0].Source != "schedule:queue" {
				t.Fatalf("while it is %s, these run: %v", state, runs)
			}
			if o := r.status("skip").LastOperation; o.ID != id || o.State != state {
				t.Errorf("the last operation is %+v, want %s %s", o, id, state)
			}
		}
		change(device.Failed)
		r.sleep(5 * time.Second)
		if n := len(r.runs()); n != 2 {
			t.Errorf("%d runs after its end, want both", n)
		}
		change(device.Completed) // of the run before the last: it is not the last one's
		r.sleep(5 * time.Second)
		r.counted("skip", 0, skipped+1)
	})
}

// What ran when the process ended has ended with it, unless the device says that it goes on.
func TestOverlapAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.lab.become(func(l *lab) { l.busy = true })
		r.set("a", everyFive)
		r.set("b", `{"every_seconds":5,"operation":"home"}`)
		r.sleep(6 * time.Second)
		runs := r.runs()
		r = r.restart(0)
		if s := r.status("a").LastOperation.State; s != device.Interrupted {
			t.Errorf("the operation is %s", s)
		}
		r.Observe(device.Operation{ID: runs[0].ID, Source: runs[0].Source, State: device.Retrying})
		r.sleep(5 * time.Second)
		if runs := r.runs(); len(runs) != 1 || runs[0].Source != "schedule:b" {
			t.Errorf("these run: %v", runs)
		}
	})
}

// What ran when the process was killed goes on, though it was killed before the run was stored.
func TestOverlapAfterAKill(t *testing.T) {
	const once = `{"at":"2026-01-01T00:00:05Z","operation":"home"}`
	inBubble(t, func(t *testing.T, r *rig) {
		r.lab.become(func(l *lab) { l.busy = true })
		r.set("tick", everyFive)
		r.set("once", once)
		kept, _ := r.store.LoadSchedules()
		r.sleep(6 * time.Second)
		runs := r.runs()
		r.stop()
		old := new(scheduler.Memory)
		if err := old.SaveSchedules(kept); err != nil {
			t.Fatal(err)
		}
		r = startRig(t, old, r.jump, func(s *scheduler.Scheduler) {
			for _, run := range runs {
				s.Observe(device.Operation{ID: run.ID, Source: run.Source, State: device.Retrying, QueuedAt: run.at})
			}
			s.Observe(device.Operation{ID: "older", Source: "schedule:tick", State: device.Completed, QueuedAt: date("2025-12-31T23:00:00Z")})
		})
		r.sleep(5 * time.Second)
		r.expect()
		r.counted("tick", 0, 1)
		r.counted("once", 0, 0)
		if s := r.status("once"); s.Enabled || s.LastRun == nil || s.LastOperation.State != device.Retrying {
			t.Errorf("once is %+v", s)
		}
		for _, run := range runs {
			r.Observe(device.Operation{ID: run.ID, Source: run.Source, State: device.Completed, QueuedAt: run.at})
		}
		r.sleep(5 * time.Second)
		r.expect("2026-01-01T00:00:15Z")
	})
}

func TestTheSameAgainChangesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.set("tick", everyFive)
		r.sleep(3 * time.Second)
		before := r.View()
		r.set("tick", `{"operation":"hotel", "enabled":true, "overlap":"skip", "timezone":"UTC", "parameters":{"hotel":"A"}, "every_seconds":5, "id":"mine"}`)
		if r.View() != before {
			t.Error("it is published again")
		}
		r.sleep(3 * time.Second)
		r.expect("2026-01-01T00:00:05Z")

		// Another operation has the period that was.
		r.set("tick", `{"every_seconds":5,"operation":"home"}`)
		r.sleep(5 * time.Second)
		r.expect("2026-01-01T00:00:10Z")
		// Another period begins.
		r.set("tick", `{"every_seconds":7,"operation":"home"}`)
		r.sleep(8 * time.Second)
		r.expect("2026-01-01T00:00:18Z")
		if s := r.status("tick"); s.LastRun == nil || s.LastOperation == nil {
			t.Errorf("it has lost its past: %+v", s)
		}
	})
}

func TestPauseAndResume(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		paused := strings.Replace(everyFive, "{", `{"enabled":false,`, 1)
		r.set("tick", everyFive)
		r.sleep(6 * time.Second)
		r.set("tick", paused)
		if s := r.status("tick"); s.Enabled || s.NextRun != nil || s.LastRun == nil {
			t.Errorf("paused, it is %+v", s)
		}
		r.sleep(hour)
		r = r.restart(hour)
		r.sleep(hour)
		r.set("tick", everyFive)
		r.sleep(5 * time.Second)
		r.expect("2026-01-01T03:00:10Z")
		r.counted("tick", 0, 0)
	})
}

func TestDeleteWhileItRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.lab.become(func(l *lab) { l.busy = true })
		r.set("tick", everyFive)
		r.sleep(6 * time.Second)
		run := r.runs()[0]
		r.set("tick", `{"delete":true}`)
		r.Observe(device.Operation{ID: run.ID, Source: run.Source, State: device.Completed})
		r.sleep(hour)
		r.expect()
		if len(r.schedules()) != 0 {
			t.Errorf("what is left is %v", r.schedules())
		}
		r.refused("tick", `{"delete":true}`, `there is no schedule "tick"`)
		r = r.restart(0)
		if len(r.schedules()) != 0 {
			t.Errorf("after a restart there is %v", r.schedules())
		}
	})
}

// Commands are carried out in their order, also when they come faster than Run sees them.
func TestSetAndDeleteAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for _, text := range []string{everyFive, `{"delete":true}`, everyFive, `{"delete":true}`, everyFive} {
			c, err := r.Command("tick", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if _, refusal := c.Work(); refusal != nil {
				t.Fatal(refusal)
			}
		}
		r.sleep(6 * time.Second)
		r.expect("2026-01-01T00:00:05Z")
	})
}

// A run that is due when its schedule is set to do something else is a run, or is counted.
func TestSetWhenARunIsDue(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.set("tick", everyFive)
		r.set("a", `{"at":"2026-01-01T00:00:04Z","operation":"home"}`)
		r.lab.become(func(l *lab) { l.freeze = 2 * time.Second })
		time.Sleep(4500 * time.Millisecond) // Run is at the run of a until :06
		answer := r.begin("tick", `{"every_seconds":5,"operation":"home"}`)
		r.sleep(7 * time.Second)
		if err := answer(); err != nil {
			t.Error(err)
		}
		r.expect("2026-01-01T00:00:04Z", "2026-01-01T00:00:06Z", "2026-01-01T00:00:10Z")
		r.counted("tick", 0, 0)
	})
}

func TestWhatIsRefusedWhenSet(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.refused("tick", `{"every_seconds":5,"operation":"hotel","parameters":{"hotel":"Z"}}`, `hotel "Z" is not one of A, B`)
		r.refused("Tick", everyFive, `the schedule's name is "Tick"; it must be up to 64 small letters`)
		r.refused(strings.Repeat("x", 65), everyFive, "it must be up to 64 small letters")
		r.refused("tick", "PRESS", "send a JSON object, as in")
		r.refused("tick", "{", "it ends too early")
		r.refused("tick", `{"delete":false}`, `to delete a schedule, send {"delete": true}`)
		r.refused("tick", `{"delete":true,"cron":"@daily"}`, `to delete a schedule, send {"delete": true}`)
		r.refused("tick", `{"id":5,"delete":true}`, "id must be a string")
		r.refused("tick", `{"at":"2025-12-31T23:59:59Z","operation":"home"}`, "which has passed: the device's clock says 2026-01-01T00:00:00Z")
		if len(r.schedules()) != 0 {
			t.Errorf("there is %v", r.schedules())
		}
		for i := range 1000 {
			r.set(fmt.Sprint("n", i), `{"cron":"@yearly","operation":"home"}`)
		}
		r.refused("tick", everyFive, "there are 1000 schedules already; delete one first")
		r.set("n5", everyFive)
		r.set("n6", `{"delete":true}`)
		r.set("tick", everyFive)
	})
}

func TestTheCommandOfASchedule(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		c, err := r.Command("tick", []byte(`{"id":"mine","every_seconds":5,"operation":"home"}`))
		if err != nil || c.ID != "mine" || c.Name != device.ScheduleOperation || *c.Parameters.Name != "tick" ||
			string(c.Parameters.Schedule) != `{"every_seconds":5,"timezone":"UTC","operation":"home","parameters":{},"enabled":true,"overlap":"skip"}` {
			t.Errorf("the command is %+v, %v", c, err)
		}
		c, err = r.Command("tick", []byte(`{"id":"mine","every_seconds":0,"operation":"home"}`))
		if err == nil || c.ID != "mine" || *c.Parameters.Name != "tick" || c.Work != nil {
			t.Errorf("the refused command is %+v, %v", c, err)
		}
	})
}

func TestHowItIsPublished(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.set("morning", `{"cron":"0 8 * * 1-5","timezone":"America/Toronto","operation":"hotel","parameters":{"hotel":"A"}}`)
		<-r.Changed()
		got, err := json.Marshal(r.View())
		if err != nil {
			t.Fatal(err)
		}
		const want = `{"morning":{"cron":"0 8 * * 1-5","timezone":"America/Toronto","operation":"hotel","parameters":{"hotel":"A"},` +
			`"enabled":true,"overlap":"skip","next_run":"2026-01-01T13:00:00Z","last_run":null,"missed_runs":0,"skipped_runs":0,"over":false,"last_operation":null}}`
		if string(got) != want {
			t.Errorf("it is published as\n%s\nwant\n%s", got, want)
		}
	})
}

// A brokenStore fails, or hangs, as long as it is told to.
type brokenStore struct {
	scheduler.Memory
	broken, hangs chan struct{} // closed when it does no more
}

func (b *brokenStore) SaveSchedules(schedules map[string]json.RawMessage) error {
	<-b.hangs
	select {
	case <-b.broken:
		return b.Memory.SaveSchedules(schedules)
	default:
		return errors.New("no space left on device")
	}
}

func TestAStoreThatFails(t *testing.T) {
	inBubble(t, func(t *testing.T, first *rig) {
		store := &brokenStore{broken: make(chan struct{}), hangs: make(chan struct{})}
		close(store.hangs)
		r := startRig(t, store, first.jump)
		r.set("tick", everyFive)
		r.sleep(6 * time.Second)
		if n := len(r.runs()); n != 1 {
			t.Errorf("%d runs, want one", n)
		}
		if w := r.warning("schedules"); !strings.Contains(w, "no space left on device") {
			t.Errorf("the warning is %q", w)
		}
		close(store.broken)
		r.sleep(2 * time.Second)
		if w := r.warning("schedules"); w != "" {
			t.Error(w)
		}
		r = r.restart(0)
		r.status("tick")
	})
}

// A slowStore counts how often it saves, which takes a disk's time.
type slowStore struct {
	scheduler.Memory
	saves int
}

func (s *slowStore) SaveSchedules(schedules map[string]json.RawMessage) error {
	s.saves++
	time.Sleep(10 * time.Millisecond)
	return s.Memory.SaveSchedules(schedules)
}

func TestSchedulesAreStoredTogether(t *testing.T) {
	inBubble(t, func(t *testing.T, first *rig) {
		store := new(slowStore)
		r := startRig(t, store, first.jump, func(s *scheduler.Scheduler) { s.Gather(3 * time.Millisecond) })
		for i := range 10 {
			r.begin(fmt.Sprint("n", i), everyFive)
			time.Sleep(200 * time.Microsecond)
		}
		r.stop()
		if store.saves != 1 {
			t.Errorf("ten schedules within 2 ms were stored in %d times, want 1", store.saves)
		}
	})
}

// A time that JSON does not know, by a clock that has gone mad, leaves what was kept.
func TestWhatCannotBeWrittenDeletesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.set("new-year", `{"cron":"@yearly","operation":"home"}`)
		r.stop()
		before := r.kept("new-year")
		r = startRigAt(t, r.store, func() time.Time { return time.Date(10_000, 6, 1, 0, 0, 0, 0, time.UTC) })
		r.sleep(time.Minute)
		r.stop()
		if after := r.kept("new-year"); before == nil || string(after) != string(before) {
			t.Errorf("it is kept as %s, was %s", after, before)
		}
		if w := r.warning("schedule new-year"); w != `The schedule "new-year" cannot be stored; set it again` {
			t.Errorf("the warning is %q", w)
		}
	})
}

func TestAStoreThatHangsHoldsNothingUp(t *testing.T) {
	inBubble(t, func(t *testing.T, first *rig) {
		store := &brokenStore{broken: make(chan struct{}), hangs: make(chan struct{})}
		close(store.broken)
		r := startRig(t, store, first.jump)
		began := time.Now()
		r.set("tick", everyFive)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("the answer took %v, want 2 s", took)
		}
		if w := r.warning("schedules"); !strings.Contains(w, "the disk has not taken them for 2s") {
			t.Errorf("the warning is %q", w)
		}
		r.sleep(9 * time.Second)
		r.expect("2026-01-01T00:00:05Z", "2026-01-01T00:00:10Z")
		began = time.Now()
		r.stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the end took %v", took)
		}
		close(store.hangs)
		synctest.Wait()
	})
}

func TestAStoredScheduleThatCannotBeRead(t *testing.T) {
	inBubble(t, func(t *testing.T, first *rig) {
		store := new(scheduler.Memory)
		for name, text := range map[string]string{"bad": `{"every_seconds":"x"}`, "worse": `{"cron":"@reboot","timezone":"UTC","enabled":true}`} {
			if err := store.SaveSchedules(map[string]json.RawMessage{name: json.RawMessage(text)}); err != nil {
				t.Fatal(err)
			}
		}
		r := startRig(t, store, first.jump)
		if w := r.warning("schedule bad"); !strings.Contains(w, `The schedule "bad" that was stored cannot be read; set it again, or delete it`) {
			t.Errorf("the warning is %q", w)
		}
		r.set("bad", everyFive)
		if w := r.warning("schedule bad"); w != "" {
			t.Error(w)
		}
		r.set("worse", `{"delete":true}`)
		if w := r.warning("schedule worse"); w != "" || r.kept("worse") != nil {
			t.Errorf("it is deleted; the warning is %q, and it is kept as %s", w, r.kept("worse"))
		}
		r.sleep(6 * time.Second)
		r.expect("2026-01-01T00:00:05Z")
	})
}

// A schedule of a day that comes once in four years is one on a board whose clock shows 1970, and in 2096.
func TestAStoredScheduleIsReadByAnyClock(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.set("leap", `{"cron":"0 0 29 2 *","timezone":"America/Toronto","operation":"home"}`)
		for _, at := range []string{"1970-01-01T00:00:00Z", "2096-03-01T12:00:00Z"} {
			r.step(date(at).Sub(r.now()))
			r = r.restart(0)
			if w := r.warning("schedule leap"); w != "" {
				t.Errorf("at %s: %s", at, w)
			}
		}
		if next := r.status("leap").NextRun; next == nil || !next.Equal(date("2104-02-29T05:00:00Z")) {
			t.Errorf("the next run is at %v", next)
		}
	})
}

// Many schedules that run all the time are not published all the time.
func TestManyRunsArePublishedTogether(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for _, name := range strings.Fields("a b c d e f g h i j") {
			for _, tail := range strings.Fields("0 1 2 3 4 5 6 7 8 9") {
				r.sleep(7 * time.Millisecond)
				r.set(name+tail, `{"every_seconds":1,"operation":"refresh"}`)
			}
		}
		views, last := 0, r.View()
		for range 10_000 {
			r.sleep(time.Millisecond)
			if v := r.View(); v != last {
				views, last = views+1, v
			}
		}
		if views < 50 || views > 100 {
			t.Errorf("1,000 runs in 10 s were published %d times, want once in 100 ms", views)
		}
		r.sleep(100 * time.Millisecond)
		if s := r.status("j9"); s.LastOperation.State != "completed" {
			t.Errorf("the last run is shown as %+v", s.LastOperation)
		}
	})
}
