package simulator

import (
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// The exchanges of https://emanual.robotis.com/docs/en/dxl/protocol2/ with several servos, of which one is here.
func TestTheExamplesOfTheProtocolWithSeveralServos(t *testing.T) {
	syncRead := []byte{0xFF, 0xFF, 0xFD, 0x00, 0xFE, 0x09, 0x00, 0x82, 0x84, 0x00, 0x04, 0x00, 0x01, 0x02, 0xCE, 0xFA}
	syncWrite := []byte{0xFF, 0xFF, 0xFD, 0x00, 0xFE, 0x11, 0x00, 0x83, 0x74, 0x00, 0x04, 0x00,
		0x01, 0x96, 0x00, 0x00, 0x00, 0x02, 0xAA, 0x00, 0x00, 0x00, 0x82, 0x87}
	bulkRead := []byte{0xFF, 0xFF, 0xFD, 0x00, 0xFE, 0x0D, 0x00, 0x92, 0x01, 0x90, 0x00, 0x02, 0x00,
		0x02, 0x92, 0x00, 0x01, 0x00, 0x1A, 0x05}
	bulkWrite := []byte{0xFF, 0xFF, 0xFD, 0x00, 0xFE, 0x10, 0x00, 0x93, 0x01, 0x20, 0x00, 0x02, 0x00, 0xA0, 0x00,
		0x02, 0x1F, 0x00, 0x01, 0x00, 0x50, 0xB7, 0x68}
	onBench(t, Config{Model: 1030, Firmware: 42, Angle: 166.0 / 4096 * 360, Faults: Faults{Voltage: 11.9}}, func(b *bench) {
		sameBytes(t, b.raw(syncRead...), []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x08, 0x00, 0x55, 0x00, 0xA6, 0x00, 0x00, 0x00, 0x8C, 0xC0})
		sameBytes(t, b.raw(syncWrite...), nil)
		b.is(dynamixel.GoalPosition, 150)
		sameBytes(t, b.raw(bulkRead...), []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x06, 0x00, 0x55, 0x00, 0x77, 0x00, 0xC3, 0x69})
		b.write(dynamixel.MaxVoltageLimit, 150, 0)
		sameBytes(t, b.raw(bulkWrite...), nil)
		b.is(dynamixel.MaxVoltageLimit, 160)
	})
	// The second servo of the examples answers after the first, which is not here.
	onBench(t, Config{ID: new(byte(2)), Model: 1030, Firmware: 42}, func(b *bench) {
		sameBytes(t, b.raw(syncRead...), nil)
		sameBytes(t, b.raw(bulkRead...), nil)
		sameBytes(t, b.raw(syncWrite...), nil)
		b.is(dynamixel.GoalPosition, 170)
		sameBytes(t, b.raw(bulkWrite...), nil)
		b.is(dynamixel.TemperatureLimit, 80)
	})
	onBench(t, Config{ID: new(byte(3)), Model: 1030, Firmware: 42}, func(b *bench) {
		for _, instruction := range [][]byte{syncRead, syncWrite, bulkRead, bulkWrite} {
			sameBytes(t, b.raw(instruction...), nil)
		}
		b.is(dynamixel.GoalPosition, 0)
		b.is(dynamixel.MaxVoltageLimit, 160)
	})
}

func group(instruction dynamixel.Instruction, params ...byte) []byte {
	return dynamixel.AppendPacket(nil, dynamixel.Packet{ID: dynamixel.BroadcastID, Instruction: instruction, Params: params})
}

func TestInstructionsForSeveralServosThatMakeNoSense(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		for name, instruction := range map[string][]byte{
			"sync read without an id":     group(dynamixel.SyncRead, 65, 0, 1, 0),
			"sync read of nobody":         group(dynamixel.SyncRead),
			"sync write without an id":    group(dynamixel.SyncWrite, 65, 0, 1, 0),
			"sync write without its data": group(dynamixel.SyncWrite, 65, 0, 1, 0, 1),
			"sync write of nothing":       group(dynamixel.SyncWrite, 65, 0, 0, 0, 1, 1),
			"sync write that ends early":  group(dynamixel.SyncWrite, 9, 0, 1, 0, 1),
			"bulk write that ends early":  group(dynamixel.BulkWrite, 1, 9, 0, 1, 0),
			"bulk read without its size":  group(dynamixel.BulkRead, 1, 65, 0, 1),
			"bulk write without its data": group(dynamixel.BulkWrite, 1, 65, 0, 1, 0),
			"bulk write of more":          group(dynamixel.BulkWrite, 1, 65, 0, 2, 0, 1),
			"unknown":                     group(0x77, 1, 2, 3),
			"sync write to one servo": dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1,
				Instruction: dynamixel.SyncWrite, Params: []byte{65, 0, 1, 0, 1, 1}}),
		} {
			if got := b.raw(instruction...); len(got) > 0 {
				t.Errorf("%s is answered with % X", name, got)
			}
		}
		b.is(dynamixel.LED, 0)
		b.is(dynamixel.ReturnDelayTime, 250)
		sameBytes(t, b.raw(group(dynamixel.SyncRead, 0xFF, 0xFF, 1, 0, 1)...),
			dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: dynamixel.Status, Error: dynamixel.AccessError}))
	})
}

func TestStatusReturnLevelOfReadsOfSeveralServos(t *testing.T) {
	for level, want := range []int{0, 12, 12} { // bytes of the status
		onBench(t, Config{}, func(b *bench) {
			b.raw(dynamixel.AppendWrite(nil, 1, dynamixel.StatusReturnLevel, int32(level))...)
			if got := b.raw(group(dynamixel.SyncRead, 65, 0, 1, 0, 1)...); len(got) != want {
				t.Errorf("level %d: % X", level, got)
			}
		})
	}
}

// Of a fast read all servos make one packet, of which LEN is that of the whole and each adds the CRC so far.
func TestFastReads(t *testing.T) {
	alone := []byte{0xFF, 0xFF, 0xFD, 0x00, 0xFE, 0x09, 0x00, 0x55, 0x00, 0x01, 0x00, 0x04, 0x00, 0x00, 0x14, 0x96}
	for firmware, want := range map[byte][]byte{45: nil, 46: alone} {
		onBench(t, Config{Firmware: firmware, Angle: 90}, func(b *bench) {
			sameBytes(t, b.raw(group(fastSyncRead, 132, 0, 4, 0, 1)...), want)
			sameBytes(t, b.raw(group(fastBulkRead, 1, 132, 0, 4, 0)...), want)
			sameBytes(t, b.raw(group(fastSyncRead, 132, 0, 4, 0, 2, 1)...), nil)
			if want != nil {
				got := b.raw(group(fastSyncRead, 132, 0, 4, 0, 1, 2)...)
				if len(got) != len(want) || got[5] != 1+2*(4+4) {
					t.Errorf("the first of two: % X", got)
				}
			}
		})
	}
}

func TestRegWriteAndAction(t *testing.T) {
	// The manual's example, and the Action.
	regWrite := []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x09, 0x00, 0x04, 0x68, 0x00, 0xC8, 0x00, 0x00, 0x00, 0xAE, 0x8E}
	action := []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x03, 0x00, 0x05, 0x02, 0xCE}
	done := []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x04, 0x00, 0x55, 0x00, 0xA1, 0x0C}
	onBench(t, Config{}, func(b *bench) {
		sameBytes(t, b.raw(regWrite...), done)
		b.is(dynamixel.RegisteredInstruction, 1)
		b.is(dynamixel.GoalVelocity, 0)
		sameBytes(t, b.raw(action...), done)
		b.is(dynamixel.RegisteredInstruction, 0)
		b.is(dynamixel.GoalVelocity, 200)
		b.refuses(action, dynamixel.InstructionError) // without Reg Write
		b.raw(regWrite...)
		b.write(dynamixel.GoalVelocity, 7, 0)
		sameBytes(t, b.raw(group(dynamixel.Action)...), nil)
		b.is(dynamixel.GoalVelocity, 200)
		// What could not be written is not registered.
		wrong := dynamixel.Packet{ID: 1, Instruction: dynamixel.RegWrite, Params: []byte{65, 0, 2}}
		b.refuses(dynamixel.AppendPacket(nil, wrong), dynamixel.DataRangeError)
		b.is(dynamixel.RegisteredInstruction, 0)
		b.raw(regWrite...)
		b.PowerCycle()
		time.Sleep(time.Second)
		b.refuses(action, dynamixel.InstructionError)
	})
}

// refuses checks the error of an instruction's status.
func (b *bench) refuses(instruction []byte, want dynamixel.StatusError) {
	b.t.Helper()
	if status, ok := b.send(instruction); !ok || status.Error != want {
		b.t.Errorf("% X: status %+v (%v), want error %#02x", instruction, status, ok, byte(want))
	}
}
