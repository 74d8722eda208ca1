package motor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// Config says where the servo is and how it shall move; every field is needed.
type Config struct {
	// Open opens a port by name, at a rate in bits a second: [Serial] on a machine.
	Open func(port string, baud int) (Port, error)
	Port string
	Baud int  // bits a second
	ID   byte // 0 to 252

	Speed        int           // profile velocity at first, 0.229 rpm, from 1
	Acceleration int           // profile acceleration, 214.577 rev/min²; 0 is no limit
	Shortest     bool          // turn the short way round, over any number of turns, not only within 0° to 360°
	MoveTimeout  time.Duration // of a move, if its way does not take longer
	// Watchdog, up to [MaxWatchdog], is how long a servo goes on in a move without hearing from us; 0 is
	// for ever.
	Watchdog time.Duration
	// IdleTimeout is how long nobody needs the port until it is closed, to be opened for whatever comes
	// next; 0 keeps it open.
	IdleTimeout time.Duration
	// HealthInterval is how often the servo is read while it is at rest.
	HealthInterval time.Duration
	Log            *slog.Logger
}

// A Motor is one servo. Its methods are safe for concurrent use, but one MoveTo or Reboot runs at a time.
type Motor struct {
	config       Config
	log          *slog.Logger
	stops        stops
	bus          atomic.Pointer[bus] // nil while the servo is not connected
	turnOn       chan struct{}       // holds a token while torque is being switched on
	serialErrors atomic.Uint64
	rebooting    atomic.Bool
	bare         atomic.Bool // the servo has been rebooted without getting its settings again
	desk         desk
	changed      chan struct{}
	target       *target

	mu     sync.Mutex // for writing status
	status atomic.Pointer[device.MotorStatus]
}

var _ device.Motor = (*Motor)(nil)

var errFault = errors.New("the servo has a hardware error")

var errNotConnected = device.Errorf(device.CodeMotorDisconnected, "the motor is not connected")

// New makes a motor; Run connects it.
func New(c Config) *Motor {
	m := &Motor{
		config: c, log: c.Log, changed: make(chan struct{}, 1), turnOn: make(chan struct{}, 1),
		target: newTarget(line{c.Port, c.Baud, c.ID}),
	}
	m.status.Store(&device.MotorStatus{Connection: device.Connecting, Speed: c.Speed})
	return m
}

// Status implements [device.Motor].
func (m *Motor) Status() device.MotorStatus { return *m.status.Load() }

// Changed implements [device.Motor].
func (m *Motor) Changed() <-chan struct{} { return m.changed }

func (m *Motor) update(change func(*device.MotorStatus)) {
	m.mu.Lock()
	next := *m.status.Load()
	change(&next)
	next.SerialErrors = m.serialErrors.Load()
	m.status.Store(&next)
	m.mu.Unlock()
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// use returns the bus if the servo is ready for use, and what is to be called after that.
func (m *Motor) use(ctx context.Context) (b *bus, done func(), err error) {
	if err := m.desk.sit(ctx); err != nil {
		return nil, nil, err
	}
	if b = m.bus.Load(); b == nil || m.Status().Connection != device.Connected {
		m.desk.leave()
		return nil, nil, errNotConnected
	}
	return b, m.desk.leave, nil
}

// observe makes a sample known. Where the servo has an alert, its cause is read: an error that has
// switched torque off is returned.
func (m *Motor) observe(ctx context.Context, b *bus, s sample) error {
	var fault, alerts []string
	if s.alert {
		bits, err := b.get(ctx, dynamixel.HardwareErrorStatus)
		if err != nil {
			return err
		}
		shutdown, err := b.get(ctx, dynamixel.Shutdown)
		if err != nil {
			return err
		}
		if names := dynamixel.HardwareError(bits).Names(); bits&shutdown != 0 {
			fault = names
		} else {
			alerts = names
		}
	}
	m.update(func(status *device.MotorStatus) {
		status.Reading = &s.Reading
		status.HardwareError, status.Alerts = fault, alerts
		if fault != nil {
			status.Torque = false
		}
	})
	if fault != nil {
		return device.Errorf(device.CodeMotorFault, "%w: %s", errFault, strings.Join(fault, ", "))
	}
	return nil
}

// Refresh implements [device.Motor].
func (m *Motor) Refresh(ctx context.Context) error {
	b, done, err := m.use(ctx)
	if err != nil {
		return err
	}
	defer done()
	s, err := b.sample(ctx)
	if err == nil {
		err = m.observe(ctx, b, s)
	}
	if errors.Is(err, errFault) { // to have read it is what was asked for
		return nil
	}
	return coded(err)
}

// SetSpeed implements [device.Motor].
func (m *Motor) SetSpeed(ctx context.Context, speed int) error {
	b, done, err := m.use(ctx)
	if err != nil {
		return err
	}
	defer done()
	select {
	case m.turnOn <- struct{}{}: // which sets the speed, too
		defer func() { <-m.turnOn }()
	case <-ctx.Done():
		return coded(context.Cause(ctx))
	}
	if err := b.set(ctx, dynamixel.ProfileVelocity, int32(speed), 0); err != nil {
		return coded(err)
	}
	m.update(func(status *device.MotorStatus) { status.Speed = speed })
	return nil
}

// Reboot implements [device.Motor].
func (m *Motor) Reboot(ctx context.Context, wait time.Duration, reapply bool) error {
	b, done, err := m.use(ctx)
	if err != nil {
		return err
	}
	defer done()
	m.rebooting.Store(true)
	defer m.rebooting.Store(false)
	// The servo may reboot before its reply has gone out.
	reboot := dynamixel.AppendPacket(nil, dynamixel.Packet{ID: b.id, Instruction: dynamixel.Reboot})
	if _, err := b.do(request{ctx: ctx, packet: reboot, once: true}); err != nil && !errors.Is(err, errNoReply) {
		return coded(err)
	}
	m.update(func(status *device.MotorStatus) { status.Torque = false })
	b.quiet.Store(true)
	defer b.quiet.Store(false)
	select {
	case <-time.After(wait):
	case <-b.lost:
	case <-ctx.Done():
		return coded(context.Cause(ctx))
	}
	b.quiet.Store(false)
	if !reapply {
		m.bare.Store(true)
		return m.Refresh(ctx)
	}
	if err := m.makeSafe(ctx, b); err != nil {
		return coded(err)
	}
	return coded(m.takeOver(ctx, b))
}

// Stop implements [device.Motor].
func (m *Motor) Stop() device.Press { return m.stops.press() }

// Reset implements [device.Motor].
func (m *Motor) Reset(ctx context.Context, press uint64) error {
	if err := m.desk.sit(ctx); err != nil {
		return err
	}
	defer m.desk.leave()
	if b := m.bus.Load(); b != nil {
		if err := m.torqueOn(ctx, b, permit(press+1), false); err != nil {
			return coded(err)
		}
		return m.release(press)
	}
	if err := m.release(press); err != nil {
		return err
	}
	if b := m.bus.Load(); b != nil { // it has connected while the stop was held
		return coded(m.torqueOn(ctx, b, m.stops.permit(), false))
	}
	return nil
}

func (m *Motor) release(press uint64) error {
	if !m.stops.permits(permit(press + 1)) {
		return errStopped
	}
	m.stops.release(press)
	return nil
}

// torqueOn switches torque on where the carousel stands, if that is permitted. The profile is set
// before: a servo that has been without power has none, and would turn as fast as it can. A servo whose
// torque is on is left alone, or, with halt, made to stop.
func (m *Motor) torqueOn(ctx context.Context, b *bus, p permit, halt bool) error {
	select {
	case m.turnOn <- struct{}{}: // one at a time: a late goal would undo a move
		defer func() { <-m.turnOn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if m.isReleased() {
		return errNotConnected
	}
	on, err := b.get(ctx, dynamixel.TorqueEnable)
	if err != nil {
		return err
	}
	if on == 0 || halt || !m.Status().Torque {
		if err := m.takeHold(ctx, b, p, on != 0); err != nil {
			if on == 0 {
				m.letGo(b)
			}
			return err
		}
	}
	m.update(func(status *device.MotorStatus) {
		if m.stops.permits(p) { // else a stop has been faster
			status.Torque = true
		}
	})
	return nil
}

// letGo takes back a torque that has not come on as it should.
func (m *Motor) letGo(b *bus) {
	ctx, cancel := context.WithTimeout(first(context.Background()), haltTimeout)
	defer cancel()
	if err := b.set(ctx, dynamixel.TorqueEnable, 0, 0); err != nil {
		m.log.Warn("torque may be on", "error", err)
	}
}

// takeHold makes the servo hold the carousel where it stands.
//
// Torque comes on with a goal PWM of 0, which is no force at all. The servo folds its position into one
// turn in that moment, and at 0° one step decides whether that is 0 or 4095: only then is it known which
// goal means no motion.
func (m *Motor) takeHold(ctx context.Context, b *bus, p permit, on bool) error {
	s, err := b.sample(ctx)
	if err != nil {
		return err
	}
	if err := m.observe(ctx, b, s); err != nil {
		return err
	}
	if err := b.set(ctx, dynamixel.ProfileAcceleration, int32(m.config.Acceleration), 0); err != nil {
		return fmt.Errorf("set the profile acceleration: %w", err)
	}
	if err := b.set(ctx, dynamixel.ProfileVelocity, int32(m.Status().Speed), 0); err != nil {
		return fmt.Errorf("set the profile velocity: %w", err)
	}
	m.bare.Store(false)
	if err := b.set(ctx, dynamixel.PositionPGain, b.gain, 0); err != nil {
		return fmt.Errorf("set the position P gain: %w", err)
	}
	if err := b.setWatchdog(ctx, 0); err != nil {
		return fmt.Errorf("clear the bus watchdog: %w", err)
	}
	if !on {
		if err := b.set(ctx, dynamixel.GoalPWM, 0, 0); err != nil {
			return err
		}
		if err := b.hold(ctx, m.present(s.position), p); err != nil {
			return err
		}
		if err := b.set(ctx, dynamixel.TorqueEnable, 1, p); err != nil {
			return err
		}
	}
	if s, err = b.sample(ctx); err != nil {
		return err
	}
	if err := b.hold(ctx, m.confine(s.position), p); err != nil {
		return err
	}
	if err := b.set(ctx, dynamixel.GoalPWM, b.pwmLimit, p); err != nil {
		return err
	}
	torque, err := b.get(ctx, dynamixel.TorqueEnable)
	if err != nil {
		return err
	}
	if !m.stops.permits(p) {
		return errStopped
	}
	if torque == 0 {
		return device.Errorf(device.CodeSerialError, "the servo does not switch its torque on")
	}
	return nil
}
