package simulator

import (
	"bytes"
	"slices"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// bootTime is how long a servo hears and says nothing after a reboot or power-up. The manual gives no
// number.
const bootTime = 300 * time.Millisecond

// reboot boots the servo after the time that this takes.
func (s *Servo) reboot(now time.Time) {
	s.release()
	s.boot(now.Add(bootTime))
}

// boot gives RAM its initial values and folds the position into one turn, whatever the operating mode:
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#present-position132. The manual leaves the first
// goal open; here it is where the horn stands, so that Startup Torque On holds it.
func (s *Servo) boot(at time.Time) {
	s.position = fold(s.position)
	s.reset(ramStart)
	s.resetGoals()
	s.restore()
	s.registered = nil
	s.booted, s.fed = at, at
	s.refresh(at)
	s.set(dynamixel.GoalPosition, s.get(dynamixel.PresentPosition))
	if s.has(dynamixel.StartupConfiguration) && s.get(dynamixel.StartupConfiguration)&dynamixel.StartupTorqueOn != 0 {
		s.setTorque(true, at)
	}
}

// What a factory reset leaves as it is.
const (
	resetAll         = 0xFF
	resetKeepsID     = 0x01
	resetKeepsIDBaud = 0x02
)

// resets says whether there is something wrong with a factory reset.
// https://emanual.robotis.com/docs/en/dxl/protocol2/#factory-reset
func (s *Servo) resets(params []byte, how address) dynamixel.StatusError {
	switch {
	case len(params) != 1:
		return dynamixel.DataLengthError
	case params[0] == resetAll:
		if how == byBroadcast && s.get(dynamixel.FirmwareVersion) >= 42 {
			return dynamixel.ResultFail
		}
		return 0
	case params[0] == resetKeepsID, params[0] == resetKeepsIDBaud:
		return 0
	}
	return dynamixel.DataRangeError
}

// factoryReset gives every register its initial value, and boots.
func (s *Servo) factoryReset(option byte, now time.Time) {
	number, id, baud := s.get(dynamixel.ModelNumber), s.get(dynamixel.ID), s.get(dynamixel.BaudRate)
	s.release()
	s.reset(0)
	s.set(dynamixel.ModelNumber, number)
	if option != resetAll {
		s.set(dynamixel.ID, id)
	}
	if option == resetKeepsIDBaud {
		s.set(dynamixel.BaudRate, baud)
	}
	s.boot(now.Add(bootTime))
}

// backUp stores the control table or restores it, after which the servo reboots. It takes a firmware that
// has Backup Ready(147), and torque has to be off.
func (s *Servo) backUp(params []byte, now time.Time) (err dynamixel.StatusError, reboots bool) {
	const store, restore = 0x01, 0x02
	switch {
	case !s.has(dynamixel.BackupReady):
		return dynamixel.InstructionError, false
	case len(params) != 5:
		return dynamixel.DataLengthError, false
	case !bytes.Equal(params[1:], []byte("CTRL")) || params[0] != store && params[0] != restore:
		return dynamixel.DataRangeError, false
	case s.torque(), params[0] == restore && s.backup == nil:
		return dynamixel.ResultFail, false
	case params[0] == store:
		s.backup = slices.Clone(s.bytes)
		s.set(dynamixel.BackupReady, 1)
		return 0, false
	}
	for _, e := range s.entries {
		if e.Writable && e.Address < ramStart {
			s.set(e.Register, e.Get(s.backup, 0))
		}
	}
	return 0, true
}

// restore gives the RAM what has been stored, if that is wanted, as the servo boots.
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#startup-configuration60
func (s *Servo) restore() {
	if s.backup == nil {
		return
	}
	s.set(dynamixel.BackupReady, 1)
	if s.get(dynamixel.StartupConfiguration)&dynamixel.StartupRestoreRAM == 0 {
		return
	}
	for _, e := range s.entries {
		if e.Writable && e.Address > dynamixel.TorqueEnable.Address {
			s.set(e.Register, e.Get(s.backup, 0))
		}
	}
}
