package device

import (
	"context"
	"time"
)

// Motor is what the device needs of its servo. It connects by itself, and again after a loss. Its
// errors are of the type [Error], with one of the codes motor_disconnected, motor_fault,
// emergency_stopped, stalled, timeout, serial_error and, when the context was cancelled, cancelled.
type Motor interface {
	// Status returns what is known of the servo now.
	Status() MotorStatus
	// Changed receives after Status has changed. Changes that come faster than they are received
	// are joined. It has one receiver.
	Changed() <-chan struct{}

	// MoveTo turns the carousel and returns when it has come to rest. When ctx ends, the motion is
	// halted where it is, with torque kept, before MoveTo returns an error.
	MoveTo(ctx context.Context, m Move) (Arrival, error)
	// SetSpeed sets the profile velocity, in 0.229 rpm, until the program ends, also that of a move that
	// is on its way.
	SetSpeed(ctx context.Context, speed int) error
	// Refresh reads the servo.
	Refresh(ctx context.Context) error
	// Reboot reboots the servo, waits for so long, and gives it all settings and its torque again
	// if reapply is set. Torque stays off while a stop is held.
	Reboot(ctx context.Context, wait time.Duration, reapply bool) error

	// Connect gives up a Release and, if the line is another one than the present, reconnects to
	// that. It returns when the servo is connected; when ctx ends before, the servo goes on being
	// looked for.
	Connect(ctx context.Context, line Line) error
	// Release switches torque off, closes the port and keeps it closed until Connect, also when ctx
	// ends before or torque cannot be switched off.
	Release(ctx context.Context) error

	// Stop switches torque off ahead of everything else on the bus and keeps it off, also over a
	// reconnection, until a Reset that names this press. It returns at once.
	Stop() Press
	// Reset releases all presses up to that number, and gives the servo its settings and its torque
	// again where the carousel stands. A servo that is not connected gets them when it connects.
	// While a later press is held, or when the servo refuses, nothing is released.
	Reset(ctx context.Context, press uint64) error
}

// A Move is where to turn.
type Move struct {
	Goal Degrees // 0 ≤ Goal < 360
	// Tolerance is how near to its goal the move has arrived.
	Tolerance Degrees
	// Window is how near to its goal the move may come to rest, at least Tolerance.
	Window Degrees
	// Precise has the carousel pushed from there to within Tolerance; nil leaves it there.
	Precise *Precise
	// Timeout bounds the move; 0 is the motor's choice.
	Timeout time.Duration
}

// A Stage is a stage of a move.
type Stage string

// The stages.
const (
	PositionStage Stage = "position" // the servo's own way to its goal
	PreciseStage  Stage = "precise"  // pulses that push it the last bit
)

// An Arrival is where a move ended.
type Arrival struct {
	Angle  Degrees // 0 ≤ Angle < 360
	Stage  Stage   // the one that brought it there
	Pulses int     // that it took in the precise stage
}

// A Line is where the servo is found. What is zero, or nil, stays as it is.
type Line struct {
	Port string
	Baud int // bits a second
	ID   *int
}

// A Press is one use of the emergency stop.
type Press struct {
	// Number counts the presses since the program started, from 1.
	Number uint64
	// Done receives once: nil when torque has been read back as off, or an [Error] that says why not.
	Done <-chan error
}

// A Connection says whether the servo can be reached.
type Connection string

// The states of a connection.
const (
	Connecting   Connection = "connecting"
	Connected    Connection = "connected"
	Disconnected Connection = "disconnected" // lost or not found, being retried
	Released     Connection = "released"     // by command
	Napping      Connection = "idle"         // the port is closed for want of work, and opened for the next
)

// Ready reports whether operations can be carried out.
func (c Connection) Ready() bool { return c == Connected || c == Napping }

// MotorStatus is what is known of the servo. Apart from Connection and Problem, its fields hold what
// was last read, and are zero before the first contact.
type MotorStatus struct {
	Connection Connection
	// Problem says why the servo is not connected.
	Problem string
	// Contacted is set once the servo has been connected, or the first attempt has failed.
	Contacted bool

	Model       string // such as XC330-T288
	ModelNumber int
	Firmware    int
	Torque      bool
	Speed       int // profile velocity, 0.229 rpm
	SpeedLimit  int // the highest profile velocity that the servo follows

	Reading *Reading // nil before the first one
	// HardwareError names the errors that have switched the servo off: input_voltage, overheating,
	// encoder, electrical_shock, overload.
	HardwareError []string
	// Alerts names those that have not.
	Alerts []string
	// Warnings says what else is not as it should be.
	Warnings []string
	// SerialErrors counts the transactions that failed and were tried again or given up.
	SerialErrors uint64
}

// A Reading is what the servo said of itself at one moment. It is never changed.
type Reading struct {
	At          time.Time
	Angle       Degrees  // 0 ≤ Angle < 360
	Moving      bool     // the servo turns, or follows its profile
	Velocity    float64  // degrees a second
	Temperature int      // °C
	Voltage     float64  // V
	Current     *float64 // mA, where the model measures it
	Load        *float64 // % of the highest torque, where the model estimates it
}
