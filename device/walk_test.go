package device_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

var (
	walkSeed  = flag.Uint64("walk.seed", 0, "walk only with this seed")
	walkSteps = flag.Int("walk.steps", 400, "steps of each random walk")
)

// A device goes through a life of random commands, losses, stops, resets, bad disks, restarts and kills,
// and keeps its promises after each step. A failure names the seed that repeats it.
func TestRandomWalk(t *testing.T) {
	seeds := []uint64{*walkSeed}
	if *walkSeed == 0 {
		seeds = seeds[:0]
		for seed := range uint64(30) {
			seeds = append(seeds, seed+1)
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &walk{
					t: t, random: rand.New(rand.NewPCG(seed, 0)),
					first: make(map[string]device.Operation), ends: make(map[string]device.Operation),
					attempts: make(map[string]int), refused: make(map[string]bool), kept: make(map[string]device.Operation),
					told: make(map[string]int),
				}
				w.rig = startRig(t, devicetest.New(), new(disk))
				w.StopHeard(true)
				t.Cleanup(func() {
					if t.Failed() {
						t.Logf("the last steps were\n\t%s", strings.Join(w.steps, "\n\t"))
						t.Logf("again: go test ./device -run TestRandomWalk -walk.seed=%d", seed)
					}
				})
				for range *walkSteps {
					w.step()
					w.check()
				}
				w.finish()
			})
		})
	}
}

type walk struct {
	*rig
	t      *testing.T
	random *rand.Rand
	steps  []string // the latest

	commands []device.Command            // everything sent that may be sent again
	first    map[string]device.Operation // what accepted the operation
	ends     map[string]device.Operation
	seen     int             // events that were checked
	attempts map[string]int  // of each operation, as far as it was seen
	refused  map[string]bool // those that were rejected
	moves    int             // moves of the motor that were checked
	latched  bool            // before the step
	released bool            // by command

	kept     map[string]device.Operation // the latest durable event of each operation
	told     map[string]int              // every event so far, and the order of the first time
	heal     func()                      // makes the disk well; nil while it is
	heard    bool                        // a stop
	heardAt  time.Time                   // since when
	resuming map[string]bool             // operations that go on after a kill, before they have begun
}

var methods = []devicetest.Method{
	devicetest.SetSpeed, devicetest.Refresh, devicetest.Reboot, devicetest.Connect, devicetest.Release,
}

func (w *walk) did(format string, args ...any) {
	w.steps = append(w.steps, fmt.Sprintf(format, args...))
	w.steps = w.steps[max(0, len(w.steps)-40):]
}

// step does one thing at random.
func (w *walk) step() {
	time.Sleep(time.Duration(60+w.random.IntN(200)) * time.Millisecond) // slow enough for the flood rule
	w.settle()
	w.check()
	w.latched = w.View().State.EmergencyStop
	switch n := w.random.IntN(108); {
	case n < 40:
		w.send()
	case n < 43:
		if w.heal == nil { // else the answer takes so long that something else begins
			w.sendAgain()
		}
	case n < 47:
		w.press()
	case n < 66:
		w.endMove()
	case n < 70:
		w.motor.Lose("cable out")
		w.did("the motor is lost")
	case n < 80:
		w.motor.Find()
		w.did("the motor connects")
	case n < 82:
		w.motor.Fault("overload")
		w.did("the motor has a fault")
	case n < 86:
		w.hold()
	case n < 94:
		w.answer()
	case n < 95:
		w.Warn("disk", []string{"", "full"}[w.random.IntN(2)])
		w.did("a warning comes or goes")
	case n < 96:
		w.jump.Store(int64(w.random.IntN(7200)-3600) * int64(time.Second))
		w.did("the wall clock jumps")
	case n < 98:
		time.Sleep(6 * time.Second)
		w.did("time passes")
	case n < 100:
		w.restart()
	case n < 103:
		w.kill()
	case n < 106:
		w.disk()
	default:
		w.hear()
	}
	w.settle()
}

// submit sends a command and waits for its answer, which a disk that hangs holds up.
func (w *walk) submit(c device.Command) {
	w.rig.submit(c)
	w.waitForDisk()
}

// waitForDisk waits until nothing waits for a disk that is ill.
func (w *walk) waitForDisk() {
	if w.heal != nil {
		time.Sleep(2100 * time.Millisecond)
	}
	w.settle()
}

// hear lets a stop be heard, or not.
func (w *walk) hear() {
	w.heard = !w.heard
	w.StopHeard(w.heard)
	w.heardAt = time.Now()
	w.did("a stop is heard %v", w.heard)
}

// disk makes the disk ill, or well again.
func (w *walk) disk() {
	d := w.store.(*disk)
	switch {
	case w.heal != nil:
		w.heal()
		w.heal = nil
		time.Sleep(1100 * time.Millisecond)
		w.did("the disk is well")
	case w.random.IntN(2) == 0:
		d.fail(errDisk)
		w.heal = func() { d.fail(nil) }
		w.did("the disk fails")
	default:
		w.heal = d.hang()
		time.Sleep(2100 * time.Millisecond)
		w.did("the disk hangs")
	}
}

// hold lets some calls of the motor wait for their answer from now on, and others not.
func (w *walk) hold() {
	stops, resets, halts := w.random.IntN(2) == 0, w.random.IntN(2) == 0, w.random.IntN(2) == 0
	w.motor.HoldStops(stops)
	w.motor.HoldResets(resets)
	w.motor.HoldHalts(halts)
	w.did("hold stops %v, resets %v, halts %v", stops, resets, halts)
	for _, method := range methods {
		hold := w.random.IntN(3) == 0
		w.motor.Hold(method, hold)
		w.did("hold %s %v", method, hold)
	}
}

// choose makes a new command that is correct.
func (w *walk) choose(id string) device.Command {
	c := []device.Command{
		hotel(id, string(rune('A'+w.random.IntN(4)))),
		hotel(id, string(rune('A'+w.random.IntN(4)))),
		angle(id, device.Degrees(w.random.IntN(36000))/100),
		angle(id, device.Degrees(w.random.IntN(36000))/100),
		home(id), home(id), reset(id), reset(id), reset(id),
		reboot(id), speed(id, 1+w.random.IntN(445)), refresh(id),
		connection(id, "ON"), connection(id, "ON"), connection(id, "OFF"), cancel(id, w.target()),
	}[w.random.IntN(16)]
	if c.Name.Queues() && w.random.IntN(3) == 0 {
		delay := float64(w.random.IntN(20)) / 10
		c = retries(w.random.IntN(4), c)
		c.Parameters.RetryDelaySeconds = &delay
	}
	if c.Name.Moves() && c.Name != device.HomeOperation && w.random.IntN(4) == 0 {
		c.Parameters.Overrides = map[string]*float64{} // which JSON leaves out
	}
	if c.Name != device.CancelOperation && w.random.IntN(5) == 0 {
		c = expiring(time.Now().Add(time.Duration(w.random.IntN(1800))*time.Second), c)
	}
	return c
}

// target is what a cancel may name now.
func (w *walk) target() string {
	s, targets := w.View(), []string{"all"}
	if s.State.Operation != nil {
		targets = append(targets, s.State.Operation.ID)
	}
	for _, op := range *s.Queue {
		targets = append(targets, op.ID)
	}
	return targets[w.random.IntN(len(targets))]
}

// send sends a new command, and compares the answer with what was allowed.
func (w *walk) send() {
	id := fmt.Sprint("w", len(w.commands))
	c := w.choose(id)
	w.commands = append(w.commands, c)
	allowed := slices.Contains(w.View().State.AllowedActions, c.Name)
	w.submit(c)
	w.did("send %s %s", c.Name, id)
	rejected := slices.ContainsFunc(w.events[w.seen:], func(op device.Operation) bool {
		return op.ID == id && op.State == device.Rejected
	})
	untrusted := slices.ContainsFunc(w.events[w.seen:], func(op device.Operation) bool {
		return op.ID == id && op.Error != nil && op.Error.Code == device.CodeClockUntrusted
	})
	if untrusted && (c.Parameters.ExpiresAt == nil || w.jump.Load() >= 0) {
		w.t.Fatalf("%s was rejected for the clock", id)
	}
	if untrusted && allowed {
		return // which depends on the command, not on its name
	}
	if rejected == allowed {
		w.t.Fatalf("%s was allowed %v and rejected %v", id, allowed, rejected)
	}
	expired := slices.ContainsFunc(w.events[w.seen:], func(op device.Operation) bool {
		return op.ID == id && op.State == device.Expired
	})
	if c.Name == device.ConnectionOperation && !expired {
		w.released = *c.Parameters.State == "OFF"
		w.did("that is %s", *c.Parameters.State)
	}
}

// sendAgain repeats an accepted command, or gives its id to another.
func (w *walk) sendAgain() {
	if len(w.commands) == 0 {
		return
	}
	recent := w.commands[max(0, len(w.commands)-300):] // still remembered
	c := recent[w.random.IntN(len(recent))]
	if _, accepted := w.first[c.ID]; !accepted {
		return
	}
	other := w.random.IntN(3) == 0
	if other {
		c = hotel(c.ID, "Z")
	}
	moves := len(w.motor.Moves())
	w.submit(c)
	w.did("send again %s, changed %v", c.ID, other)
	if n := len(w.motor.Moves()); n != moves {
		w.t.Fatalf("%s was run again", c.ID)
	}
	if op := w.events[len(w.events)-1]; op.ID != c.ID || (op.State == device.Rejected) != other {
		w.t.Fatalf("the answer to the repeated %s is %s", c.ID, brief(op))
	}
}

func (w *walk) press() {
	if w.random.IntN(3) == 0 {
		w.Stop(func() *device.Command { return nil })
		w.did("stop, second copy")
	} else {
		// Some ids come again, as long as they are remembered.
		id := fmt.Sprintf("stop-%d-%d", len(w.commands)/100, w.random.IntN(5))
		w.stop(id)
		w.did("stop %s", id)
	}
	w.waitForDisk()
	if !w.View().State.EmergencyStop {
		w.t.Fatal("the stop has not latched")
	}
}

func (w *walk) endMove() {
	for _, m := range w.motor.Moves() {
		switch {
		case m.Ended():
		case w.random.IntN(4) > 0:
			m.Arrive()
			w.did("the move to %v arrives", m.Goal)
		default:
			code := []device.Code{device.CodeStalled, device.CodeTimeout, device.CodeSerialError}[w.random.IntN(3)]
			m.Fail(device.Errorf(code, "no good"))
			w.did("the move to %v fails: %s", m.Goal, code)
		}
	}
}

// answer answers everything that waits, one reset and one call in four with an error.
func (w *walk) answer() {
	for _, p := range w.motor.Presses() {
		p.Answer(nil)
	}
	for _, c := range w.motor.Resets() {
		if w.random.IntN(4) == 0 {
			c.Answer(device.Errorf(device.CodeSerialError, "no answer"))
		} else {
			c.Answer(nil)
		}
	}
	for _, c := range w.motor.Calls() {
		if w.random.IntN(4) == 0 {
			c.Answer(device.Errorf(device.CodeSerialError, "no answer"))
		} else {
			c.Answer(nil)
		}
	}
	w.did("everything is answered")
}

// restart ends the process and starts the next one.
func (w *walk) restart() {
	for _, method := range methods {
		w.motor.Hold(method, false)
	}
	w.shutDown()
	w.waitEnd(4 * time.Second)
	w.settle()
	w.checkEvents()
	next := w.store.(*disk).kill()
	w.did("restart")
	w.startAgain(next, w.View().State.EmergencyStop)
}

// kill ends the process without a word.
func (w *walk) kill() {
	w.settle()
	w.checkEvents()
	next, latched := w.store.(*disk).kill(), w.View().State.EmergencyStop
	if w.heal != nil {
		w.heal() // lets the goroutine go
	}
	w.shutDown()
	w.waitEnd(4 * time.Second)
	time.Sleep(time.Duration(w.random.IntN(90)) * time.Second)
	next.rebooted = w.random.IntN(4) == 0
	w.did("kill, rebooted %v", next.rebooted)
	w.startAgain(next, latched)
}

// startAgain starts the next process on what the last one has left.
func (w *walk) startAgain(next *disk, was bool) {
	ill := w.heal != nil
	if ill {
		w.heal()
		w.heal = nil
	}
	w.forget(next)
	away := time.Since(next.savedAt)
	w.heard, w.resuming = false, make(map[string]bool)
	motor := devicetest.New()
	if w.random.IntN(2) == 0 {
		motor = devicetest.NewUnconnected()
	}
	jump := w.jump.Load()
	w.rig = startRig(w.t, motor, next)
	w.jump.Store(jump)
	w.seen, w.moves = 0, 0
	s := w.View().State
	released := s.Connection == device.Released
	if !ill && (s.EmergencyStop != was || released != w.released) {
		w.t.Fatalf("after the restart latched is %v, want %v; released %v, want %v", s.EmergencyStop, was, released, w.released)
	}
	w.checkReplay()
	for _, op := range *w.View().Queue {
		w.resuming[op.ID] = true
		if op.State != device.Retrying || !op.Name.Moves() || away > time.Minute || next.rebooted || was || w.released {
			w.t.Fatalf("%s goes on after %v, rebooted %v, latched %v, released %v", brief(op), away, next.rebooted, was, w.released)
		}
	}
	w.released = released
	if w.random.IntN(3) > 0 {
		w.hear()
	}
}

// forget forgets what the disk does not have, which nobody has a receipt for.
func (w *walk) forget(next *disk) {
	for _, c := range w.commands {
		if _, answered := w.first[c.ID]; !answered {
			w.refused[c.ID] = true // as far as its sender can know
		}
	}
	stored := make(map[string]device.Operation)
	saved, _ := next.Load()
	for _, r := range saved.Records {
		stored[r.Operation.ID] = r.Operation
	}
	for id := range w.first {
		receipt, promised := w.kept[id]
		op, known := stored[id]
		switch {
		case !known && promised, receipt.FinishedAt != nil && op.FinishedAt == nil, op.Attempt < receipt.Attempt:
			w.t.Fatalf("%s has a receipt, and the disk has %+v", brief(receipt), op)
		case !known:
			delete(w.first, id)
			delete(w.ends, id)
			delete(w.attempts, id)
			w.refused[id] = true
		case op.FinishedAt == nil:
			delete(w.ends, id)
		}
		if known {
			w.attempts[id] = op.Attempt
		}
	}
}
