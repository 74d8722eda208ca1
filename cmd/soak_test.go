package cmd

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

var (
	soakSeed  = flag.Uint64("soak.seed", 0, "soak only the hour with this seed")
	soakFrom  = flag.Uint64("soak.from", 1, "the seed of the first hour")
	soakHours = flag.Uint64("soak.hours", 10, "hours to soak")
)

// flood is how many rejections a second are answered; more of them are counted. As many as spare may come of what the
// broker has kept, and of schedules.
const (
	flood = 20
	spare = 10
)

// Least of what happens in an hour.
const (
	leastOperations = 100
	leastFaults     = 10
)

// In each hour a lab has more than a hundred operations and more than ten faults, in virtual time, and the device keeps its
// promises. A seed makes all that is random; what happens at the same moment, goroutines do in an order of their own.
func TestSoak(t *testing.T) {
	from, hours := *soakFrom, *soakHours
	if *soakSeed != 0 {
		from, hours = *soakSeed, 1
	}
	var passed, operations, faults atomic.Int64
	var broken atomic.Bool // -failfast begins all that are parallel
	t.Cleanup(func() {
		t.Logf("%d virtual hours, %d operations, %d faults", passed.Load(), operations.Load(), faults.Load())
	})
	for seed := from; seed < from+hours; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			if broken.Load() {
				return
			}
			synctest.Test(t, func(t *testing.T) {
				h := &hour{lab: newLab(t, seed)}
				h.pass()
				operations.Add(int64(h.promises.ended))
				faults.Add(int64(h.faults))
				passed.Add(1)
				if len(h.promises.broken) > 0 {
					broken.Store(true)
					t.Errorf("%s\nall of it:\n%s\nagain: go test ./cmd -run TestSoak -soak.seed=%d",
						strings.Join(h.promises.broken, "\n"), strings.Join(h.steps, "\n"), seed)
				}
			})
		})
	}
}

// An hour is what happens in one.
type hour struct {
	*lab
	count  int         // of commands
	sent   []*order    // with an id
	lately []time.Time // when commands were sent, in the last second
	faults int
	heals  []heal
}

// A heal ends a fault.
type heal struct {
	at time.Time
	do func()
}

func (h *hour) pass() {
	h.run()
	time.Sleep(2 * calm)
	for end := time.Now().Add(time.Hour); time.Now().Before(end) || h.ended() < leastOperations || h.faults < leastFaults; {
		h.wait()
		h.heal(time.Now())
		if h.isBroken() {
			break
		}
		if h.random.IntN(12) == 0 && len(h.heals) < 3 {
			h.fault()
		} else {
			h.command()
		}
		h.promises.check()
	}
	h.finish()
}

// ended is how many operations have ended.
func (h *hour) ended() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.promises.ended
}

// isBroken says that a promise is.
func (h *hour) isBroken() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.promises.broken) > 0
}

// wait lets time pass: often a moment, now and then minutes.
func (h *hour) wait() {
	most := []time.Duration{20 * time.Millisecond, 2 * time.Second, 2 * time.Second, 20 * time.Second, 80 * time.Second}
	time.Sleep(50*time.Millisecond + time.Duration(h.random.Int64N(int64(most[h.random.IntN(len(most))]))))
	synctest.Wait()
}

func (h *hour) heal(until time.Time) {
	left := h.heals[:0]
	for _, heal := range h.heals {
		if heal.at.After(until) {
			left = append(left, heal)
			continue
		}
		heal.do()
	}
	h.heals = left
}

// finish heals everything and compares.
func (h *hour) finish() {
	h.heal(time.Now().Add(24 * time.Hour))
	time.Sleep(4 * calm)
	for _, do := range []func(){
		func() { h.order(device.ConnectionOperation, `"state": "ON"`, nil) },
		func() { h.order(device.RebootOperation, "", nil) },
		h.reset,
		func() { h.order(device.SpeedOperation, `"speed": 100`, nil) },
	} {
		do()
		time.Sleep(2 * calm)
	}
	for _, name := range slices.Sorted(maps.Keys(h.promises.schedules)) {
		h.setSchedule(name, `{"delete": true}`)
	}
	time.Sleep(20 * time.Minute) // for all that waits
	h.promises.check()
	h.promises.checkEnd()
	if h.process != nil {
		h.stop()
	}
	h.unplug()
	h.stopBroker()
	synctest.Wait()
}

func pick[T any](h *hour, of ...T) T { return of[h.random.IntN(len(of))] }

// command sends something.
func (h *hour) command() {
	if h.broker == nil {
		return
	}
	switch n := h.random.IntN(100); {
	case n < 62:
		h.move()
	case n < 66:
		h.order(device.SpeedOperation, fmt.Sprintf(`"speed": %d`, 40+h.random.IntN(80)), nil)
	case n < 70:
		h.order(device.RefreshOperation, "", nil)
	case n < 73:
		h.order(device.CancelOperation, "", nil)
	case n < 75:
		h.order(device.RebootOperation, "", nil)
	case n < 79:
		h.again()
	case n < 84:
		h.press()
	case n < 90:
		h.reset()
	case n < 92:
		h.order(device.ConnectionOperation, `"state": "`+pick(h, "ON", "ON", "OFF")+`"`, nil)
	case n < 95:
		h.nonsense()
	default:
		h.schedule()
	}
}

// move sends one to five moves.
func (h *hour) move() {
	for range pick(h, 1, 1, 2, 5) {
		options := pick(h, "", "", "", `, "precise": false`, `, "retries": 2`, `, "timeout_seconds": 2`)
		switch h.random.IntN(5) {
		case 0:
			goal := float64(h.random.IntN(35900)) / 100
			h.order(device.AngleOperation, fmt.Sprintf(`"angle": %g%s`, goal, options), &goal)
		case 1:
			h.order(device.HomeOperation, strings.TrimPrefix(options, ", "), new(float64))
		default:
			i := h.random.IntN(4)
			h.order(device.HotelOperation, fmt.Sprintf(`"hotel": "%c"%s`, 'A'+i, options), new(19+90*float64(i)))
		}
	}
}

// order sends a command with an id.
func (h *hour) order(name device.Name, fields string, goal *float64) *order {
	h.count++
	id := fmt.Sprintf("%s-%d", name, h.count)
	payload := `"id": "` + id + `"`
	if name == device.CancelOperation {
		payload = `"id": "` + pick(h, "all", fmt.Sprintf("hotel-%d", h.count-1), fmt.Sprintf("hotel-%d", h.count-3)) + `"`
		id = ""
	}
	if fields != "" && id != "" {
		payload += ", " + fields
	}
	o := &order{id: id, name: name, goal: goal, payload: "{" + payload + "}"}
	h.send(o)
	return o
}

func (h *hour) send(o *order) {
	h.lately = slices.DeleteFunc(append(h.lately, time.Now()), func(t time.Time) bool { return time.Since(t) > time.Second })
	h.mu.Lock()
	switch {
	case h.process == nil || h.broker == nil:
		if o.arrived != yes && o.arrived != maybe {
			o.arrived = no
		}
	case h.promises.settled() && len(h.lately) <= flood-spare:
		o.arrived = yes
	case o.arrived != yes:
		o.arrived = maybe
	}
	if o.id != "" {
		if h.promises.orders[o.id] == nil {
			h.sent = append(h.sent, o)
		}
		h.promises.orders[o.id] = o
		if o.state == device.Rejected {
			o.state = ""
		}
	} else {
		h.promises.nameless[o.name]++
	}
	if o.name == device.ResetOperation {
		if h.promises.latched == yes {
			h.promises.latched = maybe
		}
		h.promises.resetAt = time.Now()
	}
	h.note("send %s %s", o.name, o.payload)
	h.mu.Unlock()
	h.publish(h.topics.Set(o.name), o.payload, false)
}

// again sends what was sent before.
func (h *hour) again() {
	if len(h.sent) > 0 {
		h.send(h.sent[h.random.IntN(len(h.sent))])
	}
}

// nonsense sends what is not to be obeyed.
func (h *hour) nonsense() {
	name := pick(h, device.Names...)
	switch h.random.IntN(3) {
	case 0:
		if name != device.StopOperation {
			h.did("send %s nothing", name)
			h.publish(h.topics.Set(name), "", false)
		}
	case 1:
		h.count++
		o := &order{id: fmt.Sprintf("bad-%d", h.count), name: pick(h, device.HotelOperation, device.AngleOperation, device.SpeedOperation), refused: true}
		o.payload = `{"id": "` + o.id + `", ` + pick(h, `"hotel": "Z"`, `"angle": 400`, `"speed": 0`, `"nonsense": 1`) + `}`
		h.send(o)
	default: // it is obeyed now, as a live subscription does not show that it is retained, and never again
		h.count++
		o := &order{id: fmt.Sprintf("kept-%d", h.count), name: device.HotelOperation, goal: new(199.)}
		o.payload = `{"id": "` + o.id + `", "hotel": "C"}`
		h.mu.Lock()
		h.promises.orders[o.id], o.arrived = o, maybe
		h.note("retain %s", o.payload)
		h.mu.Unlock()
		h.publish(h.topics.Set(o.name), o.payload, true)
	}
}

// press presses the emergency stop.
func (h *hour) press() {
	h.mu.Lock()
	h.note("stop")
	p := &h.promises
	switch {
	case p.settled():
		// One more press waits for a disk that takes its time over the latch. Torque is off, and stays so.
		off := p.latched == yes && h.servo.Register(dynamixel.TorqueEnable) == 0
		p.latched, p.latchedAt = yes, time.Now()
		if strings.Contains(string(p.retained["state"]), `"connection":"connected"`) && h.plugged && p.pressed.IsZero() && !off {
			p.pressed = time.Now()
		}
	default:
		p.latched, p.latchedAt = maybe, time.Now()
	}
	h.mu.Unlock()
	h.publish(h.topics.Set(device.StopOperation), "PRESS", false)
}

// reset resets it.
func (h *hour) reset() { h.order(device.ResetOperation, "", nil) }

func (h *hour) schedule() {
	i := h.random.IntN(4)
	name := fmt.Sprintf("run-%c", 'a'+i)
	h.mu.Lock()
	h.promises.schedules[name] = 19 + 90*float64(i)
	h.mu.Unlock()
	payload := fmt.Sprintf(`{"every_seconds": %d, "operation": "hotel", "parameters": {"hotel": "%c"}}`, 60+h.random.IntN(600), 'A'+i)
	if h.random.IntN(3) == 0 {
		payload = `{"delete": true}`
	}
	h.setSchedule(name, payload)
}

func (h *hour) setSchedule(name, payload string) {
	h.mu.Lock()
	h.promises.nameless[device.ScheduleOperation]++
	h.note("schedule %s %s", name, payload)
	h.mu.Unlock()
	h.publish(h.topics.SetSchedule(name), payload, false)
}

// until heals after a while.
func (h *hour) until(most time.Duration, do func()) {
	h.heals = append(h.heals, heal{time.Now().Add(time.Duration(h.random.Int64N(int64(most)))), do})
}

// fault lets something go wrong.
func (h *hour) fault() {
	h.faults++
	n := h.random.IntN(16)
	h.did("fault %d", n)
	quiet := func() {
		h.mu.Lock()
		h.promises.noisy = false
		h.mu.Unlock()
		h.forget()
		h.servo.SetFaults(simulator.Faults{})
		h.did("the servo and its line are well")
	}
	noisy := func(f simulator.Faults) {
		h.mu.Lock()
		h.promises.noisy, h.promises.pressed = true, time.Time{}
		h.mu.Unlock()
		f.Seed = h.random.Uint64()
		h.servo.SetFaults(f)
		h.until(2*time.Minute, quiet)
	}
	switch n {
	case 0, 1, 2:
		rate := func() float64 { return pick(h, 0, 0.02, 0.1) }
		noisy(simulator.Faults{DropRate: rate(), LateRate: rate(), CorruptRate: rate(), TruncateRate: rate(), NoiseRate: rate()})
	case 3:
		noisy(pick(h, simulator.Faults{Mute: true}, simulator.Faults{Echo: true}, simulator.Faults{Jam: true}, simulator.Faults{Voltage: 9}))
	case 4:
		noisy(simulator.Faults{Friction: 2.5, Inertia: 10})
	case 5:
		h.forget()
		h.unplug()
		h.until(30*time.Second, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.plugged = true
			h.note("plugged in")
		})
	case 6:
		h.forget()
		h.servo.PowerCycle()
	case 7:
		h.forget()
		h.servo.Fail(dynamixel.OverloadError)
	case 8:
		h.mu.Lock()
		h.promises.turned = time.Now().Add(2 * time.Second) // when it ends at the latest
		h.mu.Unlock()
		for range h.random.IntN(100) { // by hand, at 50 degrees a second
			if h.servo.Register(dynamixel.TorqueEnable) != 0 {
				break
			}
			h.servo.Turn(1)
			time.Sleep(20 * time.Millisecond)
		}
		h.mu.Lock()
		h.promises.turned = time.Now()
		h.mu.Unlock()
	case 9:
		h.disk.mu.Lock()
		h.disk.slow, h.disk.full = pick(h, 0, 100*time.Millisecond, 5*time.Second), h.random.IntN(2) == 0
		h.disk.mu.Unlock()
		h.until(time.Minute, func() {
			h.disk.mu.Lock()
			defer h.disk.mu.Unlock()
			h.disk.slow, h.disk.full, h.disk.healed = 0, false, time.Now()
		})
	case 10:
		if h.broker != nil {
			h.stopBroker()
			h.until(time.Minute, h.startBroker)
		}
	case 11:
		h.cut()
	case 12:
		h.mu.Lock()
		for k := range h.links {
			k.freeze()
		}
		h.promises.linkedSince = time.Now().Add(time.Hour) // until it is known
		h.mu.Unlock()
		h.until(time.Minute, h.cut)
	case 13:
		h.jump.Add(int64(time.Duration(h.random.IntN(7200)-3600) * time.Second))
	default:
		h.restart(n == 14)
	}
}

// forget takes a stop for done that something has come between.
func (h *hour) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.promises.pressed, h.promises.mute = time.Time{}, time.Now().Add(unnoticed)
}

// restart ends the process, one way or the other, and starts another one after a while.
func (h *hour) restart(kill bool) {
	if h.process == nil {
		return
	}
	h.did("restart, kill %v", kill)
	h.forget()
	if kill {
		h.kill()
	} else {
		h.stop()
	}
	if h.random.IntN(4) == 0 { // the machine, too
		h.disk.mu.Lock()
		h.disk.boot++
		h.disk.mu.Unlock()
	}
	h.until(pick(h, 100*time.Millisecond, 10*time.Second, 2*time.Minute), func() {
		h.did("run")
		h.run()
	})
}
