package device

import (
	"context"
	"time"
)

// Motor is what the device needs of its servo. It connects by itself, and again after a loss.
type Motor interface {
	// Status returns what is known of the servo now.
	Status() MotorStatus
	// Changed receives after Status has changed. Changes that come faster than they are received
	// are joined. It has one receiver.
	Changed() <-chan struct{}

	// MoveTo turns to goal, 0 ≤ goal < 360, and returns when the servo has come to rest. When ctx
	// ends, the motion is halted where it is, with torque kept, before MoveTo returns an error.
	// Otherwise the error is an [Error] with one of the codes motor_disconnected, motor_fault,
	// emergency_stopped, stalled, timeout and serial_error.
	MoveTo(ctx context.Context, goal Degrees) (Arrival, error)

	// Stop switches torque off ahead of everything else on the bus and keeps it off, also over a
	// reconnection, until a Reset that names this press. It returns at once.
	Stop() Press
	// Reset releases all presses up to that number and switches torque on where the carousel
	// stands. A servo that is not connected gets its torque when it connects. While a later press
	// is held, or when the servo refuses, nothing is released.
	Reset(ctx context.Context, press uint64) error
}

// A Press is one use of the emergency stop.
type Press struct {
	// Number counts the presses since the program started, from 1.
	Number uint64
	// Done receives once: nil when torque has been read back as off, or an [Error] that says why not.
	Done <-chan error
}

// An Arrival is where a move ended.
type Arrival struct {
	Angle Degrees // 0 ≤ Angle < 360
	Stage string  // what brought the servo there: "position", its own position control
}

// A Connection says whether the servo can be reached.
type Connection string

// The states of a connection.
const (
	Connecting   Connection = "connecting"
	Connected    Connection = "connected"
	Disconnected Connection = "disconnected" // lost or not found, being retried
)

// MotorStatus is what is known of the servo. Apart from Connection and Problem, its fields hold what
// was last read, and are zero before the first contact.
type MotorStatus struct {
	Connection Connection
	// Problem says why the servo is not connected.
	Problem string
	// Contacted is set once the servo has been connected, or the first attempt has failed.
	Contacted bool

	Known  bool // the following have been read at least once
	Angle  Degrees
	Moving bool // the servo turns, or follows its profile
	Torque bool
	Speed  int // profile velocity, 0.229 rpm

	// HardwareError names the errors that have switched the servo off: input_voltage, overheating,
	// encoder, electrical_shock, overload.
	HardwareError []string
	// Warnings do not prevent motion.
	Warnings []string

	ReadAt time.Time
}
