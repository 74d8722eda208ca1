package simulator

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// Instructions that only a servo needs to know.
const (
	fastSyncRead  dynamixel.Instruction = 0x8A
	fastBulkRead  dynamixel.Instruction = 0x9A
	controlBackup dynamixel.Instruction = 0x20
)

// The Status Return Level(68) from which on an instruction is answered.
const (
	levelPing  = 0
	levelRead  = 1
	levelWrite = 2
)

// execute carries out an instruction packet that has been received completely and returns the bytes of the
// status, or nothing if there is none. https://emanual.robotis.com/docs/en/dxl/protocol2/
func (s *Servo) execute(p dynamixel.Packet) []byte {
	addressed := s.hears(p)
	if addressed == notForUs {
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
	var alert dynamixel.StatusError
	if s.get(dynamixel.HardwareErrorStatus) != 0 { // before a reboot clears it: its status goes out first
		alert = dynamixel.Alert
	}
	status := dynamixel.Packet{ID: byte(s.get(dynamixel.ID)), Instruction: dynamixel.Status}
	level, silent := int32(levelWrite), addressed != byID // from which level on there is a status
	switch p.Instruction {
	case dynamixel.Ping:
		level, silent = levelPing, addressed == bySecondaryID
		status.Params = []byte{s.bytes[0], s.bytes[1], s.bytes[dynamixel.FirmwareVersion.Address]}
	case dynamixel.Read:
		level = levelRead
		status.Params, status.Error = s.read(p.Params)
	case dynamixel.Write:
		status.Error = s.write(p.Params, addressed, now)
	case dynamixel.RegWrite:
		status.Error = s.register(p.Params, addressed)
	case dynamixel.Action:
		status.Error = s.action(now)
	case dynamixel.Reboot:
		defer s.reboot(now) // the status is subject to the settings that it ends
	case dynamixel.Clear:
		status.Error = s.clear(p.Params, now)
	case dynamixel.FactoryReset:
		if status.Error = s.resets(p.Params, addressed); status.Error == 0 {
			defer s.factoryReset(p.Params[0], now)
		}
	case controlBackup:
		var reboots bool
		if status.Error, reboots = s.backUp(p.Params, now); reboots {
			defer s.reboot(now)
		}
	case dynamixel.SyncWrite, dynamixel.BulkWrite:
		if piece, ok := addressedWrite(p, status.ID); ok {
			s.write(piece, byID, now)
		}
		return nil
	case dynamixel.SyncRead, dynamixel.BulkRead, fastSyncRead, fastBulkRead:
		piece, others, ok := addressedRead(p, status.ID)
		fast := p.Instruction == fastSyncRead || p.Instruction == fastBulkRead
		if !ok || s.get(dynamixel.StatusReturnLevel) < levelRead || fast && s.get(dynamixel.FirmwareVersion) < s.latest() {
			return nil
		}
		status.Params, status.Error = s.read(piece)
		if status.Error |= alert; fast {
			return appendFast(nil, status, others)
		}
		return dynamixel.AppendPacket(nil, status)
	default:
		status.Error = dynamixel.InstructionError
	}
	status.Error |= alert
	if silent || s.get(dynamixel.StatusReturnLevel) < level {
		return nil
	}
	return dynamixel.AppendPacket(nil, status)
}

// An address says how an instruction names a servo.
type address int

const (
	notForUs address = iota
	byID
	bySecondaryID
	byBroadcast
)

// hears says how the packet addresses the servo, if it is awake and the packet an instruction.
func (s *Servo) hears(p dynamixel.Packet) address {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.advance(now)
	switch id := int32(p.ID); {
	case p.Instruction == dynamixel.Status, now.Before(s.booted):
	case p.ID == dynamixel.BroadcastID:
		return byBroadcast
	case id == s.get(dynamixel.ID):
		return byID
	case id == s.get(dynamixel.SecondaryID) && p.ID <= dynamixel.MaxID:
		return bySecondaryID
	}
	return notForUs
}

// read returns a piece of the control table. Unused bytes inside the table read as 0, so that a block can
// be read across them.
func (s *Servo) read(params []byte) ([]byte, dynamixel.StatusError) {
	if len(params) != 4 {
		return nil, dynamixel.DataLengthError
	}
	address, size := binary.LittleEndian.Uint16(params), binary.LittleEndian.Uint16(params[2:])
	switch {
	case size == 0:
		return nil, dynamixel.DataLengthError
	case int(address)+int(size) > len(s.bytes):
		return nil, dynamixel.AccessError
	}
	data := make([]byte, size)
	for i := range data {
		data[i] = s.bytes[s.real(address+uint16(i))]
	}
	return data, 0
}

// A change is a new value of a register.
type change struct {
	register dynamixel.Register
	value    int32
}

// changes checks a write and returns what it changes, or else the error.
func (s *Servo) changes(params []byte, how address) ([]change, dynamixel.StatusError) {
	if len(params) < 3 {
		return nil, dynamixel.DataLengthError
	}
	first, data := int(binary.LittleEndian.Uint16(params)), params[2:]
	if first+len(data) > len(s.bytes) {
		return nil, dynamixel.AccessError
	}
	var all []change
	for i := 0; i < len(data); {
		address := s.real(uint16(first + i))
		e, ok := s.entry(address)
		if !ok || !e.Writable || address < ramStart && (s.torque() || how == bySecondaryID) {
			return nil, dynamixel.AccessError
		}
		if i+int(e.Size) > len(data) {
			return nil, dynamixel.DataLengthError
		}
		for n := range e.Size { // by indirect addresses only a part of it may be there
			if s.real(uint16(first+i)+n) != address+n {
				return nil, dynamixel.DataLengthError
			}
		}
		value := e.Get(data[i:], address)
		if err := s.check(e, value); err != 0 {
			return nil, err
		}
		all = append(all, change{e.Register, value})
		i += int(e.Size)
	}
	return all, 0
}

// write changes registers that follow one another, all of them or, on an error, none.
func (s *Servo) write(params []byte, how address, now time.Time) dynamixel.StatusError {
	all, err := s.changes(params, how)
	if err != 0 {
		return err
	}
	for _, c := range all {
		s.apply(c.register, c.value, now)
	}
	return 0
}

// register keeps a write for an Action. A second one takes the place of the first: the manual does not say.
func (s *Servo) register(params []byte, how address) dynamixel.StatusError {
	if _, err := s.changes(params, how); err != 0 {
		return err
	}
	s.registered = slices.Clone(params)
	s.set(dynamixel.RegisteredInstruction, 1)
	return 0
}

// action carries out what has been registered.
func (s *Servo) action(now time.Time) dynamixel.StatusError {
	if s.registered == nil {
		return dynamixel.InstructionError
	}
	params := s.registered
	s.registered = nil
	s.set(dynamixel.RegisteredInstruction, 0)
	return s.write(params, byID, now)
}

// clear folds the position of a servo that stands still into one turn. In the modes that count turns the goal
// is folded with it; the manual leaves that open, and the servo would else turn back by as many turns.
// https://emanual.robotis.com/docs/en/dxl/protocol2/#clear
func (s *Servo) clear(params []byte, now time.Time) dynamixel.StatusError {
	switch {
	case s.get(dynamixel.FirmwareVersion) < 42:
		return dynamixel.InstructionError
	case !bytes.Equal(params, []byte{0x01, 0x44, 0x58, 0x4C, 0x22}):
		return dynamixel.DataRangeError
	case s.get(dynamixel.Moving) != 0 || s.velocity != 0:
		return dynamixel.ResultFail
	}
	folded := fold(s.position) - s.position
	s.position += folded
	s.path = resting(s.path.target + folded)
	s.set(dynamixel.GoalPosition, s.get(dynamixel.GoalPosition)+int32(folded))
	s.refresh(now)
	return 0
}

// latest is the firmware from which on a model knows what came last.
func (s *Servo) latest() int32 {
	if isSmall(s.model.Number) {
		return 46
	}
	return 45
}
