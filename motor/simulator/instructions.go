package simulator

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// execute carries out an instruction packet that has been received completely and returns the bytes of the
// status, or nothing if there is none. https://emanual.robotis.com/docs/en/dxl/protocol2/
func (s *Servo) execute(p dynamixel.Packet) []byte {
	if !s.hears(p) {
		return nil
	}
	if s.trace != nil {
		kept := p
		kept.Params = slices.Clone(p.Params)
		s.trace(kept)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.advance(now)
	s.fed = now
	status := dynamixel.Packet{ID: p.ID, Instruction: dynamixel.Status}
	if p.ID == dynamixel.BroadcastID {
		status.ID = byte(s.get(dynamixel.ID))
	}
	alert := s.get(dynamixel.HardwareErrorStatus) != 0 // before a reboot clears it: its status goes out first
	level := int32(2)                                  // the Status Return Level(68) from which on there is a status
	switch p.Instruction {
	case dynamixel.Ping:
		level = 0
		status.Params = []byte{s.table[0], s.table[1], s.table[dynamixel.FirmwareVersion.Address]}
	case dynamixel.Read:
		level = 1
		status.Params, status.Error = s.read(p.Params)
	case dynamixel.Write:
		status.Error = s.write(p.Params, now)
	case dynamixel.Reboot:
		defer s.reboot(now) // the status is subject to the settings that it ends
	default:
		status.Error = dynamixel.InstructionError
	}
	if alert {
		status.Error |= dynamixel.Alert
	}
	if s.get(dynamixel.StatusReturnLevel) < level ||
		p.ID == dynamixel.BroadcastID && p.Instruction != dynamixel.Ping {
		return nil
	}
	return s.faults.spoil(dynamixel.AppendPacket(nil, status))
}

// hears reports whether the servo is awake and the packet an instruction for it.
func (s *Servo) hears(p dynamixel.Packet) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.Instruction != dynamixel.Status && !time.Now().Before(s.booted) &&
		(p.ID == dynamixel.BroadcastID || int32(p.ID) == s.get(dynamixel.ID))
}

// read returns a piece of the control table. Unused bytes inside the table read as 0, so that a block can
// be read across them.
func (s *Servo) read(params []byte) ([]byte, dynamixel.StatusError) {
	if len(params) != 4 {
		return nil, dynamixel.DataLengthError
	}
	address, size := int(binary.LittleEndian.Uint16(params)), int(binary.LittleEndian.Uint16(params[2:]))
	switch {
	case size == 0:
		return nil, dynamixel.DataLengthError
	case address+size > tableSize:
		return nil, dynamixel.AccessError
	}
	return s.table[address : address+size], 0
}

// write changes registers that follow one another, all of them or, on an error, none.
func (s *Servo) write(params []byte, now time.Time) dynamixel.StatusError {
	if len(params) < 3 {
		return dynamixel.DataLengthError
	}
	first, data := binary.LittleEndian.Uint16(params), params[2:]
	var entries []entry
	for address := first; int(address-first) < len(data); {
		e, ok := entryAt(address)
		if !ok || !e.writable || address < ramStart && s.torque() {
			return dynamixel.AccessError
		}
		if int(address-first+e.Size) > len(data) {
			return dynamixel.DataLengthError
		}
		if err := s.check(e, e.Get(data, first)); err != 0 {
			return err
		}
		entries = append(entries, e)
		address += e.Size
	}
	for _, e := range entries {
		s.apply(e.Register, e.Get(data, first), now)
	}
	return 0
}

// check returns the error that writing the value would have.
func (s *Servo) check(e entry, value int32) dynamixel.StatusError {
	low, high := e.min, e.max
	valid := true
	switch e.Register {
	case dynamixel.DriveMode, dynamixel.Shutdown:
		valid = value&^e.max == 0 // a bit field, all of whose bits are in max
	case dynamixel.OperatingMode:
		valid = slices.Contains(modes(s.get(dynamixel.ModelNumber)), value)
	case dynamixel.TorqueEnable:
		if value == 1 && s.shut() {
			// Only a reboot helps now. The manual gives no error number; this one means "failed to process".
			return dynamixel.ResultFail
		}
	case dynamixel.BusWatchdog:
		valid = !s.tripped() || value == 0
	case dynamixel.GoalPWM:
		high = s.get(dynamixel.PWMLimit)
		low = -high
	case goalCurrent:
		high = s.get(currentLimit)
		low = -high
	case dynamixel.GoalVelocity:
		high = s.get(dynamixel.VelocityLimit)
		low = -high
	case dynamixel.GoalPosition:
		if s.get(dynamixel.OperatingMode) == dynamixel.ModePosition {
			low, high = s.get(dynamixel.MinPositionLimit), s.get(dynamixel.MaxPositionLimit)
		}
	}
	if !valid || value < low || value > high || isGoal(e.Register) && s.tripped() {
		return dynamixel.DataRangeError
	}
	return 0
}

// apply writes a register and does what follows from it.
func (s *Servo) apply(r dynamixel.Register, value int32, now time.Time) {
	old := s.get(r)
	if r == dynamixel.TorqueEnable {
		s.setTorque(value == 1, now)
		return
	}
	s.change(now, func() { s.set(r, value) })
	switch r {
	case dynamixel.OperatingMode:
		if value != old {
			s.changeMode(value, now)
		}
	case dynamixel.DriveMode:
		if (value^old)&dynamixel.DriveModeReverse != 0 {
			position, _ := s.at(now)
			s.path = resting(fold(-position)) // that it stays within one turn is a choice: the manual is silent
		}
	}
	if !isGoal(r) {
		return
	}
	switch {
	case s.torque():
		if r == dynamixel.GoalPosition {
			s.move(now, s.goal())
		}
	case s.get(dynamixel.DriveMode)&dynamixel.DriveModeTorqueByGoal != 0 && !s.shut():
		s.setTorque(true, now)
	}
}

// changeMode resets what a new operating mode resets.
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#operating-mode11
func (s *Servo) changeMode(mode int32, now time.Time) {
	const gains, gainsEnd = 76, 92
	for _, e := range controlTable {
		if e.Address >= gains && e.Address < gainsEnd {
			s.set(e.Register, e.initial)
		}
	}
	s.set(dynamixel.ProfileVelocity, 0)
	s.set(dynamixel.ProfileAcceleration, 0)
	s.resetGoals()
	if mode == dynamixel.ModePosition {
		position, _ := s.at(now)
		s.path = resting(fold(position))
	}
}

// resetGoals sets the goals that have limits of their own to them.
func (s *Servo) resetGoals() {
	s.set(dynamixel.GoalPWM, s.get(dynamixel.PWMLimit))
	s.set(goalCurrent, s.get(currentLimit))
}
