package simulator

import (
	"slices"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

func own(instruction dynamixel.Instruction, params ...byte) []byte {
	return dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: instruction, Params: params})
}

// The manual's example of a Clear.
var clearTurns = []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x08, 0x00, 0x10, 0x01, 0x44, 0x58, 0x4C, 0x22, 0xB1, 0xDC}

func TestClear(t *testing.T) {
	onBench(t, Config{Firmware: 42}, func(b *bench) {
		b.write(dynamixel.OperatingMode, dynamixel.ModeExtendedPosition, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.write(dynamixel.GoalPosition, 3*4096+100, 0)
		b.after(5 * time.Second)
		b.read(dynamixel.PresentPosition, 3*4096+100)
		b.refuses(clearTurns, 0)
		b.is(dynamixel.PresentPosition, 100)
		time.Sleep(time.Second)
		b.is(dynamixel.PresentPosition, 100) // and does not turn back
		b.write(dynamixel.GoalPosition, 2000, 0)
		b.after(500 * time.Millisecond)
		b.refuses(clearTurns, dynamixel.ResultFail)
		b.write(dynamixel.TorqueEnable, 0, 0)
		b.Turn(-720)
		b.refuses(own(dynamixel.Clear, 0x02, 0x44, 0x58, 0x4C, 0x22), dynamixel.DataRangeError)
		b.refuses(own(dynamixel.Clear, 0x01), dynamixel.DataRangeError)
		time.Sleep(time.Second)
		b.refuses(clearTurns, 0)
		if at := b.Register(dynamixel.PresentPosition); at < 0 || at > 4095 {
			t.Errorf("at %d", at)
		}
	})
	onBench(t, Config{Firmware: 41}, func(b *bench) { b.refuses(clearTurns, dynamixel.InstructionError) })
}

func TestFactoryReset(t *testing.T) {
	for name, e := range map[string]struct {
		instruction []byte
		id, baud    int32
	}{
		// The manual's example is that with the option 0x01.
		"all":                 {own(dynamixel.FactoryReset, 0xFF), 1, 1},
		"except id":           {[]byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x04, 0x00, 0x06, 0x01, 0xA1, 0xE6}, 1, 1},
		"except id and baud":  {own(dynamixel.FactoryReset, 0x02), 1, 2},
		"everybody except id": {group(dynamixel.FactoryReset, 0x01), 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, Config{Baud: 115200, Model: 1020}, func(b *bench) {
				b.write(dynamixel.TemperatureLimit, 60, 0)
				b.write(dynamixel.LED, 1, 0)
				b.raw(e.instruction...)
				b.is(dynamixel.BaudRate, e.baud)
				b.is(dynamixel.TemperatureLimit, 80)
				b.is(dynamixel.LED, 0)
				b.is(dynamixel.ModelNumber, 1020)
				time.Sleep(300 * time.Millisecond)
				b.read(dynamixel.ID, e.id)
			})
		})
	}
	for option, id := range map[byte]int32{0xFF: 1, 0x01: 7} {
		onBench(t, Config{ID: new(byte(7))}, func(b *bench) {
			b.raw(dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 7, Instruction: dynamixel.FactoryReset, Params: []byte{option}})...)
			b.is(dynamixel.ID, id)
		})
	}
	// All servos are not given the same id, since version 42.
	for firmware, limit := range map[byte]int32{41: 70, 42: 60} {
		onBench(t, Config{Firmware: firmware}, func(b *bench) {
			b.write(dynamixel.TemperatureLimit, 60, 0)
			sameBytes(t, b.raw(group(dynamixel.FactoryReset, 0xFF)...), nil)
			b.is(dynamixel.TemperatureLimit, limit)
			if limit == 60 {
				b.refuses(own(dynamixel.FactoryReset), dynamixel.DataLengthError)
				b.refuses(own(dynamixel.FactoryReset, 3), dynamixel.DataRangeError)
			}
		})
	}
}

func TestSecondaryID(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.SecondaryID, 100, 0)
		second := func(r dynamixel.Register, value int32) []byte { return dynamixel.AppendWrite(nil, 100, r, value) }
		sameBytes(t, b.raw(second(dynamixel.LED, 1)...), nil)
		b.is(dynamixel.LED, 1)
		sameBytes(t, b.raw(second(dynamixel.TemperatureLimit, 60)...), nil)
		b.is(dynamixel.TemperatureLimit, 70) // only RAM
		sameBytes(t, b.raw(dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 100, Instruction: dynamixel.Ping})...), nil)
		b.write(dynamixel.SecondaryID, 1, 0)
		b.write(dynamixel.TemperatureLimit, 60, 0) // the id comes first
		b.write(dynamixel.SecondaryID, 253, 0)
		b.raw(dynamixel.AppendWrite(nil, 253, dynamixel.LED, 0)...)
		b.is(dynamixel.LED, 1)
	})
}

// The examples of the manual, for both places where indirect data can be.
func TestIndirectData(t *testing.T) {
	for model, data := range map[int32]uint16{1220: 208, 1020: 224} {
		onBench(t, Config{Model: model}, func(b *bench) {
			address := func(n uint16) dynamixel.Register { return dynamixel.Register{Address: 168 + 2*n, Size: 2} }
			b.read(address(0), int32(data))
			b.write(dynamixel.Register{Address: data, Size: 1}, 200, 0) // stands for itself
			b.read(dynamixel.Register{Address: data, Size: 1}, 200)

			b.write(address(0), 65, 0)
			b.write(dynamixel.Register{Address: data, Size: 1}, 1, 0)
			b.is(dynamixel.LED, 1)
			b.write(dynamixel.Register{Address: data, Size: 1}, 2, dynamixel.DataRangeError)
			for n := range uint16(4) {
				b.write(address(1+n), int32(116+n), 0)
			}
			b.write(dynamixel.Register{Address: data + 1, Size: 4}, 1024, 0)
			b.is(dynamixel.GoalPosition, 1024)
			b.read(dynamixel.Register{Address: data + 1, Size: 4}, 1024)
			status, _ := b.send(dynamixel.AppendWrite(nil, 1, dynamixel.Register{Address: data, Size: 4}, 0))
			if status.Error == 0 {
				t.Error("it has written a part of a goal")
			}
			b.is(dynamixel.LED, 1)
			b.write(address(4), 65, 0)
			b.write(dynamixel.Register{Address: data + 1, Size: 4}, 0, dynamixel.DataLengthError) // three bytes of a goal
			b.is(dynamixel.GoalPosition, 1024)
			b.write(address(5), 118, 0)
			b.write(dynamixel.Register{Address: data + 5, Size: 1}, 0, dynamixel.AccessError) // inside a register
			b.write(address(6), 132, 0)
			b.write(dynamixel.Register{Address: data + 6, Size: 1}, 0, dynamixel.AccessError) // read-only
			b.write(address(6), 63, dynamixel.DataRangeError)                                 // EEPROM
			b.PowerCycle()
			time.Sleep(time.Second)
			b.read(address(0), int32(data))
		})
	}
}

// What came with which firmware, for an XC330-T288 and an XM430-W350.
func TestFirmware(t *testing.T) {
	for _, e := range []struct {
		model    int32
		firmware byte
		absent   []dynamixel.Register
		drive    []int32 // bits of Drive Mode(10) that can be set
	}{
		{1220, 38, []dynamixel.Register{dynamixel.StartupConfiguration, dynamixel.BackupReady}, []int32{1, 4}},
		{1220, 45, []dynamixel.Register{dynamixel.StartupConfiguration, dynamixel.BackupReady}, []int32{1, 4}},
		{1220, 46, nil, []int32{1, 4, 8}},
		{1020, 37, []dynamixel.Register{dynamixel.StartupConfiguration, dynamixel.BackupReady, dynamixel.BusWatchdog, dynamixel.DriveMode}, nil},
		{1020, 38, []dynamixel.Register{dynamixel.StartupConfiguration, dynamixel.BackupReady}, []int32{1}},
		{1020, 42, []dynamixel.Register{dynamixel.StartupConfiguration, dynamixel.BackupReady}, []int32{1, 4}},
		{1020, 45, nil, []int32{1, 4, 8}},
	} {
		onBench(t, Config{Model: e.model, Firmware: e.firmware}, func(b *bench) {
			for _, r := range []dynamixel.Register{dynamixel.StartupConfiguration, dynamixel.BusWatchdog} {
				var want dynamixel.StatusError
				if slices.Contains(e.absent, r) {
					want = dynamixel.AccessError
				}
				b.write(r, 1, want)
			}
			if slices.Contains(e.absent, dynamixel.BackupReady) == b.has(dynamixel.BackupReady) {
				t.Errorf("%d, firmware %d: the backup is there or not", e.model, e.firmware)
			}
			for _, bit := range []int32{1, 2, 4, 8} {
				want := dynamixel.DataRangeError
				switch {
				case slices.Contains(e.drive, bit):
					want = 0
				case slices.Contains(e.absent, dynamixel.DriveMode):
					want = dynamixel.AccessError
				}
				b.write(dynamixel.DriveMode, bit, want)
			}
		})
	}
}

func TestRegistersOfOtherModels(t *testing.T) {
	onBench(t, Config{Model: 1060}, func(b *bench) {
		b.write(dynamixel.GoalCurrent, 100, dynamixel.AccessError)
		b.write(dynamixel.CurrentLimit, 100, dynamixel.AccessError)
		b.write(dynamixel.PWMSlope, 100, dynamixel.AccessError)
		b.read(dynamixel.PositionDGain, 4000)
	})
	onBench(t, Config{Model: 1020}, func(b *bench) {
		b.write(dynamixel.PWMSlope, 100, dynamixel.AccessError)
		b.write(dynamixel.GoalCurrent, 1193, 0)
	})
	onBench(t, Config{Model: 4711}, func(b *bench) { // as an XC330-T288
		b.read(dynamixel.ModelNumber, 4711)
		b.write(dynamixel.PWMSlope, 100, 0)
		if at := b.at(1000); at != 1000 {
			t.Errorf("at %d", at)
		}
	})
}

func TestEveryIDIsPossible(t *testing.T) {
	for _, id := range []byte{0, 1, 252} {
		onBench(t, Config{ID: &id}, func(b *bench) {
			status, ok := b.send(dynamixel.AppendPacket(nil, dynamixel.Packet{ID: id, Instruction: dynamixel.Ping}))
			if !ok || status.ID != id {
				t.Errorf("%d: %+v, %v", id, status, ok)
			}
		})
	}
}

func TestControlTableBackup(t *testing.T) {
	store := own(controlBackup, 0x01, 'C', 'T', 'R', 'L')
	restore := own(controlBackup, 0x02, 'C', 'T', 'R', 'L')
	onBench(t, Config{}, func(b *bench) {
		b.refuses(restore, dynamixel.ResultFail) // there is none
		b.write(dynamixel.TemperatureLimit, 60, 0)
		b.write(dynamixel.PositionPGain, 1000, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.refuses(store, dynamixel.ResultFail)
		b.write(dynamixel.TorqueEnable, 0, 0)
		b.refuses(own(controlBackup, 0x01), dynamixel.DataLengthError)
		b.refuses(own(controlBackup, 0x03, 'C', 'T', 'R', 'L'), dynamixel.DataRangeError)
		b.refuses(store, 0)
		b.read(dynamixel.BackupReady, 1)
		b.write(dynamixel.TemperatureLimit, 50, 0)
		b.refuses(restore, 0)
		time.Sleep(time.Second)
		b.read(dynamixel.TemperatureLimit, 60)
		b.read(dynamixel.PositionPGain, 900)
		b.write(dynamixel.StartupConfiguration, dynamixel.StartupRestoreRAM, 0)
		b.PowerCycle()
		time.Sleep(time.Second)
		b.read(dynamixel.PositionPGain, 1000)
		b.read(dynamixel.TorqueEnable, 0)
		b.read(dynamixel.BackupReady, 1)
	})
	onBench(t, Config{Firmware: 45}, func(b *bench) { b.refuses(store, dynamixel.InstructionError) })
}
