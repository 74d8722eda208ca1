package scheduler_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/scheduler"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A lab is a device that takes note of what it is to do. Unless it is busy, everything is done at once.
type lab struct {
	now func() time.Time

	mu       sync.Mutex
	observe  func(device.Operation)
	busy     bool
	refuse   *device.Error // every command
	freeze   time.Duration // the whole process, at the next command
	runs     []run
	warnings map[string]string
}

// A run is a command of a schedule, and what the wall clock showed.
type run struct {
	device.Command
	at time.Time
}

func (l *lab) Submit(c device.Command) {
	l.mu.Lock()
	l.runs = append(l.runs, run{c, l.now().Round(0).UTC()})
	state := device.Completed
	if l.busy {
		state = device.Queued
	}
	if l.refuse != nil {
		state = device.Rejected
	}
	err, freeze := l.refuse, l.freeze
	l.freeze = 0
	l.mu.Unlock()
	time.Sleep(freeze)
	l.observe(device.Operation{ID: c.ID, Name: c.Name, Source: c.Source, State: state, Error: err})
}

// become changes how it is.
func (l *lab) become(change func(*lab)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// Validate knows the hotels A and B.
func (l *lab) Validate(c device.Command) error {
	if h := c.Parameters.Hotel; h != nil && *h != "A" && *h != "B" {
		return device.Errorf(device.CodeInvalidPayload, "hotel %q is not one of A, B", *h)
	}
	return nil
}

func (l *lab) Warn(subject, message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if message == "" {
		delete(l.warnings, subject)
	} else {
		l.warnings[subject] = message
	}
}

// A rig is a scheduler in a synctest bubble. Its wall clock begins on 1 January 2026 in UTC.
type rig struct {
	*scheduler.Scheduler
	t     *testing.T
	lab   *lab
	store scheduler.Store
	jump  *atomic.Int64 // how far the wall clock is ahead of the bubble's, in nanoseconds
	stop  func()
}

func inBubble(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		jump := new(atomic.Int64)
		jump.Store(int64(time.Until(date("2026-01-01T00:00:00Z"))))
		test(t, startRig(t, new(scheduler.Memory), jump))
	})
}

// startRig starts a scheduler, after whatever prepares it.
func startRig(t *testing.T, store scheduler.Store, jump *atomic.Int64, prepare ...func(*scheduler.Scheduler)) *rig {
	t.Helper()
	now := func() time.Time { return time.Now().Add(time.Duration(jump.Load())) }
	r := startRigAt(t, store, now, prepare...)
	r.jump = jump
	return r
}

// startRigAt has a wall clock of its own.
func startRigAt(t *testing.T, store scheduler.Store, now func() time.Time, prepare ...func(*scheduler.Scheduler)) *rig {
	t.Helper()
	r := &rig{t: t, store: store, lab: &lab{now: now, warnings: make(map[string]string)}}
	s, err := scheduler.New(scheduler.Config{
		Device: r.lab, Store: store, NewID: newID, Now: now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Scheduler, r.lab.observe = s, s.Observe
	for _, p := range prepare {
		p(s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	synctest.Wait()
	return r
}

// restart ends the process, lets time pass, and starts the next one.
func (r *rig) restart(away time.Duration) *rig {
	r.t.Helper()
	r.stop()
	time.Sleep(away)
	return startRig(r.t, r.store, r.jump)
}

var ids atomic.Int64

func newID() string { return fmt.Sprint("run-", ids.Add(1)) }

func date(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return at
}

// now is what the wall clock shows.
func (r *rig) now() time.Time { return r.lab.now().Round(0).UTC() }

// step changes the wall clock.
func (r *rig) step(by time.Duration) {
	r.jump.Add(int64(by))
	synctest.Wait()
}

// sleep lets time pass.
func (r *rig) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// sleepUntil lets time pass until the wall clock shows that.
func (r *rig) sleepUntil(text string) { r.sleep(date(text).Sub(r.now())) }

// try sends something to the input of a schedule, and returns the answer.
func (r *rig) try(name, text string) error {
	r.t.Helper()
	c, err := r.Command(name, []byte(text))
	if err != nil {
		return err
	}
	wait, refusal := c.Work()
	if refusal != nil {
		return refusal
	}
	err = wait(r.t.Context())
	synctest.Wait()
	return err
}

func (r *rig) set(name, text string) {
	r.t.Helper()
	if err := r.try(name, text); err != nil {
		r.t.Fatalf("%s %s: %v", name, text, err)
	}
}

// refused fails unless the answer is a refusal that contains this.
func (r *rig) refused(name, text, part string) {
	r.t.Helper()
	if err := r.try(name, text); err == nil || !strings.Contains(err.Error(), part) {
		r.t.Errorf("%s %s was answered with %v, want …%s…", name, text, err, part)
	}
}

// runs returns the runs since the last time.
func (r *rig) runs() []run {
	r.lab.mu.Lock()
	defer r.lab.mu.Unlock()
	runs := r.lab.runs
	r.lab.runs = nil
	return runs
}

// expect compares what the clock showed at the runs since the last time.
func (r *rig) expect(want ...string) {
	r.t.Helper()
	var got []string
	for _, run := range r.runs() {
		got = append(got, run.at.Format(time.RFC3339Nano))
	}
	if !slices.Equal(got, want) {
		r.t.Fatalf("there were runs at\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// schedules returns how all are published.
func (r *rig) schedules() scheduler.View { return *r.View().(*scheduler.View) }

// status returns how a schedule is published.
func (r *rig) status(name string) scheduler.Status {
	r.t.Helper()
	s := r.schedules()[name]
	if s == nil {
		r.t.Fatalf("there is no schedule %s", name)
	}
	return *s
}

// counted fails unless so many runs were missed and skipped.
func (r *rig) counted(name string, missed, skipped int) {
	r.t.Helper()
	if s := r.status(name); s.MissedRuns != missed || s.SkippedRuns != skipped {
		r.t.Errorf("%d runs were missed and %d skipped, want %d and %d", s.MissedRuns, s.SkippedRuns, missed, skipped)
	}
}

func (r *rig) warning(subject string) string {
	r.lab.mu.Lock()
	defer r.lab.mu.Unlock()
	return r.lab.warnings[subject]
}

const everyFive = `{"every_seconds":5,"operation":"hotel","parameters":{"hotel":"A"}}`
