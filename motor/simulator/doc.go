// Package simulator is a Dynamixel XC330-T288 made of software: its control table, its instructions, the
// way its horn moves, the time that bytes take on the wire, and faults to order.
//
//	            instructions                    control table
//	host ══ line ════════════► Serve ──► Servo ◄────────────── Register, Turn, Fail,
//	  ▲    (Pipe or OpenPTY)     │     (a mutex)               PowerCycle, SetFaults
//	  └──────────────────────────┘
//	            status, as late as on a real wire
//
// A [Servo] has no goroutine and no ticker: where the horn is follows from the present time and the last
// goal, and is computed whenever somebody looks. It costs nothing at rest and works in virtual time
// (testing/synctest). [Servo.Serve] connects it to a line: one end of a [Pipe], which is in memory, or a
// [PTY], which other programs open like a serial port. Neither knows the host's baud rate, so a host that
// has chosen a wrong one is not told apart.
//
// What the servo does is what the vendor's manual says, https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/
// and https://emanual.robotis.com/docs/en/dxl/protocol2/; where the manual is silent, the comment at the
// place says what was chosen. The horn is ideal: it follows its profile exactly, without friction, load or
// overshoot. It moves in the operating modes 3 (position) and 4 (extended position) and stands still in the
// others. Registers that would have no effect (gains, PWM slope, LED) are kept and otherwise ignored;
// indirect addresses do not exist.
package simulator
