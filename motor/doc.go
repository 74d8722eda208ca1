// Package motor drives one Dynamixel X servo on one serial port, which it keeps open unless it is told not
// to. It implements [device.Motor].
//
// # One owner of the bus
//
// A connection is a bus: one goroutine that owns the port and carries out one transaction at a time,
// write, read until the deadline, and resynchronise before the next. Moves, polls and settings are
// requests to it; those that motion depends on go before those that only look. The emergency stop is
// not a request: it is a signal that the bus looks at before every transaction, so that it waits for
// the one on the wire at most: some 15 ms at 57600 baud, 50 to 200 ms more if the servo does not answer,
// half a second if the port takes no bytes.
//
//	MoveTo, halt ───────► urgent ────┐
//	poll, Refresh, … ───► requests ──┼──► bus ──► port
//	Stop ───────────────► signal ────┘
//
// # Sessions
//
// Run brings about a target: a line, or none while the motor is released. A session is one connection
// to a line. It gives the servo its settings, watches it until it is lost, and before the port is
// closed by command it makes the servo safe: torque off, or halted where another servo takes its place.
// A session can end in a nap: nobody has needed the port for long, so it is closed, the torque stays as
// it is, and the next operation or press of the stop opens it.
//
// # Moves
//
// A move is a goal position, whose profile the servo follows by itself; we look every 20 ms, and without a
// pause once the profile has ended, until it has arrived, or stands still. Where friction has stopped it
// short of its goal, a precise move goes on with pulses: see push.go. As long as the servo turns or pushes
// its bus watchdog is armed, so that it stops by itself when it hears nothing.
//
// The carousel turns within one turn, in position mode, and so never over 0°; or the short way round, in
// extended position mode: see turns.go.
//
// # Permits
//
// Whatever may cause motion, a goal position or torque, carries a permit: the number of emergency
// stops that had been pressed and released when it was begun. The bus refuses it when another has
// been pressed since. So nothing that began before a stop moves the carousel after it, not even when
// the stop has been reset in the meantime.
//
// # Torque
//
// Torque never comes on with an old goal: the goal position is set to the present position first and
// read back. It comes on without force, with a goal PWM of 0, as the servo folds its position into one
// turn in that moment, and only then is it known which goal means no motion.
package motor
