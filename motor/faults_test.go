package motor_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

var (
	serialSeed  = flag.Uint64("serial.seed", 0, "only the moves with this seed")
	serialMoves = flag.Int("serial.moves", 400, "moves with all faults of the serial line and the servo at once")
)

// movesOfSeed is how many moves have the same seed.
const movesOfSeed = 50

// Of five moves two are disturbed by more than the line: everything that the simulator can do wrong happens at
// once, and the driver keeps its promises. A seed makes all that is random; what happens at the same moment,
// goroutines do in an order of their own.
func TestAllFaultsAtOnce(t *testing.T) {
	from, to := uint64(1), uint64((*serialMoves+movesOfSeed-1)/movesOfSeed)
	if *serialSeed != 0 {
		from, to = *serialSeed, *serialSeed
	}
	counts := make(map[string]int)
	for seed := from; seed <= to; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
				b := newBout(r, seed)
				b.pass()
				for what, n := range b.counts {
					counts[what] += n
				}
				counts["transactions without a good reply"] += int(r.motor.Status().SerialErrors)
				counts["connections"] += len(r.attempts())
				if broken := b.promises.all(); len(broken) > 0 || t.Failed() {
					t.Errorf("%s\nlately:\n%s\nagain: go test ./motor -run TestAllFaultsAtOnce -serial.seed=%d",
						strings.Join(broken, "\n"), strings.Join(b.steps[max(0, len(b.steps)-12):], "\n"), seed)
				}
			})
		})
	}
	t.Logf("%d moves, %d connections, %d transactions without a good reply", counts["moves"], counts["connections"], counts["transactions without a good reply"])
	for _, of := range []string{"move", "stop", "reset", "reboot", "fault"} {
		var parts []string
		for _, what := range slices.Sorted(maps.Keys(counts)) {
			if what, found := strings.CutPrefix(what, of+" "); found {
				parts = append(parts, fmt.Sprintf("%d %s", counts[of+" "+what], what))
			}
		}
		t.Logf("%ss: %s", of, strings.Join(parts, ", "))
	}
	if *serialSeed != 0 {
		return
	}
	for _, what := range []string{
		"moves", "move arrived", "move motor_disconnected", "move emergency_stopped", "move cancelled", "move timeout", "move stalled",
		"transactions without a good reply", "connections",
	} {
		if counts[what] < int(to) {
			t.Errorf("there were only %d: %s", counts[what], what)
		}
	}
}

// A bout is so many moves one after another, and what befalls them.
type bout struct {
	*rig
	random   *rand.Rand
	promises *promises
	counts   map[string]int
	steps    []string
	held     uint64 // the press of the emergency stop that has not been reset, or 0

	line  simulator.Faults // what is wrong all the time
	wrong simulator.Faults // what is wrong now
	heals []heal
}

// A heal ends a fault.
type heal struct {
	at time.Time
	do func()
}

func newBout(r *rig, seed uint64) *bout {
	random := rand.New(rand.NewPCG(seed, 9))
	b := &bout{rig: r, random: random, counts: make(map[string]int)}
	r.config.Speed = 60 + random.IntN(260)
	r.config.Shortest = random.IntN(3) == 0
	r.config.Acceleration = []int{0, 0, 0, 50}[random.IntN(4)]
	r.config.Watchdog = []time.Duration{time.Second, time.Second, 300 * time.Millisecond, 0}[random.IntN(4)]
	b.promises = &promises{rig: r, goal: -1}
	r.wrapPort = func(p motor.Port) motor.Port {
		return tap{p, b.promises, &dynamixel.Parser{MaxLength: 2 * dynamixel.StatusSize(1)}}
	}
	r.onInstruction(func(_ int, i instruction) { b.promises.hear(i) })
	rate := func() float64 { return random.Float64() * 0.06 }
	b.line = simulator.Faults{DropRate: rate(), LateRate: rate(), CorruptRate: rate(), TruncateRate: rate(), NoiseRate: rate()}
	if random.IntN(3) == 0 {
		b.line.LateRate = 0
	}
	if random.IntN(2) == 0 {
		b.line.Power = time.Duration(20+random.IntN(100)) * time.Second
	}
	if random.IntN(3) == 0 {
		b.line.Friction = random.Float64() * 2.5
	}
	return b
}

func (b *bout) pass() {
	b.connect()
	b.wrong = b.line
	b.apply()
	for range movesOfSeed {
		b.recover(false)
		b.move()
		if len(b.promises.all()) > 0 || b.t.Failed() {
			return
		}
	}
	b.finish()
}

func (b *bout) note(format string, args ...any) {
	b.steps = append(b.steps, fmt.Sprintf("%12v  %s", time.Since(b.attempts()[0]).Round(time.Millisecond), fmt.Sprintf(format, args...)))
}

// apply gives the servo its faults, with other random numbers each time.
func (b *bout) apply() {
	f := b.wrong
	f.Seed = b.random.Uint64()
	b.servo.SetFaults(f)
}

// disturb lets something go wrong for a while.
func (b *bout) disturb() {
	short := func(most time.Duration) time.Duration { return time.Duration(b.random.Int64N(int64(most))) }
	set := func(what string, long time.Duration, change func(f *simulator.Faults, on bool)) {
		b.note("%s for %v", what, long)
		b.counts["fault "+what]++
		change(&b.wrong, true)
		b.apply()
		b.heals = append(b.heals, heal{time.Now().Add(long), func() { change(&b.wrong, false); b.apply() }})
	}
	switch b.random.IntN(8) {
	case 0:
		set("mute", short(time.Second), func(f *simulator.Faults, on bool) { f.Mute = on })
	case 1:
		set("echo", short(5*time.Second), func(f *simulator.Faults, on bool) { f.Echo = on })
	case 2:
		set("jam", short(3*time.Second), func(f *simulator.Faults, on bool) { f.Jam = on })
	case 3:
		set("half of the replies lost", short(3*time.Second), func(f *simulator.Faults, on bool) {
			if f.DropRate = b.line.DropRate; on {
				f.DropRate = 0.5
			}
		})
	case 4:
		set("friction", short(20*time.Second), func(f *simulator.Faults, on bool) {
			if f.Friction = b.line.Friction; on {
				f.Friction = 2.9 * b.random.Float64()
			}
		})
	case 5:
		b.note("power cycle")
		b.counts["fault power cycle"]++
		b.servo.PowerCycle()
	case 6:
		b.note("overload")
		b.counts["fault overload"]++
		b.servo.Fail(dynamixel.OverloadError)
	default:
		long := short(3 * time.Second)
		b.note("unplugged for %v", long)
		b.counts["fault unplugged"]++
		b.unplug()
		b.heals = append(b.heals, heal{time.Now().Add(long), b.plug})
	}
}

// heal ends the faults that are to have ended by now.
func (b *bout) heal(until time.Time) {
	b.heals = slices.DeleteFunc(b.heals, func(h heal) bool {
		if h.at.After(until) {
			return false
		}
		h.do()
		return true
	})
}

// recover does what people do before they send a move: they reset the emergency stop, reboot a servo that has
// switched itself off, and wait for one that is not there. It gives up after a while, and the move is sent all the
// same, unless it must succeed.
func (b *bout) recover(must bool) {
	for range 12 {
		b.settle() // nobody sends for a carousel that still turns
		b.heal(time.Now())
		switch s := b.motor.Status(); {
		case s.Connection != device.Connected:
		case len(s.HardwareError) > 0 && b.random.IntN(4) > 0:
			b.documented("reboot", b.motor.Reboot(b.t.Context(), 800*time.Millisecond, true))
		case b.held != 0:
			b.promises.release()
			if err := b.motor.Reset(b.t.Context(), b.held); b.documented("reset", err) {
				b.held = 0
			} else {
				b.promises.stopIs(held)
			}
		case s.Torque:
			return
		}
		time.Sleep(500 * time.Millisecond)
		if !must && b.random.IntN(10) == 0 {
			return
		}
	}
	if must {
		b.t.Errorf("after the faults have ended the motor is %+v", b.motor.Status())
	}
}

// documented counts what something came to, and checks that an error is one that [device.Motor] names.
func (b *bout) documented(what string, err error) bool {
	var failure *device.Error
	switch {
	case err == nil:
		b.counts[what+" done"]++
		return true
	case !errors.As(err, &failure):
		b.t.Errorf("%s ended with %v", what, err)
	case !slices.Contains([]device.Code{
		device.CodeMotorDisconnected, device.CodeMotorFault, device.CodeEmergencyStopped, device.CodeStalled, device.CodeTimeout,
		device.CodeSerialError, device.CodeCancelled,
	}, failure.Code):
		b.t.Errorf("%s ended with %s: %v", what, failure.Code, err)
	default:
		b.counts[what+" "+string(failure.Code)]++
		b.note("%s: %v", what, err)
	}
	return false
}

// move makes a move, lets things happen while it is under way, and checks what it comes to.
func (b *bout) move() {
	move := plain(device.Degrees(b.random.Float64() * 359.9))
	if b.random.IntN(3) == 0 {
		move = precise(move.Goal)
	}
	if b.random.IntN(8) == 0 {
		move.Timeout = time.Duration(b.random.Int64N(int64(2 * time.Second)))
	}
	b.counts["moves"]++
	b.note("move to %v from %v", move.Goal, b.stands())
	b.promises.begin(move.Goal)
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	type end struct {
		arrival device.Arrival
		err     error
		stands  device.Degrees
	}
	ends := make(chan end, 2)
	go func() {
		arrival, err := b.motor.MoveTo(ctx, move)
		ends <- end{arrival, err, b.stands()}
	}()
	const never = time.Hour
	disturbed, cancelled, stopped := never, never, never
	switch b.random.IntN(10) {
	case 0, 1, 2, 3:
		disturbed = time.Duration(b.random.Int64N(int64(2 * time.Second)))
	case 4:
		cancelled = time.Duration(b.random.Int64N(int64(2 * time.Second)))
	case 5:
		stopped = time.Duration(b.random.Int64N(int64(2 * time.Second)))
	}
	if b.random.IntN(10) == 0 { // in the middle of a fault
		disturbed = 100 * time.Millisecond
		stopped = disturbed + time.Duration(b.random.Int64N(int64(time.Second)))
	}
	disturb, give, stop := time.After(disturbed), time.After(cancelled), time.After(stopped)
	patience := time.After(5 * time.Minute)
	healing := time.NewTicker(50 * time.Millisecond)
	defer healing.Stop()
	isCancelled, press := false, uint64(0)
	for {
		select {
		case <-disturb:
			b.disturb()
		case <-healing.C:
			b.heal(time.Now())
		case <-give:
			b.note("cancelled")
			isCancelled = true
			cancel()
		case <-stop:
			b.stop()
			press = b.held
		case <-patience:
			b.t.Fatalf("the move to %v does not end\n%s", move.Goal, strings.Join(b.steps, "\n"))
		case e := <-ends:
			b.promises.end()
			if b.motor.Status().Connection == device.Connected && b.held == 0 && b.servo.Register(dynamixel.PositionPGain) == 16383 {
				b.t.Errorf("the move to %v has left the gain of a pulse behind: %v", move.Goal, e.err)
			}
			switch code := codeOf(e.err); {
			case !b.documented("move", e.err):
				if code == device.CodeCancelled && !isCancelled || code == device.CodeEmergencyStopped && b.held == 0 {
					b.t.Errorf("the move to %v ended with %v, which nobody wanted", move.Goal, e.err)
				}
			default:
				b.counts["move arrived"]++
				delete(b.counts, "move done")
				b.arrived(move, e.arrival, e.stands)
			}
			if press != 0 {
				b.counts["moves with a stop"]++
			}
			return
		}
	}
}

func codeOf(err error) device.Code {
	var failure *device.Error
	errors.As(err, &failure)
	if failure == nil {
		return ""
	}
	return failure.Code
}

// stands is where the carousel really is.
func (b *bout) stands() device.Degrees {
	return (device.Degrees(b.servo.Register(dynamixel.PresentPosition)) * 360 / 4096).Wrap()
}

// arrived checks that a move has ended where it says, and near enough to its goal.
func (b *bout) arrived(move device.Move, a device.Arrival, stands device.Degrees) {
	limit := move.Window
	if move.Precise != nil {
		limit = move.Tolerance
	}
	const rounding = 0.1
	off, said := math.Abs(float64(stands.From(move.Goal))), math.Abs(float64(a.Angle.From(move.Goal)))
	if off > float64(limit)+rounding {
		b.t.Errorf("the move to %v arrived at %v", move.Goal, stands)
	}
	if off > said+float64(move.Tolerance) {
		b.t.Errorf("the move to %v arrived at %v, and says that it is %v", move.Goal, stands, a.Angle)
	}
}

// stop presses the emergency stop and checks the answer.
func (b *bout) stop() {
	b.note("stop")
	b.promises.press()
	pressed := time.Now()
	p := b.motor.Stop()
	b.held = p.Number
	select {
	case err := <-p.Done:
		if err == nil && (b.servo.Register(dynamixel.TorqueEnable) != 0 || !b.promises.readBack()) {
			b.t.Error("the stop says that torque is off, and nobody has said so")
		}
		if b.documented("stop", err); err != nil && codeOf(err) != device.CodeMotorDisconnected {
			b.t.Errorf("the stop ended with %v", err)
		}
		if took := time.Since(pressed); took > 2*time.Second {
			b.t.Errorf("the stop was answered after %v", took)
		}
	case <-time.After(time.Minute):
		b.t.Fatal("the stop has no answer")
	}
	select {
	case err := <-p.Done:
		b.t.Errorf("the stop has a second answer, %v", err)
	default:
	}
}

// finish ends all faults: nothing is stuck, and a plain move arrives at the first attempt.
func (b *bout) finish() {
	b.heal(time.Now().Add(time.Hour))
	b.plug()
	b.wrong = simulator.Faults{}
	b.apply()
	time.Sleep(30 * time.Second)
	b.recover(true)
	goal := device.Degrees(b.random.Float64() * 359.9)
	b.note("the last move, to %v from %v", goal, b.stands())
	b.promises.begin(goal)
	defer b.promises.end()
	b.moveTo(goal)
	b.holds(dynamixel.TorqueEnable, 1)
	b.holds(dynamixel.BusWatchdog, 0)
	b.holds(dynamixel.GoalPWM, 885)
	b.holds(dynamixel.ProfileVelocity, int32(b.config.Speed))
	b.holds(dynamixel.PositionPGain, 900)
	if n := eepromWrites(b.instructions()); n > 0 && !b.config.Shortest {
		b.t.Errorf("%d registers were written because of what others hold", n)
	}
}
