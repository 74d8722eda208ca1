package device

import (
	"fmt"
	"strings"
	"time"
)

// A Status is the device's fitness for work, in the words of the AC lab-equipment status
// specification 1.2 (https://github.com/AccelerationConsortium/ac-organic-lab, docs/STATUS_SPEC.md).
type Status string

// The statuses; the first that holds is shown.
const (
	StatusEStop        Status = "e_stop"        // the emergency stop is latched
	StatusError        Status = "error"         // a fault prevents moves
	StatusUnknown      Status = "unknown"       // there has been no contact with the motor yet
	StatusRequiresInit Status = "requires_init" // the motor is not connected
	StatusDegraded     Status = "degraded"      // usable, with a warning
	StatusBusy         Status = "busy"          // an operation runs
	StatusReady        Status = "ready"
)

// An Activity says whether the carousel turns under a command.
type Activity string

// The activities.
const (
	Idle    Activity = "idle"
	Turning Activity = "running"
)

// A Failure is the latest operation that failed, as the status specification wants it.
type Failure struct {
	Code      Code      `json:"code"`
	Message   string    `json:"message"`
	Severity  string    `json:"severity"` // "error"
	Timestamp time.Time `json:"timestamp"`
}

// A Snapshot is the state of the device at one moment. It is never changed after it was made.
type Snapshot struct {
	Status        Status     `json:"status"`
	Message       string     `json:"message"`
	Activity      Activity   `json:"activity"`
	ActivitySince time.Time  `json:"activity_since"`
	Hotel         *string    `json:"hotel"` // the one that faces the opening, give or take 5°
	Angle         *Degrees   `json:"angle"` // 0 ≤ angle < 360, two decimals; null before the first contact
	TargetAngle   *Degrees   `json:"target_angle"`
	Speed         int        `json:"speed"` // profile velocity, 0.229 rpm
	Torque        bool       `json:"torque"`
	EmergencyStop bool       `json:"emergency_stop"`
	Connection    Connection `json:"connection"`
	Operation     *Operation `json:"operation"` // the one that runs
	QueueLength   int        `json:"queue_length"`
	// AllowedActions are the operations that would be accepted now.
	AllowedActions  []Name    `json:"allowed_actions"`
	LastError       *Failure  `json:"last_error"`
	Hotels          []string  `json:"hotels"`
	RoomsPerHotel   int       `json:"rooms_per_hotel"`
	OperationsTotal uint64    `json:"operations_total"` // that have ended since the process started
	UpdatedAt       time.Time `json:"updated_at"`
}

// look makes a snapshot of the state as it is now.
func (d *Device) look() *Snapshot {
	motor := d.motor.Status()
	s := &Snapshot{
		Activity:        Idle,
		ActivitySince:   d.activitySince,
		Speed:           motor.Speed,
		Torque:          motor.Torque,
		EmergencyStop:   d.latched,
		Connection:      motor.Connection,
		QueueLength:     len(d.queue),
		LastError:       d.lastError,
		Hotels:          d.hotels,
		RoomsPerHotel:   d.carousel.RoomsPerHotel,
		OperationsTotal: d.total,
		UpdatedAt:       now(),
	}
	if motor.Known {
		angle := motor.Angle.Round()
		s.Angle = &angle
		if hotel := d.carousel.At(angle); hotel != "" {
			s.Hotel = &hotel
		}
	}
	if r := d.running; r != nil {
		op := r.operation
		s.Operation = &op
		s.TargetAngle = &r.goal
		if motor.Moving && !d.latched { // after a stop it coasts
			s.Activity = Turning
		}
	}
	s.AllowedActions = []Name{}
	for _, name := range Names {
		if d.refusal(name, motor) == nil {
			s.AllowedActions = append(s.AllowedActions, name)
		}
	}
	s.Status, s.Message = d.status(motor, s)
	return s
}

func (d *Device) status(motor MotorStatus, s *Snapshot) (Status, string) {
	warnings := append(d.warnings.list(), motor.Warnings...)
	switch {
	case d.latched:
		return StatusEStop, "Emergency stop: nothing moves until a reset"
	case len(motor.HardwareError) > 0:
		return StatusError, "The servo has switched itself off: " + strings.Join(motor.HardwareError, ", ")
	case !motor.Contacted:
		return StatusUnknown, "Looking for the motor"
	case motor.Connection != Connected:
		return StatusRequiresInit, "Motor not connected: " + motor.Problem
	case len(warnings) > 0:
		return StatusDegraded, strings.Join(warnings, "; ")
	case d.running != nil:
		return StatusBusy, d.running.message
	case s.Hotel != nil:
		return StatusReady, "Ready at hotel " + *s.Hotel
	case s.Angle != nil:
		return StatusReady, fmt.Sprintf("Ready at %v", *s.Angle)
	}
	return StatusReady, "Ready"
}

// refusal tells why the operation cannot be accepted now, or nil. Acceptance and allowed_actions both
// follow from it.
func (d *Device) refusal(name Name, motor MotorStatus) *Error {
	if d.closing && name != StopOperation {
		return errShutDown
	}
	if !name.moves() {
		return nil
	}
	if err := d.hindrance(motor); err != nil {
		return err
	}
	if len(d.queue) >= d.queueSize {
		return Errorf(CodeQueueFull, "%d operations are waiting already; send it again when some have ended", len(d.queue))
	}
	return nil
}

// hindrance tells why nothing can move now, or nil.
func (d *Device) hindrance(motor MotorStatus) *Error {
	switch {
	case d.latched:
		return Errorf(CodeEmergencyStopped, "the emergency stop is latched; send PRESS to reset/set when it is safe to move again")
	case motor.Connection != Connected && motor.Problem == "":
		return Errorf(CodeMotorDisconnected, "the motor is not connected yet")
	case motor.Connection != Connected:
		return Errorf(CodeMotorDisconnected, "the motor is not connected: %s", motor.Problem)
	case len(motor.HardwareError) > 0:
		return Errorf(CodeMotorFault, "the servo has switched itself off (%s); find out why, then cut its power and switch it on again",
			strings.Join(motor.HardwareError, ", "))
	}
	return nil
}

// now is the time as it is published: UTC, in milliseconds.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
