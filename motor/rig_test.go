package motor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errNoCable = errors.New("there is no cable")

// A rig is a driver and a simulated servo in virtual time, with a cable between them that can be pulled.
type rig struct {
	t      *testing.T
	config motor.Config
	servo  *simulator.Servo
	motor  *motor.Motor
	log    logbook

	end    func() // tells Run to end
	ended  chan error
	serves sync.WaitGroup

	hooking sync.Mutex

	mu       sync.Mutex
	heard    []instruction
	hook     func(int, instruction)
	plugged  bool
	pull     context.CancelFunc // unplugs the present connection
	opened   []time.Time        // every attempt to open the port
	ports    []*port            // those that succeeded
	wrapPort func(motor.Port) motor.Port
}

// A port knows whether it has been closed.
type port struct {
	*simulator.Port
	closed atomic.Bool
}

func (p *port) Close() error {
	p.closed.Store(true)
	return p.Port.Close()
}

// onRig runs a test on a rig whose servo has power, and whose driver has not been started. What holds
// always is checked at the end: the driver ends when it is told to, and torque never came on with an
// old goal.
func onRig(t *testing.T, config simulator.Config, test func(*testing.T, *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, plugged: true, ended: make(chan error, 1), end: func() {}}
		config.Trace = r.trace
		r.servo = simulator.New(config)
		r.config = motor.Config{
			Open: r.open, Port: "cable", Baud: 57600, ID: 1, Speed: 50,
			MoveTimeout: 20 * time.Second, Watchdog: time.Second, HealthInterval: 10 * time.Second, Log: slog.New(&r.log),
		}
		defer r.finish()
		test(t, r)
	})
}

// run starts the driver.
func (r *rig) run() {
	r.motor = motor.New(r.config)
	ctx, cancel := context.WithCancel(context.Background())
	r.end = cancel
	go func() { r.ended <- r.motor.Run(ctx) }()
}

// connect starts the driver and waits until the servo is connected.
func (r *rig) connect() {
	r.t.Helper()
	r.run()
	r.await("connected", connected)
}

func (r *rig) finish() {
	r.t.Helper()
	r.end()
	if r.motor != nil {
		if err := <-r.ended; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	}
	for n, p := range r.ports {
		if !p.closed.Load() {
			r.t.Errorf("port %d of %d was not closed", n+1, len(r.ports))
		}
	}
	r.unplug()
	r.serves.Wait()
	for n, i := range r.instructions() {
		present := fold(i.position)
		if r.config.Shortest {
			present = i.position
		}
		if i.writes(dynamixel.TorqueEnable, 1) && i.torque == 0 && i.goal != present {
			r.t.Errorf("instruction %d switches torque on at %d with the goal %d", n, i.position, i.goal)
		}
	}
}

func (r *rig) open(string, int) (motor.Port, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened = append(r.opened, time.Now())
	if !r.plugged {
		return nil, errNoCable
	}
	host, servo := simulator.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	r.pull = cancel
	r.serves.Go(func() { r.servo.Serve(ctx, servo) })
	p := &port{Port: host}
	r.ports = append(r.ports, p)
	if r.wrapPort != nil {
		return r.wrapPort(p), nil
	}
	return p, nil
}

// unplug pulls the cable.
func (r *rig) unplug() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plugged = false
	if r.pull != nil {
		r.pull()
	}
}

// plug puts the cable back; the driver has to open the port to find out.
func (r *rig) plug() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plugged = true
}

func (r *rig) trace(p dynamixel.Packet) {
	i := instruction{
		Packet: p, at: time.Now(),
		torque: r.servo.Register(dynamixel.TorqueEnable), goal: r.servo.Register(dynamixel.GoalPosition),
		position: r.servo.Register(dynamixel.PresentPosition),
	}
	r.mu.Lock()
	i.connection = len(r.ports)
	if i.connection == 0 { // what the test itself prepares
		r.mu.Unlock()
		return
	}
	n, hook := len(r.heard), r.hook
	r.heard = append(r.heard, i)
	r.mu.Unlock()
	if hook != nil {
		r.hooking.Lock() // the servo hears a new connection while the last one ends
		defer r.hooking.Unlock()
		hook(n, i)
	}
}

// onInstruction calls hook with each instruction and its index when it has been received, and before
// it is carried out.
func (r *rig) onInstruction(hook func(n int, i instruction)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hook = hook
}

// unhook ends that, and waits for a hook that is being called.
func (r *rig) unhook() {
	r.onInstruction(nil)
	r.hooking.Lock()
	defer r.hooking.Unlock()
}

// once calls do when the first instruction arrives that fits.
func (r *rig) once(fits func(instruction) bool, do func()) {
	var done atomic.Bool
	r.onInstruction(func(_ int, i instruction) {
		if fits(i) && done.CompareAndSwap(false, true) {
			do()
		}
	})
}

// instructions returns what the servo heard since the driver opened the port first.
func (r *rig) instructions() []instruction {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.heard)
}

// since returns what the servo heard after the first n instructions.
func (r *rig) since(n int) []instruction { return r.instructions()[n:] }

// count is the number of instructions so far.
func (r *rig) count() int { return len(r.instructions()) }

// attempts returns when the driver tried to open the port.
func (r *rig) attempts() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.opened)
}

// prepare writes registers as another program did that used the servo before.
func (r *rig) prepare(settings ...setting) {
	r.t.Helper()
	host, servo := simulator.Pipe()
	r.serves.Go(func() { r.servo.Serve(context.Background(), servo) })
	defer host.Close()
	for _, s := range settings {
		host.Write(dynamixel.AppendWrite(nil, 1, s.register, s.value))
		host.SetReadTimeout(100 * time.Millisecond)
		host.Read(make([]byte, 64))
		if got := r.servo.Register(s.register); got != s.value {
			r.t.Fatalf("preparing register %d: it holds %d instead of %d", s.register.Address, got, s.value)
		}
	}
}

type setting struct {
	register dynamixel.Register
	value    int32
}

// holds checks a register of the servo.
func (r *rig) holds(register dynamixel.Register, want int32) {
	r.t.Helper()
	if got := r.servo.Register(register); got != want {
		r.t.Errorf("register %d holds %d, want %d", register.Address, got, want)
	}
}

// settle waits until a horn that was on its way has followed its profile to the end, or has coasted: what
// the driver takes for the end may be some steps before it.
func (r *rig) settle() { time.Sleep(150 * time.Millisecond) }

// isHeldInPlace checks that the servo has torque and nowhere to go.
func (r *rig) isHeldInPlace() {
	r.t.Helper()
	r.settle()
	r.holds(dynamixel.TorqueEnable, 1)
	r.holds(dynamixel.GoalPosition, fold(r.servo.Register(dynamixel.PresentPosition)))
	r.holds(dynamixel.Moving, 0)
}

// await waits, up to a minute, until the driver's status fits.
func (r *rig) await(what string, fits func(device.MotorStatus) bool) {
	r.t.Helper()
	patience := time.After(time.Minute)
	for !fits(r.motor.Status()) {
		select {
		case <-r.motor.Changed():
		case <-patience:
			r.t.Fatalf("not %s after a minute: %+v", what, r.motor.Status())
		}
	}
}

func connected(s device.MotorStatus) bool    { return s.Connection == device.Connected }
func disconnected(s device.MotorStatus) bool { return s.Connection == device.Disconnected }

// An outcome is what a MoveTo or a Reset came to.
type outcome struct {
	device.Arrival
	err error
	at  time.Time
}

// begin starts a move.
func (r *rig) begin(ctx context.Context, goal device.Degrees) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		arrival, err := r.motor.MoveTo(ctx, plain(goal))
		done <- outcome{arrival, err, time.Now()}
	}()
	return done
}

// moveTo moves and checks that the carousel arrives within the tolerance.
func (r *rig) moveTo(goal device.Degrees) outcome {
	r.t.Helper()
	o := <-r.begin(r.t.Context(), goal)
	if o.err != nil {
		r.t.Errorf("MoveTo(%v): %v", goal, o.err)
	}
	if off := o.Angle.From(goal); off < -0.5 || off > 0.5 {
		r.t.Errorf("MoveTo(%v) arrived at %v", goal, o.Angle)
	}
	return o
}

// press presses the emergency stop and checks that it succeeds.
func (r *rig) press() device.Press {
	r.t.Helper()
	p := r.motor.Stop()
	if err := r.answer(p); err != nil {
		r.t.Errorf("stop %d: %v", p.Number, err)
	}
	return p
}

// answer waits for the answer to a press.
func (r *rig) answer(p device.Press) error {
	r.t.Helper()
	select {
	case err := <-p.Done:
		return err
	case <-time.After(10 * time.Second):
		r.t.Fatalf("stop %d has no answer", p.Number)
		return nil
	}
}

// reset releases a press and checks that it succeeds.
func (r *rig) reset(press uint64) {
	r.t.Helper()
	if err := r.motor.Reset(r.t.Context(), press); err != nil {
		r.t.Errorf("Reset(%d): %v", press, err)
	}
}

// atEveryInstruction runs a test for instruction 0, 1, 2 … of what it does, until it reports that there
// are no more.
func atEveryInstruction(t *testing.T, test func(t *testing.T, n int, end func())) {
	t.Helper()
	const most = 200
	n := 0
	for more := true; more && n < most; n++ {
		t.Run(fmt.Sprintf("instruction %d", n), func(t *testing.T) {
			test(t, n, func() { more = false })
		})
	}
	if n < 3 || n == most {
		t.Errorf("it has %d instructions", n-1)
	}
}

// failed checks the code of an error.
func failed(t *testing.T, err error, want device.Code) {
	t.Helper()
	var failure *device.Error
	if !errors.As(err, &failure) {
		t.Errorf("error %v, want one with the code %s", err, want)
	} else if failure.Code != want {
		t.Errorf("code %s (%v), want %s", failure.Code, err, want)
	}
}

// plain is a move without a second stage.
func plain(goal device.Degrees) device.Move {
	return device.Move{Goal: goal, Tolerance: 0.5, Window: 3}
}
