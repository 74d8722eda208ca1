package simulator

import (
	"encoding/binary"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// addressedRead returns the parameters of the Read that an instruction for several servos means for the one
// with that id, and how many bytes of data those behind it are asked for. It reports false if there is none,
// and also if others come first: a servo answers after those before it, and in the simulation there are no
// others that could. https://emanual.robotis.com/docs/en/dxl/protocol2/#sync-read
func addressedRead(p dynamixel.Packet, id byte) (params []byte, others []int, ok bool) {
	if p.ID != dynamixel.BroadcastID {
		return nil, nil, false
	}
	switch p.Instruction {
	case dynamixel.SyncRead, fastSyncRead:
		if len(p.Params) < 5 || p.Params[4] != id {
			return nil, nil, false
		}
		for range p.Params[5:] {
			others = append(others, int(binary.LittleEndian.Uint16(p.Params[2:])))
		}
		return p.Params[:4], others, true
	}
	const piece = 5 // id, address, size
	if len(p.Params) < piece || len(p.Params)%piece != 0 || p.Params[0] != id {
		return nil, nil, false
	}
	for rest := p.Params[piece:]; len(rest) > 0; rest = rest[piece:] {
		others = append(others, int(binary.LittleEndian.Uint16(rest[3:])))
	}
	return p.Params[1:piece], others, true
}

// addressedWrite returns the parameters of the Write that a Sync Write or Bulk Write means for the servo with
// that id. https://emanual.robotis.com/docs/en/dxl/protocol2/#sync-write
func addressedWrite(p dynamixel.Packet, id byte) ([]byte, bool) {
	if p.ID != dynamixel.BroadcastID {
		return nil, false
	}
	params := p.Params
	if p.Instruction == dynamixel.SyncWrite {
		if len(params) < 4 {
			return nil, false
		}
		size := int(binary.LittleEndian.Uint16(params[2:]))
		for rest := params[4:]; len(rest) > size; rest = rest[1+size:] {
			if rest[0] == id {
				return append(params[:2:2], rest[1:1+size]...), true
			}
		}
		return nil, false
	}
	for len(params) >= 5 {
		size := int(binary.LittleEndian.Uint16(params[3:]))
		if len(params) < 5+size {
			break
		}
		if params[0] == id {
			return append(params[1:3:3], params[5:5+size]...), true
		}
		params = params[5+size:]
	}
	return nil, false
}

// appendFast appends the piece of the status of a fast read that comes from the first servo: all of them send
// one packet together, without stuffing, in which each is followed by the CRC of everything so far.
func appendFast(dst []byte, status dynamixel.Packet, others []int) []byte {
	const extra = 4 // error, id, CRC
	length := 1 + extra + len(status.Params)
	for _, size := range others {
		length += extra + size
	}
	start := len(dst)
	dst = append(dst, 0xFF, 0xFF, 0xFD, 0x00, dynamixel.BroadcastID, byte(length), byte(length>>8),
		byte(dynamixel.Status), byte(status.Error), status.ID)
	dst = append(dst, status.Params...)
	return binary.LittleEndian.AppendUint16(dst, dynamixel.CRC(dst[start:]))
}
