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

// Run keeps the servo connected until ctx ends, and then closes the port. The torque stays as it is.
func (m *Motor) Run(ctx context.Context) error {
	defer m.disconnected(errClosed)
	backoff := minBackoff
	logged := ""
	for {
		connected, err := m.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if connected {
			backoff, logged = minBackoff, ""
		}
		if err.Error() != logged {
			logged = err.Error()
			m.log.Warn("motor not connected, trying again until it is", "error", err)
		}
		m.disconnected(err)
		select {
		case <-time.After(backoff):
		case <-ctx.Done():
			return nil
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

func (m *Motor) disconnected(err error) {
	m.update(func(status *device.MotorStatus) {
		status.Connection, status.Problem, status.Contacted = device.Disconnected, err.Error(), true
		status.Moving = false
	})
}

// session is one connection, from opening the port to its loss, which the error explains.
func (m *Motor) session(ctx context.Context) (connected bool, err error) {
	port, err := m.config.Open()
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

	b = newBus(port, m.config.ID, m.config.Baud, &m.stops)
	b.onTorqueOff = func() {
		m.update(func(status *device.MotorStatus) { status.Torque = false })
	}
	b.onLost = func(err error) {
		m.bus.CompareAndSwap(b, nil)
		m.disconnected(err)
	}
	m.stops.attach(b.stop)
	defer m.stops.detach()
	busCtx, closeBus := context.WithCancel(context.Background())
	go b.run(busCtx)
	defer func() {
		closeBus()
		<-b.lost
	}()

	if err := m.setUp(ctx, b); err != nil {
		return false, err
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
	m.update(func(status *device.MotorStatus) {
		status.Connection, status.Problem, status.Contacted = device.Connected, "", true
	})
	return true, m.watch(ctx, b, s)
}

// setUp identifies the servo and gives it the settings that torque does not come on without.
func (m *Motor) setUp(ctx context.Context, b *bus) error {
	if err := b.haveAnswers(ctx); err != nil {
		return err
	}
	model, err := b.identify(ctx)
	if err != nil {
		return err
	}
	if err := b.makeSafe(ctx); err != nil {
		return err
	}
	if err := b.clearWatchdog(ctx); err != nil {
		return err
	}
	m.update(func(status *device.MotorStatus) { status.Speed = m.config.Speed })
	m.log.Info("motor connected", "model", model.Name, "id", b.id)
	return nil
}

// takeOver switches torque on where the carousel stands, unless a stop is held or the servo has a
// hardware error. A servo whose torque is on keeps it, but halts.
func (m *Motor) takeOver(ctx context.Context, b *bus) error {
	err := m.torqueOn(ctx, b, m.stops.permit(), true)
	if err == nil && m.Status().Moving {
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
	return err
}

// haveAnswers makes the servo answer every instruction. If it has not done so, it does not answer this one
// either.
func (b *bus) haveAnswers(ctx context.Context) error {
	const all = 2
	packet := dynamixel.AppendWrite(nil, b.id, dynamixel.StatusReturnLevel, all)
	if _, err := b.do(request{ctx: ctx, packet: packet, once: true}); err != nil && !errors.Is(err, errNoReply) {
		return err
	}
	return nil
}

// clearWatchdog ends a trip of the bus watchdog, in which the servo accepts no goal.
func (b *bus) clearWatchdog(ctx context.Context) error {
	err := b.set(ctx, dynamixel.BusWatchdog, 0, 0)
	if errors.Is(err, dynamixel.AccessError) {
		return nil // old firmware has none
	}
	return err
}

func (b *bus) identify(ctx context.Context) (dynamixel.Model, error) {
	number, err := b.get(ctx, dynamixel.ModelNumber)
	if err != nil {
		return dynamixel.Model{}, fmt.Errorf("no servo with id %d at %d baud: %w", b.id, b.baud, err)
	}
	model, _ := dynamixel.LookupModel(number)
	return model, nil
}

// makeSafe sets the registers that would give the others another meaning or switch torque on behind
// our back. They are EEPROM: they are written only where they differ, which needs torque off.
func (b *bus) makeSafe(ctx context.Context) error {
	for _, want := range []struct {
		register dynamixel.Register
		value    func(now int32) int32
	}{
		{dynamixel.DriveMode, func(now int32) int32 {
			return now &^ (dynamixel.DriveModeTimeProfile | dynamixel.DriveModeTorqueByGoal)
		}},
		{dynamixel.OperatingMode, func(int32) int32 { return dynamixel.ModePosition }},
		{dynamixel.StartupConfiguration, func(int32) int32 { return 0 }},
		{dynamixel.HomingOffset, func(int32) int32 { return 0 }}, // it moves the range of one turn
	} {
		now, err := b.get(ctx, want.register)
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
func (m *Motor) watch(ctx context.Context, b *bus, last sample) error {
	ticker := time.NewTicker(m.config.HealthInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-b.lost:
			return b.err
		case <-ticker.C:
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

// hasForgotten reports whether the servo has lost its settings, and with them its torque.
func (m *Motor) hasForgotten(ctx context.Context, b *bus) bool {
	velocity, err := b.get(ctx, dynamixel.ProfileVelocity)
	return err == nil && int(velocity) != m.Status().Speed
}
