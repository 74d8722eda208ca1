package dynamixel

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// Packets of the documentation.
var (
	action       = []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x03, 0x00, 0x05, 0x02, 0xCE}
	actionPacket = Packet{ID: 1, Instruction: Action}
	status       = []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x08, 0x00, 0x55, 0x00, 0xA6, 0x00, 0x00, 0x00, 0x8C, 0xC0}
	statusPacket = Packet{ID: 1, Instruction: Status, Params: []byte{0xA6, 0x00, 0x00, 0x00}}
	foreign      = []byte{0xFF, 0xFF, 0xFD, 0x00, 0x02, 0x08, 0x00, 0x55, 0x00, 0x1F, 0x08, 0x00, 0x00, 0xBA, 0xBE}
	foreignOne   = Packet{ID: 2, Instruction: Status, Params: []byte{0x1F, 0x08, 0x00, 0x00}}
)

func join(pieces ...[]byte) []byte { return slices.Concat(pieces...) }

// damaged is the status with one bit flipped.
func damaged(at int) []byte {
	d := bytes.Clone(status)
	d[at] ^= 0x10
	return d
}

func TestParserPassesOverWhatIsNoPacket(t *testing.T) {
	for name, garbage := range map[string][]byte{
		"nothing":                       {},
		"zeros":                         make([]byte, 100),
		"idle line":                     {0xFF, 0xFF, 0xFF, 0xFF},
		"half a header":                 {0xFF, 0xFF},
		"a header with a stuffed byte":  {0xFF, 0xFF, 0xFD, 0xFD},
		"protocol 1.0":                  {0xFF, 0xFF, 0x01, 0x02, 0x01, 0xFB},
		"LEN 0":                         {0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x00, 0x00},
		"LEN 2, without an instruction": {0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x02, 0x00, 0xCF, 0x7C},
		"a wrong CRC":                   damaged(len(status) - 1),
		"a status without an error":     {0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x03, 0x00, 0x55, 0xE2, 0xCF},
	} {
		parses(t, name+" before", join(garbage, status), statusPacket)
		parses(t, name+" between", join(action, garbage, status), actionPacket, statusPacket)
		parses(t, name+" behind", join(status, garbage), statusPacket)
	}
}

func TestParserRefusesEveryDamagedByte(t *testing.T) {
	for at := range status {
		if at == 5 || at == 6 {
			continue // LEN: the parser waits for more, see TestParserFindsAPacketInsideAFalseOne
		}
		parses(t, fmt.Sprintf("byte %d", at), join(damaged(at), foreign), foreignOne)
	}
}

// The ids 253 and 255 are nobody's, and no status is from all:
// https://emanual.robotis.com/docs/en/dxl/protocol2/#packet-id. What has such an id is noise even where its CRC,
// calculated bit by bit outside this package, is right, and does not claim what follows it.
func TestParserRefusesIDsThatNobodyHas(t *testing.T) {
	for name, garbage := range map[string][]byte{
		"a ping of 253":              {0xFF, 0xFF, 0xFD, 0x00, 0xFD, 0x03, 0x00, 0x01, 0x31, 0x7E},
		"a status of 253":            {0xFF, 0xFF, 0xFD, 0x00, 0xFD, 0x04, 0x00, 0x55, 0x00, 0x01, 0x24},
		"a ping of 255":              {0xFF, 0xFF, 0xFD, 0x00, 0xFF, 0x03, 0x00, 0x01, 0x32, 0xD6},
		"a status of 255":            {0xFF, 0xFF, 0xFD, 0x00, 0xFF, 0x04, 0x00, 0x55, 0x00, 0xF2, 0xA4},
		"a status of 254":            {0xFF, 0xFF, 0xFD, 0x00, 0xFE, 0x04, 0x00, 0x55, 0x00, 0x89, 0x24},
		"a long packet of 253":       {0xFF, 0xFF, 0xFD, 0x00, 0xFD, 0xFF, 0x00},
		"a long packet of 255":       {0xFF, 0xFF, 0xFD, 0x00, 0xFF, 0xFF, 0x00},
		"a long status of 254":       {0xFF, 0xFF, 0xFD, 0x00, 0xFE, 0xFF, 0x00, 0x55},
		"253 where a header follows": {0xFF, 0xFF, 0xFD, 0x00, 0xFD},
	} {
		parses(t, name, join(action, garbage, status), actionPacket, statusPacket)
		for split := range garbage {
			var p Parser
			p.Feed(join(action, garbage[:split]))
			got := drain(&p)
			p.Feed(join(garbage[split:], status))
			same(t, fmt.Sprintf("%s, split at %d", name, split), append(got, drain(&p)...), []Packet{actionPacket, statusPacket})
		}
	}
}

// However the stream is split, the packets are the same, and each is there with its last byte.
func TestParserTakesAnyPieces(t *testing.T) {
	stream := join([]byte{0x00, 0xFF}, status, damaged(9), action, stuffed[4].wire, []byte{0xFF, 0xFF, 0xFD}, foreign, status)
	want := []Packet{statusPacket, actionPacket, stuffed[4].packet, foreignOne, statusPacket}
	parses(t, "in one piece", stream, want...)
	for first := range len(stream) {
		for second := first; second <= len(stream); second++ {
			var p Parser
			var got []Packet
			for _, piece := range [][]byte{stream[:first], stream[first:second], stream[second:]} {
				p.Feed(piece)
				got = append(got, drain(&p)...)
			}
			same(t, fmt.Sprintf("split at %d and %d", first, second), got, want)
		}
	}
	var p Parser
	for n := range status {
		p.Feed(status[n : n+1])
		if found := drain(&p); len(found) > 0 != (n == len(status)-1) {
			t.Errorf("after %d of %d bytes: %v", n+1, len(status), found)
		}
	}
}

// Packets may also be taken out one at a time while more arrives.
func TestParserKeepsWhatHasNotBeenTaken(t *testing.T) {
	var p Parser
	var got []Packet
	p.Feed(join(status, foreign, action[:4]))
	for _, more := range [][]byte{action[4:], status, nil, nil} {
		packet, _ := p.Next()
		packet.Params = bytes.Clone(packet.Params)
		got = append(got, packet)
		p.Feed(more)
	}
	same(t, "one at a time", got, []Packet{statusPacket, foreignOne, actionPacket, statusPacket})
}

// Where LEN is cut off, what follows is taken for it, and MaxLength tells.
func TestParserFindsAPacketBehindATruncatedOne(t *testing.T) {
	for n := range len(foreign) {
		p := Parser{MaxLength: 22}
		p.Feed(foreign[:n])
		same(t, fmt.Sprintf("%d bytes alone", n), drain(&p), nil)
		p.Feed(status)
		same(t, fmt.Sprintf("%d bytes", n), drain(&p), []Packet{statusPacket})
	}
}

// What looks like the header of a long packet claims the good one that follows, until its own end
// shows it to be wrong.
func TestParserFindsAPacketInsideAFalseOne(t *testing.T) {
	header := []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 40, 0x00, 0x55}
	var p Parser
	p.Feed(join(header, status, foreign))
	if early := drain(&p); len(early) > 0 {
		t.Errorf("found %v before the end", early)
	}
	p.Feed(make([]byte, 7+40-len(header)-len(status)-len(foreign)))
	same(t, "at the end", drain(&p), []Packet{statusPacket, foreignOne})
}

func TestParserMaxLength(t *testing.T) {
	for _, test := range []struct {
		name string
		max  int
		fed  []byte
		want []Packet
	}{
		{"the longest that fits", 8, status, []Packet{statusPacket}},
		{"one too long", 7, status, nil},
		{"one too long before one that fits", 7, join(status, action), []Packet{actionPacket}},
		{"a false header", 8, join([]byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x09, 0x00}, status), []Packet{statusPacket}},
		{"a false header with a huge LEN", 8, join([]byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0xFF, 0xFF}, status), []Packet{statusPacket}},
	} {
		p := Parser{MaxLength: test.max}
		p.Feed(test.fed)
		same(t, test.name, drain(&p), test.want)
	}
}

func TestParserReset(t *testing.T) {
	var p Parser
	p.Feed(join(foreign, status[:10]))
	p.Reset()
	p.Feed(status[10:])
	if found := drain(&p); len(found) > 0 {
		t.Errorf("found %v", found)
	}
	p.Feed(action)
	same(t, "after the reset", drain(&p), []Packet{actionPacket})
}

// A parser that is fed noise for long keeps no more than may still become a packet.
func TestParserForgetsNoise(t *testing.T) {
	p := Parser{MaxLength: 64}
	for range 10_000 {
		p.Feed([]byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0xFF, 0xFF, 0x55, 0x00})
		drain(&p)
	}
	if c := cap(p.buf); c > 1024 {
		t.Errorf("it keeps %d bytes", c)
	}
}
