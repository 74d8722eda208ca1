package device

import (
	"fmt"
	"reflect"
	"slices"
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
	StatusRequiresInit Status = "requires_init" // the motor is not connected, or released
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
	Speed         int        `json:"speed"`       // profile velocity, 0.229 rpm
	SpeedLimit    *int       `json:"speed_limit"` // the highest that the servo follows; null before the first contact
	Torque        bool       `json:"torque"`
	EmergencyStop bool       `json:"emergency_stop"`
	Connection    Connection `json:"connection"`
	Operation     *Operation `json:"operation"` // the one that runs
	QueueLength   int        `json:"queue_length"`
	// AllowedActions are the operations that would be accepted now.
	AllowedActions []Name   `json:"allowed_actions"`
	LastError      *Failure `json:"last_error"`
	Hotels         []string `json:"hotels"`
	// HotelAngles are the angles at which the hotels face the opening, two decimals.
	HotelAngles     map[string]Degrees `json:"hotel_angles"`
	RoomsPerHotel   int                `json:"rooms_per_hotel"`
	OperationsTotal uint64             `json:"operations_total"` // that have ended, ever
	UpdatedAt       time.Time          `json:"updated_at"`
}

// look makes a snapshot of the state as it is now.
func (d *Device) look(motor MotorStatus) *Snapshot {
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
		HotelAngles:     d.angles,
		RoomsPerHotel:   d.carousel.RoomsPerHotel,
		OperationsTotal: d.total,
		UpdatedAt:       now(),
	}
	if motor.SpeedLimit > 0 {
		s.SpeedLimit = &motor.SpeedLimit
	}
	if motor.Reading != nil {
		angle := motor.Reading.Angle.Round()
		s.Angle = &angle
		if hotel := d.carousel.At(angle); hotel != "" {
			s.Hotel = &hotel
		}
	}
	if t := d.running; t != nil {
		op := t.operation
		s.Operation = &op
		if op.Name.Moves() {
			s.TargetAngle = &t.move.Goal
			if motor.Reading != nil && motor.Reading.Moving && !d.latched { // after a stop it coasts
				s.Activity = Turning
			}
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

const waitsToGoOn = "Waiting until a stop would be heard, to go on after the interruption"

func (d *Device) status(motor MotorStatus, s *Snapshot) (Status, string) {
	warnings := append(d.warnings.list(), d.limits.warnings(motor)...)
	switch {
	case d.latched:
		return StatusEStop, strings.Join(append([]string{"Emergency stop: nothing moves until a reset"}, d.warnings.list()...), "; ")
	case len(motor.HardwareError) > 0:
		return StatusError, "The servo has switched itself off: " + strings.Join(motor.HardwareError, ", ")
	case d.released || d.letsGo() || motor.Connection == Released:
		return StatusRequiresInit, "Motor released: nothing moves until it is connected again"
	case !motor.Contacted:
		return StatusUnknown, "Looking for the motor"
	case motor.Connection == Connecting:
		return StatusRequiresInit, "Looking for the motor"
	case !motor.Connection.Ready():
		return StatusRequiresInit, "Motor not connected: " + motor.Problem
	case !motor.Torque && !d.rebooting():
		return StatusError, "Torque is off: nothing moves until a reset switches it on"
	case len(warnings) > 0:
		if d.resuming() {
			warnings = append([]string{waitsToGoOn}, warnings...)
		}
		return StatusDegraded, strings.Join(warnings, "; ")
	case d.running != nil:
		return StatusBusy, d.running.message()
	case d.resuming():
		return StatusBusy, waitsToGoOn
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
	if err := d.hindrance(name, motor); err != nil {
		return err
	}
	if (name == RefreshOperation || name == SpeedOperation) && d.count(RefreshOperation, SpeedOperation) >= maxReads {
		return Errorf(CodeQueueFull, "%d operations are reading or setting the motor already; send it again when they have ended", maxReads)
	}
	if name == ScheduleOperation && d.count(name) >= maxSchedules {
		return Errorf(CodeQueueFull, "%d schedules are being stored already; send it again when that is done", maxSchedules)
	}
	if name.Queues() && len(d.queue) >= d.queueSize {
		return Errorf(CodeQueueFull, "%d operations are waiting already; send it again when some have ended", len(d.queue))
	}
	return nil
}

// count returns how many operations of these names are under way.
func (d *Device) count(names ...Name) (n int) {
	for t := range d.underway {
		if slices.Contains(names, t.operation.Name) {
			n++
		}
	}
	return n
}

// hindrance tells why the operation cannot be carried out now, or nil.
func (d *Device) hindrance(name Name, motor MotorStatus) *Error {
	switch name {
	case StopOperation, ConnectionOperation, CancelOperation, ScheduleOperation:
		return nil
	}
	switch {
	case d.rebooting() && !name.Queues():
		return Errorf(CodeMotorDisconnected, "the servo is being rebooted; send it again when that has ended")
	case name == ResetOperation:
		return nil
	case d.latched && name.Moves():
		return Errorf(CodeEmergencyStopped, "the emergency stop is latched; reset it when it is safe to move again")
	case d.released || d.letsGo() || motor.Connection == Released:
		return Errorf(CodeMotorDisconnected, "the motor is released; connect it first")
	case motor.Connection == Connecting:
		return Errorf(CodeMotorDisconnected, "the motor is not connected yet")
	case !motor.Connection.Ready():
		return Errorf(CodeMotorDisconnected, "the motor is not connected: %s", motor.Problem)
	case len(motor.HardwareError) > 0 && name.Moves():
		return Errorf(CodeMotorFault, "the servo has switched itself off (%s); find out why, then reboot the servo",
			strings.Join(motor.HardwareError, ", "))
	case !motor.Torque && name.Moves() && !d.rebooting():
		return Errorf(CodeMotorFault, "torque is off; a reset switches it on")
	}
	return nil
}

// letsGo reports whether the motor has yet to be released, though it may be connected again after that.
func (d *Device) letsGo() bool {
	for t := range d.underway {
		if t.operation.Name == ConnectionOperation && *t.operation.Parameters.State == "OFF" {
			return true
		}
	}
	return false
}

// rebooting reports whether the servo is being rebooted, and will have its torque back after.
func (d *Device) rebooting() bool {
	return d.running != nil && d.running.operation.Name == RebootOperation
}

// differs reports whether anything but the time is not as it was.
func (s *Snapshot) differs(last *Snapshot) bool {
	same := *s
	same.UpdatedAt = last.UpdatedAt
	return !reflect.DeepEqual(&same, last)
}

// now is the time as it is published: UTC, in milliseconds.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
