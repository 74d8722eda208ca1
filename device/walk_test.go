package device_test

import (
	"context"
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

// A device goes through a life of random commands, losses, stops, resets and restarts, and keeps its
// promises after each step. A failure names the seed that repeats it.
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
				}
				w.rig = startRig(t, devicetest.New(), new(device.Memory))
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
	seen     int // events that were checked
	moves    int // moves of the motor that were checked
	latched  bool
}

func (w *walk) did(format string, args ...any) {
	w.steps = append(w.steps, fmt.Sprintf(format, args...))
	w.steps = w.steps[max(0, len(w.steps)-40):]
}

// step does one thing at random.
func (w *walk) step() {
	time.Sleep(time.Duration(60+w.random.IntN(200)) * time.Millisecond) // slow enough for the flood rule
	w.latched = w.Snapshot().EmergencyStop
	switch n := w.random.IntN(100); {
	case n < 38:
		w.send()
	case n < 42:
		w.sendAgain()
	case n < 47:
		w.press()
	case n < 70:
		w.endMove()
	case n < 76:
		w.motor.Lose("cable out")
		w.did("the motor is lost")
	case n < 84:
		w.motor.Connect()
		w.did("the motor connects")
	case n < 86:
		w.motor.Fault("overload")
		w.did("the motor has a fault")
	case n < 90:
		stops, resets, halts := w.random.IntN(2) == 0, w.random.IntN(2) == 0, w.random.IntN(2) == 0
		w.motor.HoldStops(stops)
		w.motor.HoldResets(resets)
		w.motor.HoldHalts(halts)
		w.did("hold stops %v, resets %v, halts %v", stops, resets, halts)
	case n < 97:
		w.answer()
	case n < 98:
		w.Warn("disk", []string{"", "full"}[w.random.IntN(2)])
		w.did("a warning comes or goes")
	default:
		w.restart()
	}
	w.settle()
}

// send sends a new command, and compares the answer with what was allowed.
func (w *walk) send() {
	id := fmt.Sprint("w", len(w.commands))
	c := []device.Command{
		hotel(id, string(rune('A'+w.random.IntN(4)))),
		angle(id, device.Degrees(w.random.IntN(36000))/100),
		home(id), reset(id), reset(id),
	}[w.random.IntN(5)]
	w.commands = append(w.commands, c)
	allowed := slices.Contains(w.Snapshot().AllowedActions, c.Name)
	w.submit(c)
	w.did("send %s %s", c.Name, id)
	rejected := slices.ContainsFunc(w.events[w.seen:], func(op device.Operation) bool {
		return op.ID == id && op.State == device.Rejected
	})
	if rejected == allowed {
		w.t.Fatalf("%s was allowed %v and rejected %v", id, allowed, rejected)
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
	w.settle()
	if !w.Snapshot().EmergencyStop {
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
			m.Fail(device.Errorf(device.CodeStalled, "in the way"))
			w.did("the move to %v stalls", m.Goal)
		}
	}
}

// answer answers every stop and reset that waits, one reset in four with an error.
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
	w.did("stops and resets are answered")
}

func (w *walk) restart() {
	latched := w.Snapshot().EmergencyStop
	w.shutDown()
	w.settle()
	w.checkEvents()
	w.did("restart")
	motor := devicetest.New()
	if w.random.IntN(2) == 0 {
		motor = devicetest.NewUnconnected()
	}
	w.rig = startRig(w.t, motor, w.store)
	w.seen, w.moves = 0, 0
	if now := w.Snapshot().EmergencyStop; now && !latched {
		w.t.Fatal("the restart has latched a stop")
	}
}

// check compares the state with what must hold at any time.
func (w *walk) check() {
	w.t.Helper()
	w.checkEvents()
	s, motor := w.Snapshot(), w.motor.Status()

	moves := w.motor.Moves()
	under := 0
	for _, m := range moves {
		if !m.Ended() {
			under++
		}
	}
	for _, m := range moves[w.moves:] {
		if m.Refused != nil || w.latched && s.EmergencyStop {
			w.t.Fatalf("a move to %v began while it could not: %v", m.Goal, m.Refused)
		}
	}
	w.moves = len(moves)
	if under > 1 || (under == 1) != (s.Operation != nil) {
		w.t.Fatalf("%d moves are under way, and the snapshot has %+v", under, s.Operation)
	}
	if s.QueueLength > queueSize {
		w.t.Fatalf("%d operations wait", s.QueueLength)
	}
	if s.Operation == nil && s.QueueLength > 0 {
		w.t.Fatalf("%d operations wait for nothing", s.QueueLength)
	}
	if s.EmergencyStop != w.motor.Held() {
		w.t.Fatalf("latched is %v, and the motor is held %v", s.EmergencyStop, w.motor.Held())
	}
	if s.Connection != motor.Connection || s.Torque != motor.Torque || motor.Known && *s.Angle != motor.Angle.Round() {
		w.t.Fatalf("the snapshot is %+v, and the motor %+v", s, motor)
	}
	if s.Status == device.StatusReady && (s.EmergencyStop || s.Operation != nil || s.Connection != device.Connected) {
		w.t.Fatalf("ready is %+v", s)
	}
}

// checkEvents follows each operation on its way: accepted once, ended once, and never changed after.
func (w *walk) checkEvents() {
	w.t.Helper()
	for _, op := range w.events[w.seen:] {
		if op.State == device.Rejected {
			continue
		}
		if _, ok := w.first[op.ID]; !ok {
			w.first[op.ID] = op
		}
		end, over := w.ends[op.ID]
		switch {
		case over:
			if diff := diffOf(end, op); diff != "" {
				w.t.Fatalf("%s has changed after its end (-end +now):\n%s", op.ID, diff)
			}
		case op.State != device.Queued && op.State != device.Running:
			w.ends[op.ID] = op
		}
	}
	w.seen = len(w.events)
}

// finish lets everything come to its end.
func (w *walk) finish() {
	w.cancel()
	for _, m := range w.motor.Moves() {
		m.Fail(context.Canceled)
	}
	w.shutDown()
	w.settle()
	w.checkEvents()
	for id, op := range w.first {
		if _, over := w.ends[id]; !over {
			w.t.Errorf("%s has not ended: %s", id, brief(op))
		}
	}
	if len(w.first) < *walkSteps/10 {
		w.t.Errorf("only %d operations were accepted", len(w.first))
	}
}
