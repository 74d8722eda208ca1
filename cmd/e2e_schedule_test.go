//go:build e2e

package cmd_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// A schedule is one as the topic schedules has it.
type schedule struct {
	EverySeconds  int        `json:"every_seconds"`
	Enabled       bool       `json:"enabled"`
	NextRun       *time.Time `json:"next_run"`
	LastRun       *time.Time `json:"last_run"`
	MissedRuns    int        `json:"missed_runs"`
	LastOperation *operation `json:"last_operation"`
}

// schedule waits for the schedule of that name to be as wanted.
func (w *watch) schedule(t *testing.T, name, what string, wanted func(*schedule) bool) *schedule {
	t.Helper()
	var s *schedule
	w.until(t, "schedules", what, func(m message) bool {
		s = decode[map[string]*schedule](t, m)[name]
		return wanted(s)
	})
	return s
}

// run waits for the end of the next operation of the schedule, which is in that state.
func (w *watch) run(t *testing.T, name, state string) (op operation) {
	t.Helper()
	w.until(t, "operation", "run of "+name+" that is "+state, func(m message) bool {
		op = decode[operation](t, m)
		return op.Source == "schedule:"+name && op.State == state
	})
	return op
}

const tick = `{"every_seconds": 1, "operation": "hotel", "parameters": {"hotel": "B"}}`

// A schedule's life: it goes on without a broker, survives kill -9, gives way to an emergency stop, is paused
// and deleted.
func TestSchedule(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.rewatch(t, "schedules")
	exists := func(s *schedule) bool { return s != nil }

	d.send(t, "schedules/tick", strings.Replace(tick, `"B"`, `"Z"`, 1))
	if op := d.watch.event(t); op.Operation != "schedule" || op.State != "rejected" || op.Error.Message != `hotel "Z" is not one of A, B, C, D` {
		t.Errorf("a schedule for a hotel that is not there was answered with %+v", op)
	}
	d.send(t, "schedules/tick", strings.Replace(tick, "{", `{"id": "set", `, 1))
	d.watch.operation(t, "set", "completed")
	d.watch.schedule(t, "tick", "schedule", exists)
	if op := d.watch.run(t, "tick", "completed"); *op.Parameters.Hotel != "B" {
		t.Errorf("the run was %+v", op)
	}
	d.watch.schedule(t, "tick", "run that is completed", func(s *schedule) bool {
		return s.LastRun != nil && s.LastOperation.State == "completed"
	})

	// Without a broker, and with one that has forgotten everything.
	d.broker.process.kill(t)
	d.program.awaitText(t, "no connection to the broker", "connection=commands")
	ended := func() int { return d.program.count("operation ended", "operation=hotel", "state=completed") }
	before := ended()
	lines, _ := d.program.transcript()
	d.program.await(t, "third run without a broker", len(lines), func(string) bool { return ended() >= before+3 })
	d.broker.start(t)
	d.rewatch(t, "schedules")
	d.watch.schedule(t, "tick", "schedule", exists)

	d.program.kill(t)
	d.watch.availability(t, "offline")
	d.run(t)
	d.watch.availability(t, "online")
	d.watch.status(t, "ready")
	d.watch.run(t, "tick", "completed")

	d.do(t, "stop", `{"id": "stop"}`, "stop")
	// Others may have been rejected before, as the motor was not there yet.
	for d.watch.run(t, "tick", "rejected").Error.Code != "emergency_stopped" {
	}
	d.watch.schedule(t, "tick", "run that is rejected", func(s *schedule) bool {
		return s.LastOperation.State == "rejected" && s.LastOperation.Error.Code == "emergency_stopped"
	})
	d.do(t, "reset", `{"id": "reset"}`, "reset")
	d.watch.run(t, "tick", "completed")

	d.do(t, "schedules/tick", strings.Replace(tick, "{", `{"id": "pause", "enabled": false, `, 1), "pause")
	d.watch.schedule(t, "tick", "pause", func(s *schedule) bool { return !s.Enabled && s.NextRun == nil })
	d.send(t, "schedules/tick", `{"delete": true, "id": "delete"}`, "-r")
	if op := d.watch.operation(t, "delete", "completed"); op.Operation != "schedule" {
		t.Errorf("the answer is %+v", op) // live, it counts; its copy does not
	}
	d.watch.schedule(t, "tick", "deletion", func(s *schedule) bool { return s == nil })
	d.send(t, "schedules/tick", tick)
	d.watch.schedule(t, "tick", "schedule", exists)
	d.shutDown(t)
	d.run(t)
	d.watch.until(t, "operation", "refusal of what is retained", func(m message) bool {
		op := decode[operation](t, m)
		return op.ID == "delete" && op.State == "rejected" && op.Error.Code == "retained_command"
	})
	d.watch.run(t, "tick", "completed")
}

func TestScheduleCommands(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.rewatch(t, "schedules")
	for _, row := range []struct {
		status int
		texts  []string // each on a line of its own
		args   []string
	}{
		{0, []string{"there are no schedules"}, []string{"schedule", "list"}},
		{0, []string{"Next runs:", " 08:00:00 E", "completed in"},
			[]string{"schedule", "set", "morning", "--cron", "0 8 * * 1-5", "--timezone", "America/Toronto", "hotel", "A", "--param", "precise=false"}},
		{0, []string{`{"next_runs":["`, `"operation":"schedule"`}, []string{"schedule", "set", "tick", "--every", "12h", "refresh", "--overlap", "queue", "--json"}},
		{0, []string{"Next runs:", "Thu 2099-01-01 07:00:00 UTC", "completed in"}, []string{"schedule", "set", "once", "--at", "2099-01-01T08:00:00+01:00", "home"}},
		{1, []string{`rejected: hotel "Z" is not one of A, B, C, D`, "schedule: rejected"}, []string{"schedule", "set", "z", "--every", "5s", "hotel", "Z"}},
		{0, []string{"morning 0 8 * * 1-5 America/Toronto hotel A", "once once home Thu 2099-01-01 07:00:00 UTC - - 0 0", "tick every 12h0m0s refresh"},
			[]string{"schedule", "list"}},
		{0, []string{"completed in"}, []string{"schedule", "pause", "tick"}},
		{0, []string{"tick every 12h0m0s refresh paused"}, []string{"schedule", "list"}},
		{0, []string{"Next runs:", "completed in"}, []string{"schedule", "resume", "tick"}},
		{0, []string{"completed in"}, []string{"schedule", "delete", "once"}},
		{1, []string{`rejected: there is no schedule "once"`}, []string{"schedule", "delete", "once"}},
		{1, []string{`there is no schedule "once"`}, []string{"schedule", "pause", "once"}},
		{2, []string{`the hour of cron is "25"; it must be 0 to 23`}, []string{"schedule", "set", "x", "--cron", "0 25 * * *", "home"}},
		{2, []string{`timezone is "Toronto"`}, []string{"schedule", "set", "x", "--cron", "@daily", "--timezone", "Toronto", "home"}},
		{2, []string{"say when"}, []string{"schedule", "set", "x", "home"}},
		{2, []string{"give exactly one of cron, every_seconds, at"}, []string{"schedule", "set", "x", "--cron", "@daily", "--every", "5s", "home"}},
		{2, []string{"2020-01-01T00:00:00Z has passed"}, []string{"schedule", "set", "x", "--at", "2020-01-01T00:00:00Z", "home"}},
		{2, []string{`the schedule's name is "X"`}, []string{"schedule", "set", "X", "--every", "5s", "home"}},
		{2, []string{`operation is "reset"; it must be one of`}, []string{"schedule", "set", "x", "--every", "5s", "reset"}},
		{2, []string{"give a name, an operation"}, []string{"schedule", "set", "x"}},
		{2, []string{"give the name of a schedule"}, []string{"schedule", "resume"}},
	} {
		p := d.ask(t, row.status, row.args...)
		output := strings.Join(strings.Fields(p.output()), " ")
		for _, text := range row.texts {
			if !strings.Contains(output, strings.TrimSpace(text)) {
				t.Errorf("%v printed no %q", row.args, text)
			}
		}
	}
	p := d.ask(t, 0, "schedule", "resume", "tick", "--json")
	var shown struct {
		Runs []time.Time `json:"next_runs"`
	}
	lines := strings.Split(strings.TrimSpace(p.output()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &shown); err != nil || len(shown.Runs) != 5 {
		t.Fatalf("resumed, its next runs are %v, %v", shown.Runs, err)
	}
	next := d.watch.schedule(t, "tick", "next run", func(s *schedule) bool { return s != nil && s.NextRun != nil }).NextRun
	if !shown.Runs[0].Equal(*next) || shown.Runs[4].Sub(*next) != 4*12*time.Hour {
		t.Errorf("the next runs are shown as %v, and the first is at %v", shown.Runs, next)
	}
	p = d.ask(t, 0, "schedule", "list", "--json")
	var list map[string]*schedule
	if err := json.Unmarshal([]byte(p.output()), &list); err != nil || len(list) != 2 || !list["tick"].Enabled || list["tick"].EverySeconds != 12*3600 {
		t.Errorf("the list is %v, %v", list, err)
	}
	d.shutDown(t)
	d.ask(t, 1, "schedule", "list").awaitText(t, "device lab is offline")
}
