// Package devicetest has a motor for tests of what is built on [device.Motor]. It turns nothing and
// takes no time: a test says what the servo is like, sees every call, and says how each one ends.
//
// Without being told anything, a [Motor] is connected and at rest at 0° with torque on, does at once
// what it is asked for, and halts a move when its context ends. A move goes on until the test ends it:
//
//	motor := devicetest.New()
//	// … something under test calls MoveTo
//	move := motor.Moves()[0]
//	move.Arrive()
//
// What the documentation of device.Motor promises, this motor keeps: nothing moves while a stop is
// held, without a connection or in a fault, a reset does not release a later press, and what was released
// stays so until a call of Connect.
package devicetest
