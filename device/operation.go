package device

import (
	"slices"
	"time"
)

// A Name is the name of an operation: the level of its topic.
type Name string

// The operations.
const (
	HotelOperation      Name = "hotel"      // turn until a hotel faces the opening
	AngleOperation      Name = "angle"      // turn to an angle
	HomeOperation       Name = "home"       // turn to 0°
	SpeedOperation      Name = "speed"      // set the profile velocity
	StopOperation       Name = "stop"       // torque off at once, and latch
	ResetOperation      Name = "reset"      // release the latch, torque on, no motion
	ConnectionOperation Name = "connection" // connect the motor, or release it
	RebootOperation     Name = "reboot"     // reboot the servo, which clears its hardware errors
	RefreshOperation    Name = "refresh"    // read the motor now
	CancelOperation     Name = "cancel"     // give up operations that run or wait
)

// Names lists every operation, in the order in which people meet them.
var Names = []Name{
	HotelOperation, AngleOperation, HomeOperation, SpeedOperation, StopOperation, ResetOperation,
	ConnectionOperation, RebootOperation, RefreshOperation, CancelOperation,
}

// Known reports whether there is an operation of that name.
func (n Name) Known() bool { return slices.Contains(Names, n) }

// Moves reports whether the operation turns the carousel.
func (n Name) Moves() bool {
	return n == HotelOperation || n == AngleOperation || n == HomeOperation
}

// Queues reports whether the operation waits for its turn; the others are immediate.
func (n Name) Queues() bool { return n.Moves() || n == RebootOperation }

// A Command asks for an operation.
type Command struct {
	// ID is the sender's name for the operation: the same id again is the same operation. Without
	// one, the device makes one.
	ID         string
	Name       Name
	Parameters Parameters
	// Source says where the command came from: "mqtt", or "schedule:" and the schedule's name.
	Source string
	// Work is what a [ScheduleOperation] does; nil of all others.
	Work Work
}

// A State is where an operation is on its way.
type State string

// The states. An operation that has been accepted ends in exactly one of Completed, Failed, Cancelled,
// Expired and Interrupted.
const (
	Queued      State = "queued"      // waits for its turn
	Running     State = "running"     // is being carried out
	Retrying    State = "retrying"    // has failed, as Error says, and waits for its next attempt
	Completed   State = "completed"   // was carried out, as Result says
	Failed      State = "failed"      // could not be carried out, as Error says
	Cancelled   State = "cancelled"   // was given up on command or by an emergency stop
	Expired     State = "expired"     // its turn came after it had expired
	Interrupted State = "interrupted" // was given up because the process ended
	Rejected    State = "rejected"    // was never accepted, as Error says
)

// Ended reports whether nothing more becomes of an operation in this state.
func (s State) Ended() bool { return s != Queued && s != Running && s != Retrying }

// An Operation is a command on its way, as it is published.
type Operation struct {
	ID         string     `json:"id"`
	Name       Name       `json:"operation"`
	Parameters Parameters `json:"parameters"`
	Source     string     `json:"source"`
	State      State      `json:"state"`
	Attempt    int        `json:"attempt"` // 1 when it runs for the first time, 0 before
	QueuedAt   time.Time  `json:"queued_at"`
	StartedAt  *time.Time `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	Result     *Result    `json:"result"`
	Error      *Error     `json:"error"`
}

// A Result is what a completed operation has achieved.
type Result struct {
	Hotel           string   `json:"hotel,omitempty"`
	Angle           *Degrees `json:"angle,omitempty"`     // where the carousel stands, 0 ≤ angle < 360
	Deviation       *Degrees `json:"deviation,omitempty"` // angle minus goal
	Stage           Stage    `json:"stage,omitempty"`     // of a move: what brought it to its end
	Pulses          int      `json:"pulses,omitempty"`    // of a move: how often it was pushed
	Health          *Health  `json:"health,omitempty"`    // of a refresh
	DurationSeconds float64  `json:"duration_seconds"`
}
