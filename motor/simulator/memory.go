package simulator

import (
	"encoding/binary"
	"slices"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

const (
	// ramStart is the first address of the RAM area; what is below is EEPROM.
	ramStart = 64
	// xc330 is the model that a servo is by default, and whose registers one has that nobody knows.
	xc330 = 1220
)

// A memory is a control table with what it holds.
type memory struct {
	entries []dynamixel.Entry // in the order of addresses
	windows []window
	bytes   []byte
}

// A window is an area of indirect addresses, of 2 bytes each, and the area of as many bytes of indirect data:
// each byte there is the one at its indirect address.
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#indirect-address
type window struct{ addresses, data, count uint16 }

// newMemory returns the control table of a model with that firmware, with everything as it leaves the factory.
func newMemory(model dynamixel.Model, firmware byte) *memory {
	m := &memory{windows: []window{{168, 224, 28}, {578, 634, 28}}}
	end := uint16(662) // behind the last window
	// Where the versions are told apart, those of XC330 and XL330 have a number of their own.
	small, latest := isSmall(model.Number), byte(45)
	if small {
		m.windows, end, latest = []window{{168, 208, 20}}, 228, 46
	}
	for _, e := range model.Table() {
		switch e.Register {
		case dynamixel.FirmwareVersion:
			e.Initial = int32(firmware)
		case dynamixel.DriveMode:
			if firmware < latest {
				e.Max &^= dynamixel.DriveModeTorqueByGoal
			}
			if firmware < 42 && !small {
				e.Max &^= dynamixel.DriveModeTimeProfile
			}
			if firmware < 38 && !small {
				continue
			}
		case dynamixel.BusWatchdog:
			if firmware < 38 && !small {
				continue
			}
		case dynamixel.StartupConfiguration, dynamixel.BackupReady:
			if firmware < latest {
				continue
			}
		}
		m.entries = append(m.entries, e)
	}
	for _, w := range m.windows {
		for i := range w.count {
			m.entries = append(m.entries, dynamixel.Entry{
				Register: dynamixel.Register{Address: w.addresses + 2*i, Size: 2},
				Initial:  int32(w.data + i), Writable: true, Min: ramStart, Max: int32(end - 1),
			})
		}
		for i := range w.count {
			m.entries = append(m.entries, dynamixel.Entry{
				Register: dynamixel.Register{Address: w.data + i, Size: 1}, Writable: true, Max: 255,
			})
		}
	}
	m.bytes = make([]byte, end)
	m.reset(0)
	return m
}

// isSmall reports whether the model is an XC330 or XL330, or one that is not known and so taken for one.
func isSmall(model int32) bool {
	_, known := dynamixel.LookupModel(model)
	return !known || model >= 1190 && model <= 1240
}

func (m *memory) get(r dynamixel.Register) int32    { return r.Get(m.bytes, 0) }
func (m *memory) set(r dynamixel.Register, v int32) { r.Put(m.bytes, 0, v) }

// reset gives every register from that address on its initial value.
func (m *memory) reset(from uint16) {
	for _, e := range m.entries {
		if e.Address >= from {
			m.set(e.Register, e.Initial)
		}
	}
}

// entry returns the entry of the register that begins at address.
func (m *memory) entry(address uint16) (dynamixel.Entry, bool) {
	i, ok := slices.BinarySearchFunc(m.entries, address, func(e dynamixel.Entry, address uint16) int {
		return int(e.Address) - int(address)
	})
	if !ok {
		return dynamixel.Entry{}, false
	}
	return m.entries[i], true
}

// has reports whether the servo has that register.
func (m *memory) has(r dynamixel.Register) bool {
	e, ok := m.entry(r.Address)
	return ok && e.Register == r
}

// real returns the address of the byte that is read and written at address.
func (m *memory) real(address uint16) uint16 {
	for _, w := range m.windows {
		if i := address - w.data; address >= w.data && i < w.count {
			return binary.LittleEndian.Uint16(m.bytes[w.addresses+2*i:])
		}
	}
	return address
}

// isGoal reports whether the bus watchdog locks the register when it trips.
func isGoal(r dynamixel.Register) bool {
	switch r {
	case dynamixel.GoalPWM, dynamixel.GoalCurrent, dynamixel.GoalVelocity, dynamixel.GoalPosition:
		return true
	}
	return false
}
