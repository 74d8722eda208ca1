package dynamixel

import (
	"bytes"
	"encoding/binary"
)

// A Parser finds packets in a stream of bytes, however they are split or joined and whatever lies
// between them. The zero value is ready for use and accepts packets of any length.
type Parser struct {
	// MaxLength is the highest LEN that is taken for a packet; a larger one is noise. 0 is no limit.
	// Who waits for a short reply sets it, so that noise which looks like the header of a long packet
	// does not swallow that reply.
	MaxLength int

	buf  []byte
	next int // where in buf the search goes on
}

// Reset forgets what has been fed and not yet been returned.
func (p *Parser) Reset() { p.buf, p.next = p.buf[:0], 0 }

// Feed adds bytes from the wire. It invalidates the packets that Next returned before.
func (p *Parser) Feed(data []byte) {
	p.buf = append(p.buf[:0], p.buf[p.next:]...)
	p.next = 0
	p.buf = append(p.buf, data...)
}

// Next returns the next packet with a correct CRC. It reports false when there is none in what has
// been fed so far. Bytes that belong to no packet are passed over, and after a packet with a wrong
// CRC the search goes on right behind its header, as a good one may begin inside it.
func (p *Parser) Next() (Packet, bool) {
	for {
		rest := p.buf[p.next:]
		start := bytes.Index(rest, []byte{0xFF, 0xFF, 0xFD})
		if start < 0 {
			p.next += max(0, len(rest)-2) // a header may have begun
			return Packet{}, false
		}
		p.next += start
		rest = rest[start:]
		if len(rest) < headerSize {
			return Packet{}, false
		}
		length := int(binary.LittleEndian.Uint16(rest[5:]))
		if rest[3] != 0x00 || length < 1+crcSize || p.MaxLength > 0 && length > p.MaxLength || !possible(rest) {
			p.next++
			continue
		}
		if len(rest) < headerSize+length {
			return Packet{}, false
		}
		end := headerSize + length - crcSize
		if CRC(rest[:end]) != binary.LittleEndian.Uint16(rest[end:]) {
			p.next++
			continue
		}
		p.next += headerSize + length
		body := unstuff(rest[headerSize:end])
		packet := Packet{ID: rest[4], Instruction: Instruction(body[0]), Params: body[1:]}
		if packet.Instruction == Status {
			if len(packet.Params) == 0 {
				continue
			}
			packet.Error, packet.Params = StatusError(packet.Params[0]), packet.Params[1:]
		}
		return packet, true
	}
}

// possible reports whether the id that stands behind a header can be on the wire, as far as the packet has
// come: 253 and 255 are nobody's, and all servos together do not reply.
func possible(packet []byte) bool {
	switch id := packet[4]; {
	case id <= MaxID:
		return true
	case id != BroadcastID:
		return false
	default:
		return len(packet) == headerSize || Instruction(packet[headerSize]) != Status
	}
}

// unstuff removes, in place, the FD that follows every FF FF FD.
func unstuff(body []byte) []byte {
	if !bytes.Contains(body, []byte{0xFF, 0xFF, 0xFD, 0xFD}) {
		return body
	}
	out := body[:0]
	for i := 0; i < len(body); i++ {
		b := body[i]
		out = append(out, b)
		if n := len(out); b == 0xFD && n >= 3 && out[n-2] == 0xFF && out[n-3] == 0xFF &&
			i+1 < len(body) && body[i+1] == 0xFD {
			i++
		}
	}
	return out
}
