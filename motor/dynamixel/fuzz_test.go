package dynamixel

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// FuzzParser feeds whatever comes: the parser does not panic, and what it takes for a packet is one
// that is understood again when it is sent on.
func FuzzParser(f *testing.F) {
	for _, e := range examples {
		f.Add(e.wire, uint8(0), uint16(0))
	}
	for _, s := range stuffed {
		f.Add(join(s.wire, s.wire), uint8(5), uint16(64))
	}
	f.Add(join(damaged(9), status), uint8(20), uint16(8))
	f.Add(join([]byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0xFF, 0xFF}, status), uint8(3), uint16(8))
	f.Add([]byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x03, 0x00, 0x55, 0xE2, 0xCF}, uint8(7), uint16(0))
	f.Fuzz(func(t *testing.T, stream []byte, split uint8, maxLength uint16) {
		cut := min(int(split), len(stream))
		p := Parser{MaxLength: int(maxLength)}
		p.Feed(stream[:cut])
		found := drain(&p)
		p.Feed(stream[cut:])
		found = append(found, drain(&p)...)

		whole := Parser{MaxLength: int(maxLength)}
		whole.Feed(stream)
		same(t, "in one piece", drain(&whole), found)

		for _, packet := range found {
			parses(t, "encoded again", AppendPacket(nil, packet), packet)
		}
	})
}

// stuffable generates bytes of which those that matter to stuffing are frequent.
func stuffable() *rapid.Generator[byte] {
	return rapid.OneOf(rapid.SampledFrom([]byte{0xFF, 0xFF, 0xFD, 0x00}), rapid.Byte())
}

func anyPacket() *rapid.Generator[Packet] {
	return rapid.Custom(func(t *rapid.T) Packet {
		p := Packet{
			ID: rapid.ByteMax(BroadcastID).Draw(t, "id"),
			Instruction: rapid.OneOf(rapid.SampledFrom([]Instruction{Read, Write, Status, 0xFF}),
				rapid.Map(rapid.Byte(), func(b byte) Instruction { return Instruction(b) })).Draw(t, "instruction"),
			Params: rapid.SliceOfN(stuffable(), 0, 60).Draw(t, "params"),
		}
		if p.ID > MaxID {
			p.ID = BroadcastID
		}
		if p.Instruction == Status {
			p.ID = min(p.ID, MaxID)
			p.Error = StatusError(stuffable().Draw(t, "error"))
		}
		return p
	})
}

// Whatever is sent arrives, among noise that cannot be mistaken for a header and in pieces of any size.
func TestEveryPacketArrives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(anyPacket(), 1, 6).Draw(t, "packets")
		noise := rapid.SliceOfN(rapid.ByteMax(0xFE), 0, 20) // no FF
		var stream []byte
		for _, p := range want {
			stream = append(stream, noise.Draw(t, "noise")...)
			stream = AppendPacket(stream, p)
		}
		var p Parser
		var got []Packet
		for rest := stream; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			p.Feed(rest[:n])
			got = append(got, drain(&p)...)
			rest = rest[n:]
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(bytes.Equal)); diff != "" {
			t.Fatalf("packets (-sent +received)\n%s", diff)
		}
	})
}

// No packet has a header inside itself, so that the start of the next can always be found.
func TestHeaderOccursOnlyAtTheStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wire := AppendPacket(nil, Packet{ID: 1, Instruction: Status, Params: rapid.SliceOfN(stuffable(), 0, 60).Draw(t, "params")})
		inside := wire[1 : len(wire)-2] // the CRC is not stuffed
		if at := bytes.Index(inside, []byte{0xFF, 0xFF, 0xFD, 0x00}); at >= 0 {
			t.Fatalf("a header at %d of % X", at+1, wire)
		}
	})
}
