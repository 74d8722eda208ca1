package dynamixel_test

import (
	"testing"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// BenchmarkWrite is the packet that sets a goal position.
func BenchmarkWrite(b *testing.B) {
	packet := make([]byte, 0, 32)
	b.ReportAllocs()
	for b.Loop() {
		packet = dynamixel.AppendWrite(packet[:0], 1, dynamixel.GoalPosition, 2048)
	}
}

// BenchmarkParse is the status with a sample of position and health, which comes in two pieces.
func BenchmarkParse(b *testing.B) {
	status := dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: dynamixel.Status, Params: make([]byte, 27)})
	parser := dynamixel.Parser{MaxLength: 2 * len(status)}
	b.ReportAllocs()
	for b.Loop() {
		parser.Reset()
		parser.Feed(status[:16])
		if _, ok := parser.Next(); ok {
			b.Fatal("half a status is one")
		}
		parser.Feed(status[16:])
		if _, ok := parser.Next(); !ok {
			b.Fatal("there is no status")
		}
	}
}
