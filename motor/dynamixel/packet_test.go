package dynamixel

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The examples of https://emanual.robotis.com/docs/en/dxl/protocol2/, sections Ping, Read, Write and
// Reboot, byte for byte.
var examples = []struct {
	name   string
	wire   []byte
	packet Packet
}{
	{"ping", []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x03, 0x00, 0x01, 0x19, 0x4E},
		Packet{ID: 1, Instruction: Ping}},
	{"ping all", []byte{0xFF, 0xFF, 0xFD, 0x00, 0xFE, 0x03, 0x00, 0x01, 0x31, 0x42},
		Packet{ID: BroadcastID, Instruction: Ping}},
	{"ping status", []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x07, 0x00, 0x55, 0x00, 0x06, 0x04, 0x26, 0x65, 0x5D},
		Packet{ID: 1, Instruction: Status, Params: []byte{0x06, 0x04, 0x26}}},
	{"ping status of id 2", []byte{0xFF, 0xFF, 0xFD, 0x00, 0x02, 0x07, 0x00, 0x55, 0x00, 0x06, 0x04, 0x26, 0x6F, 0x6D},
		Packet{ID: 2, Instruction: Status, Params: []byte{0x06, 0x04, 0x26}}},
	{"read present position", []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x07, 0x00, 0x02, 0x84, 0x00, 0x04, 0x00, 0x1D, 0x15},
		Packet{ID: 1, Instruction: Read, Params: []byte{0x84, 0x00, 0x04, 0x00}}},
	{"read status", []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x08, 0x00, 0x55, 0x00, 0xA6, 0x00, 0x00, 0x00, 0x8C, 0xC0},
		Packet{ID: 1, Instruction: Status, Params: []byte{0xA6, 0x00, 0x00, 0x00}}},
	{"write goal position", []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x09, 0x00, 0x03, 0x74, 0x00, 0x00, 0x02, 0x00, 0x00, 0xCA, 0x89},
		Packet{ID: 1, Instruction: Write, Params: []byte{0x74, 0x00, 0x00, 0x02, 0x00, 0x00}}},
	{"write status", []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x04, 0x00, 0x55, 0x00, 0xA1, 0x0C},
		Packet{ID: 1, Instruction: Status}},
	{"reboot", []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x03, 0x00, 0x08, 0x2F, 0x4E},
		Packet{ID: 1, Instruction: Reboot}},
}

func TestAppendPacketGivesTheBytesOfTheDocumentation(t *testing.T) {
	for _, e := range examples {
		if got := AppendPacket(nil, e.packet); !bytes.Equal(got, e.wire) {
			t.Errorf("%s:\n got % X\nwant % X", e.name, got, e.wire)
		}
	}
	if got, want := AppendRead(nil, 1, PresentPosition.Address, PresentPosition.Size), examples[4].wire; !bytes.Equal(got, want) {
		t.Errorf("AppendRead:\n got % X\nwant % X", got, want)
	}
	if got, want := AppendWrite(nil, 1, GoalPosition, 512), examples[6].wire; !bytes.Equal(got, want) {
		t.Errorf("AppendWrite:\n got % X\nwant % X", got, want)
	}
}

func TestParserReadsTheBytesOfTheDocumentation(t *testing.T) {
	for _, e := range examples {
		var p Parser
		p.Feed(e.wire)
		got, ok := p.Next()
		if diff := cmp.Diff(e.packet, got, cmp.Comparer(bytes.Equal)); !ok || diff != "" {
			t.Errorf("%s: found %v, (-want +got)\n%s", e.name, ok, diff)
		}
		if extra, ok := p.Next(); ok {
			t.Errorf("%s: a second packet %+v", e.name, extra)
		}
	}
}
