package device_test

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

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const queueSize = 3

// immediateTimeout is how long an operation that does not wait for its turn may take.
const immediateTimeout = 5 * time.Second

// A rig is a device on a fake motor, for use in a synctest bubble. After each of its steps the device
// has come to rest: it does nothing until something happens.
type rig struct {
	*device.Device
	t      *testing.T
	motor  *devicetest.Motor
	store  device.Store
	events []device.Operation // every event so far
	next   int                // the first event that expect has not compared

	durable   []bool   // of each event
	undurable []string // the events that were no receipts, in brief, until notDurable has seen them

	leave func()       // what Run calls when everything has ended
	jump  atomic.Int64 // how far the wall clock is ahead, in nanoseconds

	collecting sync.Mutex // what Run calls at its end collects, too
	sequence   uint64     // of the latest event in events
	cancel     context.CancelFunc
	ended      chan error // receives what Run returned
}

// inBubble runs a test with a device that continues from an empty store and is connected.
func inBubble(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, startRig(t, devicetest.New(), new(device.Memory))) })
}

// newRig makes a device that does not run yet.
func newRig(t *testing.T, motor *devicetest.Motor, store device.Store) *rig {
	t.Helper()
	return wrapRig(t, motor, motor, store)
}

// newRigOf is newRig with another size of the queue, and everything else new.
func newRigOf(t *testing.T, size int) *rig {
	t.Helper()
	motor := devicetest.New()
	return makeRig(t, motor, motor, new(device.Memory), size)
}

// wrapRig is newRig with something between the device and the fake motor.
func wrapRig(t *testing.T, wrapper device.Motor, motor *devicetest.Motor, store device.Store) *rig {
	t.Helper()
	return makeRig(t, wrapper, motor, store, queueSize)
}

func makeRig(t *testing.T, wrapper device.Motor, motor *devicetest.Motor, store device.Store, size int) *rig {
	t.Helper()
	return newRigWith(t, motor, store, func(c *device.Config) { c.Motor, c.QueueSize = wrapper, size })
}

// newRigWith is newRig with other settings.
func newRigWith(t *testing.T, motor *devicetest.Motor, store device.Store, change func(*device.Config)) *rig {
	t.Helper()
	r := &rig{t: t, motor: motor, store: store}
	r.leave = r.collect
	config := device.Config{
		Carousel:  device.Carousel{Hotels: device.EvenlySpaced([]string{"A", "B", "C", "D"}, 19, 1), RoomsPerHotel: 20},
		Tolerance: 0.5, Precise: precise, Bauds: []int{9600, 57600, 1000000},
		QueueSize: queueSize,
		Limits:    device.Limits{Temperature: 70, Current: 2000, MinVoltage: 10, MaxVoltage: 14},
		Retries:   3, RetryDelay: 5 * time.Second, ResumeWindow: time.Minute,
		Setup:   device.Setup{Port: "/dev/ttyUSB0", Baud: 57600, ID: 1, Speed: 50},
		NewID:   newID(),
		Now:     func() time.Time { return time.Now().Add(time.Duration(r.jump.Load())) },
		Motor:   motor,
		Store:   store,
		Log:     slog.New(slog.DiscardHandler),
		Version: "1.2.0",
	}
	change(&config)
	d, err := device.New(config)
	if err != nil {
		t.Fatal(err)
	}
	r.Device = d
	return r
}

func startRig(t *testing.T, motor *devicetest.Motor, store device.Store) *rig {
	t.Helper()
	r := newRig(t, motor, store)
	r.start()
	return r
}

var idsMade atomic.Uint64

// newID makes ids that no other device of this program makes.
func newID() func() string {
	return func() string { return fmt.Sprint("made-", idsMade.Add(1)) }
}

// start begins Run, and ends it with the test.
func (r *rig) start() {
	others := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.ended = cancel, make(chan error, 1)
	go func() { r.ended <- r.Run(ctx, func() { r.leave() }) }()
	r.t.Cleanup(func() {
		r.shutDown()
		// A goroutine that Run has left behind would end the whole test binary with a deadlock, so
		// another Run lets it go. Whether one is left, a test of its own says.
		if time.Sleep(time.Minute); goleak.Find(others) != nil {
			r.motor.HoldHalts(false)
			r.motor.HoldStops(false)
			r.motor.HoldResets(false)
			_ = r.Run(ended(), func() {})
		}
	})
	r.settle()
}

// shutDown ends Run and waits for it. Whatever the test has left open in the motor ends first.
func (r *rig) shutDown() {
	r.cancel()
	for _, m := range r.motor.Moves() {
		m.Fail(context.Canceled)
	}
	for _, p := range r.motor.Presses() {
		p.Answer(nil)
	}
	for _, c := range r.motor.Resets() {
		c.Answer(nil)
	}
	for _, c := range r.motor.Calls() {
		c.Answer(context.Canceled)
	}
	synctest.Wait()
}

// restart ends the process and starts the next one, with the same store and another motor.
func (r *rig) restart(motor *devicetest.Motor) *rig {
	r.t.Helper()
	r.shutDown()
	return startRig(r.t, motor, r.store)
}

// settle waits until the device does nothing more, and collects the events.
func (r *rig) settle() {
	synctest.Wait()
	r.collect()
}

// collect takes the events that are released, as the broker does.
func (r *rig) collect() {
	r.collecting.Lock()
	defer r.collecting.Unlock()
	for {
		events := r.Outbox().After(r.sequence, 7)
		if len(events) == 0 {
			return
		}
		for _, e := range events {
			r.sequence = e.Sequence
			r.events = append(r.events, e.Operation)
			r.durable = append(r.durable, e.Durable)
			if !e.Durable {
				r.undurable = append(r.undurable, brief(e.Operation))
			}
		}
		r.Outbox().Delivered(r.sequence)
	}
}

// submit sends commands at once.
func (r *rig) submit(commands ...device.Command) {
	for _, c := range commands {
		r.Submit(c)
	}
	r.settle()
}

// stop presses the emergency stop with that id.
func (r *rig) stop(id string) {
	r.Stop(func() *device.Command { return &device.Command{ID: id, Name: device.StopOperation, Source: "test"} })
	r.settle()
}

// move returns the nth move of the motor, from 1, and fails if there are not exactly n.
func (r *rig) move(n int) *devicetest.Move {
	r.t.Helper()
	r.settle()
	moves := r.motor.Moves()
	if len(moves) != n {
		r.t.Fatalf("%d moves have begun, want %d", len(moves), n)
	}
	if n == 0 {
		return nil
	}
	return moves[n-1]
}

// noMove fails if the motor was ever asked to move.
func (r *rig) noMove() {
	r.t.Helper()
	r.move(0)
}

func (r *rig) arrive(n int) {
	r.t.Helper()
	if !r.move(n).Arrive() {
		r.t.Fatalf("move %d has ended already", n)
	}
	r.settle()
}

// expect compares the events since the last time, each "id state" or "id state code".
func (r *rig) expect(want ...string) {
	r.t.Helper()
	r.settle()
	var got []string
	for _, op := range r.events[r.next:] {
		got = append(got, brief(op))
	}
	r.next = len(r.events)
	if !slices.Equal(got, want) {
		r.t.Fatalf("the events are\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// last returns the latest event of that operation.
func (r *rig) last(id string) device.Operation {
	r.t.Helper()
	r.settle()
	for _, op := range slices.Backward(r.events) {
		if op.ID == id {
			return op
		}
	}
	r.t.Fatalf("%q has no event", id)
	return device.Operation{}
}

// status fails unless the snapshot has that status.
func (r *rig) status(want device.Status) {
	r.t.Helper()
	r.settle()
	if s := r.View().State; s.Status != want {
		r.t.Fatalf("the status is %s (%s), want %s", s.Status, s.Message, want)
	}
}

// waitEnd lets time pass until Run has returned, and returns how long that took.
func (r *rig) waitEnd(atMost time.Duration) time.Duration {
	r.t.Helper()
	r.settle()
	began := time.Now()
	timeout := time.NewTimer(atMost + 1) // exactly atMost is in time
	defer timeout.Stop()
	select {
	case err := <-r.ended:
		if err != nil {
			r.t.Fatalf("Run returned %v", err)
		}
	case <-timeout.C:
		r.t.Fatalf("Run has not returned after %v", atMost)
	}
	took := time.Since(began)
	r.settle()
	return took
}

// ended returns a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// diffOf compares operations as they are published.
func diffOf(a, b device.Operation) string {
	return cmp.Diff(a, b, cmpopts.IgnoreUnexported(device.Error{}))
}

func brief(op device.Operation) string {
	if op.Error == nil {
		return fmt.Sprintf("%s %s", op.ID, op.State)
	}
	return fmt.Sprintf("%s %s %s", op.ID, op.State, op.Error.Code)
}

func hotel(id, name string) device.Command {
	return device.Command{ID: id, Name: device.HotelOperation, Parameters: device.Parameters{Hotel: &name}, Source: "test"}
}

func angle(id string, a device.Degrees) device.Command {
	return device.Command{ID: id, Name: device.AngleOperation, Parameters: device.Parameters{Angle: &a}, Source: "test"}
}

func home(id string) device.Command {
	return device.Command{ID: id, Name: device.HomeOperation, Source: "test"}
}

func reset(id string) device.Command {
	return device.Command{ID: id, Name: device.ResetOperation, Source: "test"}
}

// command makes a command with parameters.
func command(id string, name device.Name, p device.Parameters) device.Command {
	return device.Command{ID: id, Name: name, Parameters: p, Source: "test"}
}

func speed(id string, value int) device.Command {
	return command(id, device.SpeedOperation, device.Parameters{Speed: &value})
}

func connection(id, state string) device.Command {
	return command(id, device.ConnectionOperation, device.Parameters{State: &state})
}

func reboot(id string) device.Command {
	return command(id, device.RebootOperation, device.Parameters{})
}

func refresh(id string) device.Command {
	return command(id, device.RefreshOperation, device.Parameters{})
}

func cancel(id, target string) device.Command {
	return command(id, device.CancelOperation, device.Parameters{Target: &target})
}

// retries is the command with so many more attempts.
func retries(n int, c device.Command) device.Command {
	c.Parameters.Retries = &n
	return c
}

// once is the command with one attempt.
func once(c device.Command) device.Command { return retries(0, c) }

// within is the command with that timeout_seconds.
func within(s float64, c device.Command) device.Command {
	c.Parameters.TimeoutSeconds = &s
	return c
}

// expiring is the command with that expires_at.
func expiring(at time.Time, c device.Command) device.Command {
	c.Parameters.ExpiresAt = &at
	return c
}
