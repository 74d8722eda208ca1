package dynamixel

import "encoding/binary"

// An Instruction says what a packet asks for; [Status] marks a reply.
type Instruction byte

// The instructions of Protocol 2.0 that X servos know.
const (
	Ping         Instruction = 0x01
	Read         Instruction = 0x02
	Write        Instruction = 0x03
	RegWrite     Instruction = 0x04
	Action       Instruction = 0x05
	FactoryReset Instruction = 0x06
	Reboot       Instruction = 0x08
	Clear        Instruction = 0x10
	Status       Instruction = 0x55
	SyncRead     Instruction = 0x82
	SyncWrite    Instruction = 0x83
	BulkRead     Instruction = 0x92
	BulkWrite    Instruction = 0x93
)

const (
	// MaxID is the highest id that a servo can have.
	MaxID byte = 252
	// BroadcastID addresses every servo on the line.
	BroadcastID byte = 254

	headerSize = 7 // FF FF FD 00 ID LEN_L LEN_H
	crcSize    = 2
)

// A Packet is one instruction or status, without header, stuffing and CRC.
type Packet struct {
	ID          byte
	Instruction Instruction
	// Error is the error byte of a status; an instruction has none.
	Error StatusError
	// Params are the parameters that follow. Packets from a [Parser] share its buffer.
	Params []byte
}

// AppendPacket appends the packet as it goes over the wire to dst and returns the result.
func AppendPacket(dst []byte, p Packet) []byte {
	start := len(dst)
	dst = append(dst, 0xFF, 0xFF, 0xFD, 0x00, p.ID, 0, 0, byte(p.Instruction))
	body := len(dst) - 1
	if p.Instruction == Status {
		dst = append(dst, byte(p.Error))
	}
	for _, b := range p.Params {
		dst = append(dst, b)
		// What is compared may contain a stuffed FD: FF FF FD FD never ends in FF FF FD.
		if n := len(dst); b == 0xFD && n-body >= 3 && dst[n-2] == 0xFF && dst[n-3] == 0xFF {
			dst = append(dst, 0xFD)
		}
	}
	binary.LittleEndian.PutUint16(dst[start+5:], uint16(len(dst)-body+crcSize))
	return binary.LittleEndian.AppendUint16(dst, CRC(dst[start:]))
}

// AppendRead appends the instruction that reads size bytes of the control table from address.
func AppendRead(dst []byte, id byte, address, size uint16) []byte {
	var params [4]byte
	binary.LittleEndian.PutUint16(params[0:], address)
	binary.LittleEndian.PutUint16(params[2:], size)
	return AppendPacket(dst, Packet{ID: id, Instruction: Read, Params: params[:]})
}

// AppendWrite appends the instruction that writes value into a register of the control table.
// Negative values are written as two's complement.
func AppendWrite(dst []byte, id byte, r Register, value int32) []byte {
	var params [6]byte
	binary.LittleEndian.PutUint16(params[0:], r.Address)
	binary.LittleEndian.PutUint32(params[2:], uint32(value))
	return AppendPacket(dst, Packet{ID: id, Instruction: Write, Params: params[:2+r.Size]})
}

// StatusSize is the number of bytes on the wire of a status with that many parameters, if none of
// them is stuffed.
func StatusSize(params int) int { return headerSize + 2 + params + crcSize }

// CRC returns the check value of data as Protocol 2.0 defines it:
// https://emanual.robotis.com/docs/en/dxl/crc/.
func CRC(data []byte) uint16 {
	var crc uint16
	for _, b := range data {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^b]
	}
	return crc
}

var crcTable = func() (table [256]uint16) {
	const polynomial = 0x8005
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			crc <<= 1
			if carry {
				crc ^= polynomial
			}
		}
		table[i] = crc
	}
	return table
}()
