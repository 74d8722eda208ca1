//go:build e2e && figures

package cmd_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// move has the carousel turn to one side or the other by a degree, and returns how long the goal position took to come
// out of the serial port, when the move has been carried out.
func (r *rig) move(t *testing.T) time.Duration {
	t.Helper()
	r.moves++
	id := fmt.Sprint("move-", r.moves)
	sent := r.line.forget(r.line.goal)
	r.send("angle", fmt.Sprintf(`{"id": %q, "angle": %d}`, id, r.moves%2))
	took := r.line.await(t, r.line.goal, "goal position").Sub(sent)
	r.awaitEnd(t, id)
	return took
}

// commands is the way of a command: to a device that stands, with the journal on a disk, against that of a message to a
// callback that does nothing. Beside it are that of a message to a program whose callback writes to a port at once, which
// shows what a process and a pseudo-terminal add, and to one in Python.
func (f *figures) commands(t *testing.T, r *rig) {
	var starts []time.Duration
	for range 5 {
		_, p, took := r.python(t)
		starts = append(starts, took)
		p.end(syscall.SIGTERM)
	}
	script, python, _ := r.python(t)
	bare := r.bare(t)
	var hops, moves, bares, scripts []time.Duration
	way := func(l *line, topic string, n int) time.Duration {
		pause()
		sent := l.forget(l.goal)
		r.sender.Publish(topic, 1, false, fmt.Sprint(n%2))
		return l.await(t, l.goal, "goal position for "+topic).Sub(sent)
	}
	for n := range *figuresSize {
		pause()
		hops = append(hops, r.hop(t, fmt.Sprintf(`{"id": "move-%d", "angle": %d}`, n, n%2)))
		pause()
		moves = append(moves, r.move(t))
		bares = append(bares, way(bare, "bare/angle/set", n))
		scripts = append(scripts, way(script, "python/angle/set", n))
	}
	if !python.running() {
		t.Error("the script has ended")
	}
	f.compare("start → listening of a bare script in Python, p50", "ms", percentile(starts, 50).Seconds()*1000, "")
	f.compare("resident memory of a bare script in Python", "MB", float64(python.resident(t))*1024/1e6, "")
	for _, goal := range []struct {
		percent int
		limit   float64
	}{{50, 1.3}, {99, 1.5}} {
		percent, limit := goal.percent, goal.limit
		name, raw := fmt.Sprintf(", p%d", percent), percentile(hops, percent)
		f.goal("command → first byte of its goal position"+name, "× raw", limit, ratio(percentile(moves, percent), raw), "%s; raw %s", spread(moves), spread(hops))
		f.compare("the same of a bare program in Go"+name, "× raw", ratio(percentile(bares, percent), raw), "%s", spread(bares))
		f.compare("the same of a bare script in Python"+name, "× raw", ratio(percentile(scripts, percent), raw), "%s", spread(scripts))
	}
}

// untuned compares a broker that waits for acknowledgements before it sends a small packet with one that does not: for a
// command to a device that stands, and for one that is sent as soon as the one before has been carried out.
func (f *figures) untuned(t *testing.T, tuned, untuned *rig) {
	standing, next := make(map[*rig][]time.Duration), make(map[*rig][]time.Duration)
	for range max(*figuresSize/2, 10) {
		for _, r := range []*rig{tuned, untuned} {
			pause()
			standing[r] = append(standing[r], r.move(t))
			next[r] = append(next[r], r.move(t))
		}
	}
	row := func(name string, percent int, times map[*rig][]time.Duration) {
		f.goal(fmt.Sprintf("%s, on a broker with Nagle's algorithm, p%d", name, percent), "× tuned", 2,
			ratio(percentile(times[untuned], percent), percentile(times[tuned], percent)), "%s; tuned %s", spread(times[untuned]), spread(times[tuned]))
	}
	for _, percent := range []int{50, 99} {
		row("command", percent, standing)
		row("next command", percent, next)
	}
}

// settled is how long after the servo has come to rest at its goal the subscribers know.
func (f *figures) settled(t *testing.T, r *rig) {
	const (
		poll      = 20 * time.Millisecond // the most that the program may wait before it looks
		tolerance = 5                     // steps, less than half a degree
	)
	var ends, hops []time.Duration
	for n := range max(*figuresSize/5, 10) {
		pause()
		hops = append(hops, r.hop(t, "x"))
		pause()
		id := fmt.Sprint("settles-", n)
		r.line.forget(r.line.goal)
		r.send("angle", fmt.Sprintf(`{"id": %q, "angle": %d}`, id, 5+n%2*5))
		r.line.await(t, r.line.goal, "goal position")
		r.awaitEvent(t, id+" running", func(e event) bool { return e.ID == id && e.State == "running" })
		rested := r.awaitRest(t, tolerance)
		ends = append(ends, r.awaitEnd(t, id).at.Sub(rested))
	}
	f.goal("servo settled → completed at a subscriber, p50", "ms", (poll+percentile(hops, 50)).Seconds()*1000, percentile(ends, 50).Seconds()*1000,
		"%s; raw %s", spread(ends), spread(hops))
}

// awaitRest returns when the servo was first seen at rest and at its goal, give or take so many steps.
func (r *rig) awaitRest(t *testing.T, tolerance int32) time.Time {
	t.Helper()
	look, timeout := time.NewTicker(200*time.Microsecond), time.After(patience)
	defer look.Stop()
	for {
		now := time.Now()
		off := r.servo.Register(dynamixel.PresentPosition) - r.servo.Register(dynamixel.GoalPosition)
		velocity := r.servo.Register(dynamixel.PresentVelocity)
		if r.servo.Register(dynamixel.Moving) == 0 && max(velocity, -velocity) <= 1 && max(off, -off) <= tolerance {
			return now
		}
		select {
		case <-look.C:
		case <-timeout:
			t.Fatal("the servo has not come to rest")
		}
	}
}

// transaction is how long the longest takes, at 57600 baud.
const transaction = 14 * time.Millisecond

// settlingStops is the way of an emergency stop about the end of a move, when the servo is looked at without a pause.
func (f *figures) settlingStops(t *testing.T, r *rig) {
	var stops, hops []time.Duration
	for n := range max(*figuresSize/4, 10) {
		pause()
		hops = append(hops, r.hop(t, "x"))
		r.line.forget(r.line.goal)
		r.send("angle", fmt.Sprint(n%2))
		r.line.await(t, r.line.goal, "goal position")
		for range 4 { // the profile of a degree takes 0.1 s
			pause()
		}
		sent := r.line.forget(r.line.torqueOff)
		r.send("stop", "")
		stops = append(stops, r.line.await(t, r.line.torqueOff, "torque off").Sub(sent))
		id := fmt.Sprint("settling-", n)
		r.send("reset", fmt.Sprintf(`{"id": %q}`, id))
		r.awaitEnd(t, id)
	}
	f.goal("stop at the end of a move → torque off, p99", "ms", (percentile(hops, 99)+transaction).Seconds()*1000, percentile(stops, 99).Seconds()*1000,
		"%s; raw %s", spread(stops), spread(hops))
}

// stops is the way of an emergency stop while a move runs, a hundred operations wait, and 2,000 messages a second come
// that mean nothing.
func (f *figures) stops(t *testing.T, r *rig) {
	const (
		waiting = 100
		rate    = 2000
	)
	topics := []string{"angle/set", "hotel/set", "shelf/set"}
	junk := startFlood(t, r.broker.url(), rate, func(n int) (topic, payload string) { return r.base + topics[n%len(topics)], "junk" })
	var stops, hops []time.Duration
	cancelled := 0
	for n := range max(*figuresSize/4, 10) {
		far := 0
		if r.servo.Register(dynamixel.PresentPosition) < dynamixel.StepsPerTurn/2 {
			far = 340
		}
		r.line.forget(r.line.goal)
		last := ""
		for m := range waiting + 1 {
			last = fmt.Sprintf("waits-%d-%d", n, m)
			r.send("angle", fmt.Sprintf(`{"id": %q, "angle": %d}`, last, far))
		}
		r.line.await(t, r.line.goal, "goal position")
		r.awaitEvent(t, last+" queued", func(e event) bool { return e.ID == last && e.State == "queued" })
		pause()
		hops = append(hops, r.hop(t, "x"))
		pause()
		if r.servo.Register(dynamixel.Moving) == 0 {
			t.Fatal("no move runs")
		}
		sent := r.line.forget(r.line.torqueOff)
		r.send("stop", fmt.Sprintf(`{"id": "stop-%d"}`, n))
		stops = append(stops, r.line.await(t, r.line.torqueOff, "torque off").Sub(sent))
		r.send("reset", fmt.Sprintf(`{"id": "reset-%d"}`, n))
		r.awaitEvent(t, "reset", func(e event) bool {
			if e.Error.Code == "emergency_stopped" && e.State == "cancelled" {
				cancelled++
			}
			return e.ID == fmt.Sprint("reset-", n) && e.State == "completed"
		})
	}
	if had := junk.end(); had < rate*9/10 {
		t.Errorf("the flood had %.0f messages a second, too few of %d", had, rate)
	}
	if want := len(stops) * (waiting + 1); cancelled != want {
		t.Errorf("%d operations were cancelled by %d stops, want %d", cancelled, len(stops), want)
	}
	f.goal("stop in a flood → torque off, p99", "ms", (percentile(hops, 99)+transaction).Seconds()*1000, percentile(stops, 99).Seconds()*1000,
		"%s, at the most %d; raw %s; %d stops, as many times torque off, %d operations cancelled", spread(stops), percentile(stops, 100).Microseconds(), spread(hops), len(stops), cancelled)
}

// queue is what an operation costs with others behind it.
func (f *figures) queue(t *testing.T, r *rig) {
	costs, times := make(map[int]time.Duration), make(map[int]time.Duration)
	sent, done := 0, 0
	operate := func() {
		r.send("angle", fmt.Sprintf(`{"id": "waits-%d", "angle": 0}`, sent)) // where it is
		sent++
	}
	end := func() {
		r.awaitEnd(t, fmt.Sprint("waits-", done))
		done++
	}
	for _, behind := range []int{10, 1000, 10000} {
		for id := ""; sent-done < behind; { // it is obeying them meanwhile
			for range min(behind-(sent-done), 50) {
				id = fmt.Sprint("waits-", sent)
				operate()
			}
			r.awaitEvent(t, id+" queued", func(e event) bool {
				if e.State == "completed" {
					done++
				}
				return e.ID == id && e.State == "queued"
			})
		}
		pass := func(count int) {
			for range count {
				end()
				operate()
			}
		}
		pass(10) // what was accepted at once is behind it
		count := max(*figuresSize/5, 20)
		before, began := r.program.processor(t), time.Now()
		pass(count)
		costs[behind], times[behind] = (r.program.processor(t)-before)/time.Duration(count), time.Since(began)/time.Duration(count)
	}
	const flat = 1.3 // what differs by less is the machine's noise
	for _, behind := range []int{1000, 10000} {
		f.goal(fmt.Sprintf("an operation with %d behind it: processor", behind), "× 10", flat, ratio(costs[behind], costs[10]), "%d µs; with 10 behind it %d", costs[behind].Microseconds(), costs[10].Microseconds())
		f.goal(fmt.Sprintf("an operation with %d behind it: time", behind), "× 10", flat, ratio(times[behind], times[10]), "%d µs; with 10 behind it %d", times[behind].Microseconds(), times[10].Microseconds())
	}
}

// bare runs a program whose callback writes a goal position, to a servo of its own.
func (r *rig) bare(t *testing.T) *line {
	t.Helper()
	l, _ := newLine(t)
	p := start(t, "bare", nil, buildPrograms(t), "-test.run=^TestBare$", "-test.timeout=0", "-fleet.broker="+r.broker.url(), "-fleet.port="+l.Path())
	p.awaitText(t, "listening")
	return l
}

// python runs a script that does no more than to write the goal position, to a servo of its own. It takes so long until
// commands come.
func (r *rig) python(t *testing.T) (_ *line, _ *process, took time.Duration) {
	t.Helper()
	l, _ := newLine(t)
	began := time.Now()
	p := start(t, "python", nil, findPython(t), "testdata/ten_lines.py", r.broker.port, l.Path())
	p.awaitText(t, "listening")
	return l, p, time.Since(began)
}
