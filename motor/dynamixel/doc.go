// Package dynamixel is the language of Dynamixel X servos: Protocol 2.0 packets and the control
// table. It is pure: no I/O, no clock, no state beyond a parser's buffer.
//
// A packet on the wire, an instruction to a servo or its status in reply, is drawn in
// https://emanual.robotis.com/docs/en/dxl/protocol2/ as
//
//	FF FF FD 00   ID   LEN_L LEN_H   INST   [ERR]   PARAM…   CRC_L CRC_H
//	└─ header ─┘  └ 0…252 a servo,  └ 55h is a status, and only a status has ERR:
//	                254 all of them   bit 7 alert (read Hardware Error Status), bits 6…0 error number
//
// LEN counts the bytes from INST to CRC_H. The CRC (polynomial 8005h, initial value 0, not reflected)
// covers everything before it. Where INST…PARAM would contain FF FF FD, an additional FD follows it
// (byte stuffing), so that the header occurs only at the start of a packet; LEN and CRC are those of
// the stuffed bytes. Numbers are little-endian.
package dynamixel
