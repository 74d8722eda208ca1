package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/plate-resort/plate-resort/device"
)

const (
	// lookInterval is the longest time between two looks at the clock while something is to come.
	lookInterval = 10 * time.Second
	// slack is how far the clock may be from real time without any of the two being wrong.
	slack = time.Second
	// maxLate is how late a run may be.
	maxLate = time.Minute
	// endTimeout bounds how long Run waits, when it is told to end, for the store. The device waits a second for
	// what is under way, and so for the answers.
	endTimeout = 800 * time.Millisecond

	// source is followed by the schedule's name in the source of a run's operation.
	source = "schedule:"
)

// A Device is what the scheduler needs of the device.
type Device interface {
	// Submit has a command carried out. It never waits; [Scheduler.Observe] hears of what becomes of it.
	Submit(device.Command)
	// Validate tells why a command would never be accepted, or nil.
	Validate(device.Command) error
	// Warn sets the warning on a subject; "" takes it back.
	Warn(subject, message string)
}

var _ Device = (*device.Device)(nil)

// Config is what a Scheduler is made of.
type Config struct {
	Device Device
	Store  Store
	NewID  func() string    // makes an id for an operation
	Now    func() time.Time // the wall clock
	Gather time.Duration    // how long what has changed waits for more to be stored with it
	Log    *slog.Logger
}

// A Scheduler runs the schedules of one device.
type Scheduler struct {
	device  Device
	newID   func() string
	clock   *clock
	log     *slog.Logger
	saver   *saver
	inbox   *inbox
	ended   chan struct{} // closed when nothing more will be stored
	changed chan struct{}
	view    atomic.Pointer[View]

	// What follows belongs to Run.
	entries []*entry  // by name
	budget  int       // how many missed times may still be counted in this look
	looked  time.Time // when, in real time, it was last looked at
	next    View      // what will be published
	dirty   bool      // it is not what is published
	urgent  bool      // and not only for what has become of runs
	shown   time.Time // when it was published last
}

// New makes a scheduler that continues from what the store holds.
func New(c Config) (*Scheduler, error) {
	kept, err := c.Store.LoadSchedules()
	if err != nil {
		return nil, fmt.Errorf("read the stored schedules: %w", err)
	}
	s := &Scheduler{
		device: c.Device, newID: c.NewID, clock: &clock{read: c.Now}, log: c.Log,
		saver: newSaver(c.Store, c.Gather, func(message string) { c.Device.Warn("schedules", message) }, c.Log),
		inbox: newInbox(), ended: make(chan struct{}), changed: make(chan struct{}, 1),
		next: make(View),
	}
	if err := s.clock.load(kept[clockKey]); err != nil {
		s.log.Error("what is stored of the clock cannot be read", "error", err)
	}
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		if name == clockKey {
			continue
		}
		e, err := loadEntry(name, kept[name])
		if err != nil {
			s.log.Error("a stored schedule cannot be read; set it again, or delete it", "schedule", name, "error", err)
			s.device.Warn("schedule "+name, fmt.Sprintf("The schedule %q that was stored cannot be read; set it again, or delete it", name))
			s.inbox.known[name] = Schedule{} // there is one
			continue
		}
		s.entries = append(s.entries, e)
		s.inbox.known[name] = e.Schedule
		s.clock.saw(e.Through)
		s.show(e)
	}
	s.dirty = true
	s.publish()
	return s, nil
}

// Observe takes note of an operation of the device, or of a rejection. It never waits.
func (s *Scheduler) Observe(op device.Operation) {
	at := op.QueuedAt
	if op.FinishedAt != nil {
		at = *op.FinishedAt
	}
	s.clock.sawOperation(at)
	if name, ok := strings.CutPrefix(op.Source, source); ok {
		s.inbox.observe(change{name, Operation{op.ID, op.State, op.Error}, op.QueuedAt})
	}
}

// Run runs the schedules until ctx ends. Then it refuses requests, and returns when those that it has taken are
// stored. It waits for a store that hangs, but not for long. It is called once.
func (s *Scheduler) Run(ctx context.Context) error {
	stopSaver, saverDone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(saverDone)
		s.saver.run(stopSaver)
	}()
	s.run(ctx)
	s.inbox.close()
	requests, _ := s.inbox.take()
	for _, r := range requests {
		s.apply(r)
	}
	s.publish()
	close(stopSaver)
	select {
	case <-saverDone:
	case <-time.After(endTimeout):
		s.log.Error("the last schedules could not be stored in time", "timeout", endTimeout)
	}
	close(s.ended)
	return nil
}

func (s *Scheduler) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for first := true; ; first = false {
		wait := s.look(first)
		if later := s.publish(); later > 0 && (wait == 0 || later < wait) {
			wait = later
		}
		timer.Stop()
		if wait > 0 {
			timer.Reset(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.inbox.arrived:
		case <-timer.C:
		}
	}
}

// look does what is due, and then what has come: what is set or deleted now does not change what was due before.
// It returns how long nothing will be due, or 0 when nothing ever will.
func (s *Scheduler) look(first bool) (wait time.Duration) {
	requests, changes := s.inbox.take()
	for _, c := range changes {
		s.follow(c)
	}
	late := min(time.Since(s.looked)+slack, maxLate)
	s.looked, s.budget = time.Now(), maxCounted
	if first {
		late, s.urgent = 0, true // it was not there
	}
	if now := s.clock.now(); !now.Before(s.clock.latest()) {
		s.clock.saw(now)
		for _, e := range s.entries {
			if e.isDue(now) {
				s.take(e, now, late)
			}
		}
	}
	for _, r := range requests {
		s.apply(r)
	}
	s.compare()
	now, known := s.clock.now(), s.clock.latest()
	for _, e := range s.entries {
		if e.due.IsZero() {
			continue
		}
		if until := max(latest(e.due, known).Sub(now), 1); wait == 0 || until < wait {
			wait = until
		}
	}
	return min(wait, lookInterval)
}

// compare warns of a clock that is behind, if a schedule waits for it.
func (s *Scheduler) compare() {
	waits := slices.ContainsFunc(s.entries, func(e *entry) bool { return !e.due.IsZero() })
	if waits && s.clock.behind() {
		s.device.Warn("clock", fmt.Sprintf("The clock is behind: it has been %s already, and until then no schedule runs; "+
			"set the clock, or if it is right now and was ahead then, delete all schedules first and then set them again",
			s.clock.latest().Format(time.RFC3339)))
	} else {
		s.device.Warn("clock", "")
	}
}

// take runs a schedule that is due, or counts that it has missed its time.
func (s *Scheduler) take(e *entry, now time.Time, late time.Duration) {
	missed := e.MissedRuns
	runs := e.take(now, late, &s.budget)
	if n := e.MissedRuns - missed; n > 0 {
		s.log.Warn("a schedule has missed its time; that is not made up for", "schedule", e, "runs", n)
	}
	switch {
	case runs && e.Overlap == Skip && !e.LastOperation.ended():
		e.SkippedRuns++
		s.log.Info("a run is skipped as the operation of the last one has not ended", "schedule", e, "id", e.LastOperation.ID)
	case runs:
		at := now.Truncate(time.Millisecond)
		e.began, e.LastRun, e.LastOperation = true, &at, &Operation{ID: s.newID(), State: device.Queued}
		s.device.Submit(device.Command{ID: e.LastOperation.ID, Name: e.Operation, Parameters: e.Parameters, Source: source + e.name})
	}
	s.save(e, nil)
	s.show(e)
}

// save has a schedule kept as it is now. What cannot be written leaves what was kept of it before.
func (s *Scheduler) save(e *entry, saved chan<- struct{}) {
	content, err := e.content()
	if err != nil {
		s.log.Error("a schedule cannot be stored", "schedule", e, "error", err)
		s.device.Warn("schedule "+e.name, fmt.Sprintf("The schedule %q cannot be stored; set it again", e.name))
		return
	}
	s.saver.add(e.name, content, saved)
}

// trust has the clock be right, though it has shown a later time: there is no schedule left that could come
// again.
func (s *Scheduler) trust() {
	s.log.Warn("all schedules are deleted: the clock is taken to be right, and to have been ahead", "until", s.clock.latest())
	s.clock.trust()
	content, err := s.clock.content()
	if err != nil {
		s.log.Error("it cannot be stored that the clock was ahead", "error", err)
		return
	}
	s.saver.add(clockKey, content, nil)
}

// apply sets or deletes a schedule.
func (s *Scheduler) apply(r request) {
	i, exists := s.find(r.name)
	s.device.Warn("schedule "+r.name, "")
	if r.schedule == nil {
		if exists {
			s.entries = slices.Delete(s.entries, i, i+1)
		}
		if len(s.entries) == 0 && s.clock.behind() {
			s.trust()
		}
		delete(s.next, r.name)
		s.dirty, s.urgent = true, true
		s.publish() // before the answer
		s.saver.add(r.name, nil, r.saved)
		s.log.Info("schedule deleted", "schedule", r.name)
		return
	}
	if !exists {
		s.entries = slices.Insert(s.entries, i, &entry{name: r.name})
	}
	e := s.entries[i]
	now := latest(s.clock.latest(), s.clock.now())
	e.miss(now, &s.budget) // that has become due since what was due was done
	if !exists || e.EverySeconds == nil || r.schedule.EverySeconds == nil || *e.EverySeconds != *r.schedule.EverySeconds {
		e.Since = s.clock.now().Truncate(time.Millisecond)
	}
	e.Schedule, e.Over = *r.schedule, false
	e.times, _ = newTimes(e.Schedule, e.Since) // it was decoded
	e.aim(now)
	if e.Enabled && e.At != nil && e.due.IsZero() { // it has passed since it was looked at
		e.MissedRuns, e.Over = e.MissedRuns+1, true
	}
	s.show(e)
	s.urgent = true
	s.publish()
	s.save(e, r.saved)
	next := "none"
	if !e.due.IsZero() {
		next = e.due.UTC().Format(time.RFC3339)
	}
	s.log.Info("schedule set", "schedule", e, "next_run", next)
}

// follow takes note of what the device says of the last run's operation. At the start that may be one that was not
// stored here any more.
func (s *Scheduler) follow(c change) {
	i, exists := s.find(c.name)
	if !exists {
		return
	}
	e := s.entries[i]
	switch {
	case e.LastOperation != nil && e.LastOperation.ID == c.operation.ID:
		e.LastOperation = &c.operation
	case !e.adopt(c, s.clock.latest()):
		return
	}
	if c.operation.ended() {
		s.save(e, nil)
	}
	s.show(e)
}

// find returns where the schedule of that name is, or would be.
func (s *Scheduler) find(name string) (int, bool) {
	return slices.BinarySearchFunc(s.entries, name, func(e *entry, name string) int { return strings.Compare(e.name, name) })
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
