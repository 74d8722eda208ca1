package dynamixel

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// FuzzParser feeds whatever comes, with a limit of the length or without. What is found is what a slow search finds,
// does not depend on the pieces that it came in, and is understood again when it is sent on. Once as many bytes as
// the longest packet has have gone by, nothing of all that is in the way of the next packet, or kept.
func FuzzParser(f *testing.F) {
	for _, e := range examples {
		f.Add(e.wire, uint8(0), uint8(0))
	}
	for _, s := range stuffed {
		f.Add(join(s.wire, s.wire), uint8(5), uint8(64))
	}
	f.Fuzz(func(t *testing.T, stream []byte, split, maxLength uint8) {
		whole := Parser{MaxLength: int(maxLength)}
		whole.Feed(stream)
		found := drain(&whole)
		agree(t, "in one piece", found, scan(stream, int(maxLength)))

		cut := min(int(split), len(stream))
		halves := Parser{MaxLength: int(maxLength)}
		halves.Feed(stream[:cut])
		got := drain(&halves)
		halves.Feed(stream[cut:])
		agree(t, "in two pieces", append(got, drain(&halves)...), found)

		bytewise := Parser{MaxLength: int(maxLength)}
		got = nil
		for i := range stream {
			bytewise.Feed(stream[i : i+1])
			got = append(got, drain(&bytewise)...)
		}
		agree(t, "byte by byte", got, found)

		var wire []byte
		for _, p := range found {
			wire = AppendPacket(wire[:0], p)
			again := new(Parser)
			again.Feed(wire)
			agree(t, "encoded again", drain(again), []Packet{p})
		}

		if maxLength >= 3 { // which is that of the shortest packet
			whole.Feed(make([]byte, headerSize+int(maxLength)))
			drain(&whole)
			if left := len(whole.buf) - whole.next; left > 2 {
				t.Errorf("%d bytes are kept", left)
			}
			whole.Feed(action)
			agree(t, "after all that", drain(&whole), []Packet{actionPacket})
		}
	})
}

// scan finds packets one byte after the other, up to what may be the begin of one that has not come as a whole.
func scan(stream []byte, maxLength int) (found []Packet) {
	for at := 0; at+headerSize <= len(stream); at++ {
		p := stream[at:]
		id, length := p[4], int(p[5])+int(p[6])<<8
		isBegin := bytes.HasPrefix(p, []byte{0xFF, 0xFF, 0xFD, 0x00}) && length >= 3 && (maxLength == 0 || length <= maxLength) && id != 253 && id != 255
		if !isBegin || id == BroadcastID && len(p) > headerSize && p[headerSize] == byte(Status) {
			continue
		}
		end := headerSize + length
		if len(p) < end {
			break
		}
		if crc := slowCRC(p[:end-2]); p[end-2] != byte(crc) || p[end-1] != byte(crc>>8) {
			continue
		}
		body := bytes.ReplaceAll(p[headerSize:end-2], []byte{0xFF, 0xFF, 0xFD, 0xFD}, []byte{0xFF, 0xFF, 0xFD})
		packet := Packet{ID: id, Instruction: Instruction(body[0]), Params: body[1:]}
		at += end - 1
		if packet.Instruction == Status {
			if len(body) < 2 {
				continue
			}
			packet.Error, packet.Params = StatusError(body[1]), body[2:]
		}
		found = append(found, packet)
	}
	return found
}

// slowCRC divides by the polynomial bit by bit.
func slowCRC(data []byte) (crc uint16) {
	for _, b := range data {
		for bit := 7; bit >= 0; bit-- {
			carry := byte(crc>>15) != b>>bit&1
			crc <<= 1
			if carry {
				crc ^= 0x8005
			}
		}
	}
	return crc
}

// FuzzPacket sends any packet, between bytes that are no header: it arrives as it was, has a header only at its
// start, and with a wrong bit it does not arrive.
func FuzzPacket(f *testing.F) {
	for _, e := range examples {
		f.Add(e.packet.ID, byte(e.packet.Instruction), byte(e.packet.Error), e.packet.Params, []byte(nil), uint16(0))
	}
	for _, s := range stuffed {
		f.Add(s.packet.ID, byte(s.packet.Instruction), byte(s.packet.Error), s.packet.Params, []byte{0, 1, 2}, uint16(77))
	}
	f.Fuzz(func(t *testing.T, id, instruction, failure byte, params, noise []byte, bit uint16) {
		want := Packet{ID: min(id, MaxID), Instruction: Instruction(instruction), Params: params}
		if want.Instruction == Status {
			want.Error = StatusError(failure)
		} else if id > MaxID {
			want.ID = BroadcastID
		}
		noise = bytes.ReplaceAll(noise, []byte{0xFF}, nil)
		const most = 1000 // bytes, of any packet here
		if len(params) > most/2 || len(noise) > most/2 {
			return
		}
		wire := AppendPacket(make([]byte, 0, 2*most), want)
		if at := bytes.Index(wire[1:len(wire)-crcSize], []byte{0xFF, 0xFF, 0xFD, 0x00}); at >= 0 {
			t.Errorf("a header at %d of % X", at+1, wire)
		}
		if shortest := headerSize + 1 + len(params) + crcSize; len(wire) < shortest || len(wire) > 2*shortest {
			t.Errorf("%d parameters make %d bytes", len(params), len(wire))
		}
		p := new(Parser)
		p.Feed(noise)
		p.Feed(wire)
		p.Feed(noise)
		agree(t, "received", drain(p), []Packet{want})

		wire[int(bit)/8%len(wire)] ^= 1 << (bit % 8)
		p.Reset()
		p.Feed(wire)
		p.Feed(make([]byte, most))
		for _, got := range drain(p) {
			if equal(got, want) {
				t.Errorf("% X is taken for %+v", wire, want)
			}
		}
	})
}

func equal(a, b Packet) bool {
	return a.ID == b.ID && a.Instruction == b.Instruction && a.Error == b.Error && bytes.Equal(a.Params, b.Params)
}

// agree is same where they most often are.
func agree(t *testing.T, name string, got, want []Packet) {
	t.Helper()
	if !slices.EqualFunc(got, want, equal) {
		same(t, name, got, want)
	}
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
