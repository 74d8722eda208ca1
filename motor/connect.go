package motor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// Attempts to connect are at least this far apart, and at most that far.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 2 * time.Second
)

var errRetargeted = errors.New("connecting to another servo")

// Run keeps the servo connected until ctx ends, and then closes the port. The torque stays as it is.
// While the motor is released, the port is closed.
func (m *Motor) Run(ctx context.Context) error {
	defer m.wakeUp()
	defer m.disconnected(device.Disconnected, errClosed.Error())
	backoff := minBackoff
	logged := ""
	var leaving error // what went wrong when the last port was closed by command
	for ctx.Err() == nil {
		l, released, revision, changed := m.target.get()
		if released {
			m.log.Info("motor released")
			m.disconnected(device.Released, "")
			m.target.reach(revision, leaving)
			leaving = nil
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		connected, err := m.session(ctx, l, revision, changed)
		m.target.reach(0, nil)
		if ctx.Err() != nil {
			break
		}
		if connected {
			backoff, logged = minBackoff, ""
		}
		if n := napOf(err); n != nil {
			leaving = m.sleep(ctx, n, l, changed)
			continue
		}
		m.wakeUp()
		select {
		case <-changed:
			if leaving = err; errors.Is(err, errRetargeted) {
				leaving = nil
			}
			m.disconnected(device.Connecting, "")
			if next, _, _, _ := m.target.get(); next != l { // nothing is known of another servo
				m.update(func(status *device.MotorStatus) {
					*status = device.MotorStatus{Connection: status.Connection, Contacted: status.Contacted, Speed: status.Speed}
				})
			}
			continue
		default:
		}
		if err.Error() != logged {
			logged = err.Error()
			m.log.Warn("motor not connected, trying again until it is", "error", err)
		}
		m.disconnected(device.Disconnected, err.Error())
		select {
		case <-time.After(backoff):
			backoff = min(2*backoff, maxBackoff)
		case <-changed:
			backoff = minBackoff
		case <-ctx.Done():
		}
	}
	return nil
}

func (m *Motor) disconnected(c device.Connection, problem string) {
	m.update(func(status *device.MotorStatus) {
		status.Connection, status.Problem, status.Contacted = c, problem, true
		if status.Reading != nil {
			last := *status.Reading
			last.Moving = false // as far as anybody knows
			status.Reading = &last
		}
	})
}

// session is one connection, from opening the port to its loss, which the error explains.
func (m *Motor) session(ctx context.Context, l line, revision uint64, retargeted <-chan struct{}) (connected bool, err error) {
	port, err := m.config.Open(l.port, l.baud)
	if err != nil {
		return false, err
	}
	var b *bus
	defer func() {
		if errors.Is(b.err, errBlocked) {
			go port.Close() // which may wait for the bytes as well
			return
		}
		port.Close()
	}()

	b = newBus(port, l, &m.stops, &m.serialErrors)
	b.onTorqueOff = func() {
		m.update(func(status *device.MotorStatus) { status.Torque = false })
	}
	b.onLost = func(err error) {
		m.bus.CompareAndSwap(b, nil)
		m.disconnected(device.Disconnected, err.Error())
	}
	m.stops.attach(b.stop)
	defer func() {
		m.stops.detach(napOf(err).waker())
	}()
	busCtx, closeBus := context.WithCancel(context.Background())
	go b.run(busCtx)
	defer func() { // the servo is left in order if that is why it is left
		select {
		case <-retargeted:
			if err = m.leave(b); err == nil {
				err = errRetargeted
			}
		default:
		}
		closeBus()
		<-b.lost
	}()

	if err := b.haveAnswers(ctx); err != nil {
		return false, err
	}
	if err := b.identify(ctx); err != nil {
		return false, err
	}
	if err := m.makeSafe(ctx, b); err != nil {
		return false, err
	}
	if speed := m.Status().Speed; speed > b.speedLimit {
		m.log.Warn("the servo turns no faster than its velocity limit", "speed", speed, "limit", b.speedLimit)
		m.update(func(status *device.MotorStatus) { status.Speed = b.speedLimit })
	}
	m.bus.Store(b) // before the torque comes on: a reset may come at any time, and finds one or the other
	defer m.bus.Store(nil)
	if err := m.takeOver(ctx, b); err != nil {
		return false, err
	}
	s, err := b.sample(ctx)
	if err != nil {
		return false, err
	}
	warnings, err := m.warnings(ctx, b)
	if err != nil {
		return false, err
	}
	m.log.Info("motor connected", "model", b.model.Name, "firmware", b.firmware, "id", b.id)
	if !b.known {
		m.log.Warn("this model of servo is not known; what all of its family have in common is used, and its current or load is not shown", "model_number", b.model.Number)
	}
	m.update(func(status *device.MotorStatus) {
		status.Connection, status.Problem, status.Contacted = device.Connected, "", true
		status.Model, status.ModelNumber, status.Firmware = b.model.Name, int(b.model.Number), b.firmware
		status.SpeedLimit = b.speedLimit
		status.Warnings = warnings
	})
	m.desk.rise()
	m.target.reach(revision, nil)
	return true, m.watch(ctx, b, s, retargeted)
}

// identify finds out what servo it is. No two replies in a row have the same size, so that none is taken for another.
func (b *bus) identify(ctx context.Context) error {
	number, err := b.get(ctx, dynamixel.ModelNumber)
	if err != nil {
		if errors.Is(err, errNoReply) {
			return fmt.Errorf("no servo with id %d answers at %d baud; plate-resort scan finds those that are there", b.id, b.baud)
		}
		return fmt.Errorf("read the model number: %w", err)
	}
	b.model, b.known = dynamixel.LookupModel(number)
	firmware, err := b.get(ctx, dynamixel.FirmwareVersion)
	if err != nil {
		return fmt.Errorf("read the firmware version: %w", err)
	}
	if b.pwmLimit, err = b.get(ctx, dynamixel.PWMLimit); err != nil {
		return fmt.Errorf("read the PWM limit: %w", err)
	}
	limit, err := b.get(ctx, dynamixel.VelocityLimit)
	if err != nil {
		return fmt.Errorf("read the velocity limit: %w", err)
	}
	b.firmware, b.speedLimit = int(firmware), int(limit)
	if b.gain, err = b.get(ctx, dynamixel.PositionPGain); err != nil {
		return fmt.Errorf("read the position P gain: %w", err)
	}
	if b.gain == pushGain { // which a program left behind that died in a pulse
		gain, _ := b.model.Entry(dynamixel.PositionPGain)
		b.gain = gain.Initial
	}
	return nil
}

// warnings says what the owner of the servo should know.
func (m *Motor) warnings(ctx context.Context, b *bus) ([]string, error) {
	if m.config.Watchdog == 0 {
		return nil, nil
	}
	err := b.set(ctx, dynamixel.BusWatchdog, 0, 0)
	if errors.Is(err, dynamixel.AccessError) {
		return []string{fmt.Sprintf("The servo's firmware %d has no bus watchdog: if this program dies in a move, it goes on; update the firmware, or set MOTOR_WATCHDOG to 0", b.firmware)}, nil
	}
	return nil, err
}

// takeOver switches torque on where the carousel stands, unless a stop is held or the servo has a
// hardware error. A servo whose torque is on keeps it, but halts.
func (m *Motor) takeOver(ctx context.Context, b *bus) error {
	err := m.torqueOn(ctx, b, m.stops.permit(), true)
	if err == nil && m.Status().Reading.Moving {
		restCtx, cancel := context.WithTimeout(ctx, haltTimeout)
		defer cancel()
		if err = m.awaitRest(restCtx, b); errors.Is(err, context.DeadlineExceeded) {
			err = nil // it hunts for its goal, which is no reason to give it up
		}
	}
	var failure *device.Error
	if errors.As(err, &failure) {
		switch failure.Code {
		case device.CodeEmergencyStopped:
			m.log.Warn("torque stays off until the emergency stop is reset")
			return nil
		case device.CodeMotorFault:
			m.log.Error("torque stays off", "error", err)
			return nil
		}
	}
	if errors.Is(err, dynamixel.DataRangeError) || errors.Is(err, dynamixel.DataLimitError) { // as where its position limits exclude where it stands
		m.log.Error("torque is switched off, as the servo does not accept to hold its position", "error", err)
		m.update(func(status *device.MotorStatus) { status.Torque = false })
		return b.set(ctx, dynamixel.TorqueEnable, 0, 0)
	}
	return err
}

// answerAll is the Status Return Level at which every instruction is answered.
const answerAll = 2

// haveAnswers makes the servo answer every instruction. If it has not done so, it does not answer this one
// either.
func (b *bus) haveAnswers(ctx context.Context) error {
	packet := dynamixel.AppendWrite(nil, b.id, dynamixel.StatusReturnLevel, answerAll)
	if _, err := b.do(request{ctx: ctx, packet: packet, once: true}); err != nil && !errors.Is(err, errNoReply) {
		return err
	}
	return nil
}

// makeSafe sets the registers that would give the others another meaning or switch torque on behind
// our back. They are EEPROM: they are written only where they differ, which needs torque off.
func (m *Motor) makeSafe(ctx context.Context, b *bus) error {
	for _, want := range []struct {
		register dynamixel.Register
		value    func(now int32) int32
	}{
		{dynamixel.DriveMode, func(now int32) int32 {
			return now &^ (dynamixel.DriveModeTimeProfile | dynamixel.DriveModeTorqueByGoal)
		}},
		{dynamixel.OperatingMode, func(int32) int32 { return m.operatingMode() }},
		{dynamixel.StartupConfiguration, func(int32) int32 { return 0 }},
		{dynamixel.HomingOffset, func(int32) int32 { return 0 }}, // it moves the range of one turn
	} {
		now, err := b.get(ctx, want.register)
		if err == nil && now != want.value(now) { // or the reply was that to another question, and very late
			now, err = b.get(ctx, want.register)
		}
		if err != nil {
			return fmt.Errorf("read register %d: %w", want.register.Address, err)
		}
		value := want.value(now)
		if value == now {
			continue
		}
		if err := b.set(ctx, dynamixel.TorqueEnable, 0, 0); err != nil {
			return fmt.Errorf("switch torque off: %w", err)
		}
		if err := b.set(ctx, want.register, value, 0); err != nil {
			return fmt.Errorf("set register %d: %w", want.register.Address, err)
		}
	}
	return nil
}

// hold makes a position the goal, and reads it back.
func (b *bus) hold(ctx context.Context, goal int32, p permit) error {
	if err := b.set(ctx, dynamixel.GoalPosition, goal, p); err != nil {
		return err
	}
	now, err := b.get(ctx, dynamixel.GoalPosition)
	if err != nil {
		return err
	}
	if now != goal {
		return device.Errorf(device.CodeSerialError, "the servo has the goal position %d instead of %d", now, goal)
	}
	return nil
}

var errPowerLost = errors.New("the servo has been without power")

// watch reads the servo from time to time, the first time after the sample last, until the bus is lost,
// which the error explains.
func (m *Motor) watch(ctx context.Context, b *bus, last sample, retargeted <-chan struct{}) error {
	ticker := time.NewTicker(m.config.HealthInterval)
	defer ticker.Stop()
	idle := time.NewTimer(m.config.IdleTimeout)
	defer idle.Stop()
	if m.config.IdleTimeout == 0 {
		idle.Stop()
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-b.lost:
			return b.err
		case <-retargeted:
			return errRetargeted
		case <-idle.C:
			again := m.config.IdleTimeout
			if !m.bare.Load() { // a servo without its settings is not left alone
				var n *nap
				if n, again = m.desk.rest(again); n != nil {
					return napping{n}
				}
			}
			idle.Reset(again)
			continue
		case <-b.alerts: // what it is about is not left until the next reading
			if m.rebooting.Load() {
				continue
			}
		case <-ticker.C:
			if m.rebooting.Load() {
				continue
			}
		}
		s, err := b.sample(ctx)
		if err == nil {
			err = m.observe(ctx, b, s)
		}
		if err != nil {
			m.log.Debug("reading the motor failed", "error", err)
			continue
		}
		if !s.follows(last) && m.hasForgotten(ctx, b) {
			return errPowerLost
		}
		last = s
	}
}

// hasForgotten reports whether the servo has lost its torque, or its settings.
func (m *Motor) hasForgotten(ctx context.Context, b *bus) bool {
	torque, err := b.get(ctx, dynamixel.TorqueEnable)
	if err != nil || m.bare.Load() {
		return false
	}
	if torque == 0 && m.Status().Torque {
		return true
	}
	velocity, err := b.get(ctx, dynamixel.ProfileVelocity)
	return err == nil && int(velocity) != m.Status().Speed
}
