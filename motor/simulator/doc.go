// Package simulator is a Dynamixel X servo made of software: its control table, its instructions, its control
// loop with the motor and the horn that this drives, the time that bytes take on the wire, and faults to order.
//
//	            instructions                 registers
//	host ══ line ════════════► Serve ──► Servo ──────────► control loop ──► motor, gear, horn
//	  ▲    (Pipe or OpenPTY)     │     (a mutex)   ▲          1 kHz                │
//	  └──────────────────────────┘                 └───────────────────────────────┘
//	            status, as late as on a real wire          position, current, heat
//
// A [Servo] has no goroutine and no ticker: whenever somebody looks, the control loop is computed, period by
// period, from the last look until now, and over any time in which nothing would change in one step. It
// costs nothing at rest and works in virtual time (testing/synctest). [Servo.Serve] connects it to a line: one
// end of a [Pipe], which is in memory, or a [PTY], which other programs open like a serial port. Either knows
// the host's baud rate (a PTY on Linux only); at a wrong one there is only noise.
//
// What the servo does is what the vendor's manual says, https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/
// and its sister pages, and https://emanual.robotis.com/docs/en/dxl/protocol2/. The model decides about
// registers and operating modes, the firmware about the bus watchdog, the bits of the drive mode, the startup
// configuration, backup, Clear, and fast reads.
//
// # The motion
//
// A profile makes the trajectory, the controllers of the manual follow it with their gains as written at any
// time, and Goal PWM and Goal Current limit what they put out. The horn lags behind the trajectory, as a
// proportional controller leaves it; with friction it stops short of its goal, and it takes more force to
// begin than to go on. With inertia it turns beyond its goal, also beyond the end of its turn, and coasts when
// torque goes off. Without faults it arrives at every goal exactly.
//
// # What is chosen where the manual is silent
//
//   - The motor loses its speed in 6 ms, and without load turns at the initial Velocity Limit(44).
//   - Friction is dry, 1.2 times as high at a standstill. Without torque the horn coasts against it and the
//     motor's own damping, which a driver that lets go would not have.
//   - The control period is 1 ms, and the D and feedforward gains count per period. The integral stops at the
//     limit of the output. The position is not quantised for the controller.
//   - In position is within 5 steps of the goal, a following error more than 200 steps from the trajectory.
//   - An overload is 3 s at the PWM Limit without motion. The temperature is 31 °C at rest and 60 K higher in
//     the end at full force, with a time constant of 5 minutes. The input voltage sags by 0.3 V in a stall.
//   - A goal beyond a limit in another register is a Data Limit Error, anything else out of range a Data Range
//     Error.
//   - A Sync Read or Bulk Read is answered if no other servo comes first in it: a servo waits for those before
//     it, and here there are none. Fast reads and the Control Table Backup are as other programs know them.
//   - A packet with a wrong CRC is not answered. Only what is for this servo, or for all, feeds its watchdog.
//   - Booting takes 300 ms, and Goal Position is then where the horn stands.
//
// More of these stand as comments at their places.
//
// # What is not simulated
//
// A load that pulls, such as gravity; play in the gear; noise of the sensors; other servos on the line and
// Protocol 1.0; the LED that flickers.
package simulator
