package device

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Parameters are the arguments of an operation. Each operation has its own, as [Name.Fields] lists
// them; the others are nil.
type Parameters struct {
	Hotel     *string             `json:"hotel,omitempty"`     // of hotel
	Angle     *Degrees            `json:"angle,omitempty"`     // of angle: 0 ≤ angle < 360
	Precise   *bool               `json:"precise,omitempty"`   // of hotel and angle
	Tolerance *Degrees            `json:"tolerance,omitempty"` // of hotel and angle: 0.1 to 5
	Overrides map[string]*float64 `json:"overrides,omitempty"` // of hotel and angle: see [Overrides]

	Speed *int `json:"speed,omitempty"` // of speed: profile velocity, 0.229 rpm, from 1

	State   *string `json:"state,omitempty"`    // of connection: ON or OFF
	Port    *string `json:"port,omitempty"`     // of connection
	Baud    *int    `json:"baud,omitempty"`     // of connection: bits a second
	MotorID *int    `json:"motor_id,omitempty"` // of connection: 0 to 252

	WaitSeconds *float64 `json:"wait_seconds,omitempty"` // of reboot: before the servo is spoken to again
	Reapply     *bool    `json:"reapply,omitempty"`      // of reboot: give it all settings again

	Target *string `json:"id,omitempty"` // of cancel: the id of an operation, or "all"

	Name     *string         `json:"name,omitempty"`     // of schedule: which
	Schedule json.RawMessage `json:"schedule,omitempty"` // of schedule: what it is to be

	// The options, as [Name.Options] lists them.

	ExpiresAt         *time.Time `json:"expires_at,omitempty"`          // it is not started after that
	TimeoutSeconds    *float64   `json:"timeout_seconds,omitempty"`     // of each attempt
	Retries           *int       `json:"retries,omitempty"`             // how many more attempts it has
	RetryDelaySeconds *float64   `json:"retry_delay_seconds,omitempty"` // before each of them
}

// Fields lists the parameters of the operation, besides the options.
func (n Name) Fields() []string {
	switch n {
	case HotelOperation, AngleOperation:
		return []string{string(n), "precise", "tolerance", "overrides"}
	case SpeedOperation:
		return []string{"speed"}
	case ConnectionOperation:
		return []string{"state", "port", "baud", "motor_id"}
	case RebootOperation:
		return []string{"wait_seconds", "reapply"}
	case CancelOperation:
		return []string{"id"}
	}
	return nil
}

// Value is the parameter that must be given, or "" when none must.
func (n Name) Value() string {
	switch n {
	case HotelOperation, AngleOperation, SpeedOperation, ConnectionOperation, CancelOperation:
		return n.Fields()[0]
	}
	return ""
}

// Options lists the options that the operation takes. An immediate one is tried once: who sent it has
// the answer at once and can send it again.
func (n Name) Options() []string {
	switch {
	case n.Queues():
		return []string{"expires_at", "timeout_seconds", "retries", "retry_delay_seconds"}
	case n == StopOperation || n == CancelOperation:
		return nil
	}
	return []string{"expires_at", "timeout_seconds"}
}

// What the parameters may be.
const (
	minTolerance, maxTolerance = 0.1, 5 // degrees
	maxSeconds                 = 3600   // of every duration
	maxRetries                 = 100    //
	maxMotorID                 = 252    //
)

// validate checks the parameters against the carousel and the motor.
func (d *Device) validate(c Command) *Error {
	if c.Work != nil {
		return nil // it knows itself
	}
	p := c.Parameters
	if !c.Name.Known() {
		return Errorf(CodeUnknownOperation, "there is no operation %q", c.Name)
	}
	if value := c.Name.Value(); value != "" && !p.has(value) {
		return Errorf(CodeInvalidPayload, "the field %q is missing", value)
	}
	if p.Hotel != nil {
		if _, ok := d.carousel.Angle(*p.Hotel); !ok {
			return Errorf(CodeInvalidPayload, "hotel %q is not one of %s", *p.Hotel, strings.Join(d.hotels, ", "))
		}
	}
	if p.Angle != nil && !(*p.Angle >= 0 && *p.Angle < 360) {
		return Errorf(CodeInvalidPayload, "angle is %v; it must be 0 or more and less than 360 degrees", float64(*p.Angle))
	}
	if p.State != nil && *p.State != "ON" && *p.State != "OFF" {
		return Errorf(CodeInvalidPayload, "state is %q; it must be ON or OFF", *p.State)
	}
	if p.State != nil && *p.State == "OFF" && (p.Port != nil || p.Baud != nil || p.MotorID != nil) {
		return Errorf(CodeInvalidPayload, "port, baud and motor_id go with the state ON only")
	}
	if p.Port != nil && *p.Port == "" {
		return Errorf(CodeInvalidPayload, "port is empty; it must be the name of a serial port, such as /dev/ttyUSB0")
	}
	if p.Baud != nil && !slices.Contains(d.bauds, *p.Baud) {
		return Errorf(CodeInvalidPayload, "baud is %d; it must be one of %s", *p.Baud, strings.Trim(fmt.Sprint(d.bauds), "[]"))
	}
	if err := d.precise.validateOverrides(p.Overrides); err != nil {
		return err
	}
	if !d.pushes(p) && !onlySwitchError(p.Overrides) {
		return Errorf(CodeInvalidPayload, "overrides other than switch_error are for a precise move, and this one is plain")
	}
	fastest := 32767
	if limit := d.motor.Status().SpeedLimit; limit > 0 {
		fastest = limit
	}
	for _, n := range []struct {
		name        string
		value       *float64
		least, most float64
		unit        string
	}{
		{"tolerance", (*float64)(p.Tolerance), minTolerance, maxTolerance, "degrees"},
		{"speed", float(p.Speed), 1, float64(fastest), "profile velocity units of 0.229 rpm"},
		{"motor_id", float(p.MotorID), 0, maxMotorID, ""},
		{"wait_seconds", p.WaitSeconds, 0.1, maxSeconds, "seconds"},
		{"timeout_seconds", p.TimeoutSeconds, 0.1, maxSeconds, "seconds"},
		{"retries", float(p.Retries), 0, maxRetries, ""},
		{"retry_delay_seconds", p.RetryDelaySeconds, 0, maxSeconds, "seconds"},
	} {
		if n.value != nil && !(*n.value >= n.least && *n.value <= n.most) {
			return outside(n.name, *n.value, n.least, n.most, n.unit)
		}
	}
	return nil
}

func outside(name string, value, least, most float64, unit string) *Error {
	if unit != "" {
		unit = " " + unit
	}
	return Errorf(CodeInvalidPayload, "%s is %s; it must be from %s to %s%s", name, plain(value), plain(least), plain(most), unit)
}

// plain writes a number without an exponent.
func plain(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

func float(n *int) *float64 {
	if n == nil {
		return nil
	}
	f := float64(*n)
	return &f
}

// has reports whether the value of an operation is given.
func (p Parameters) has(value string) bool {
	switch value {
	case "hotel":
		return p.Hotel != nil
	case "angle":
		return p.Angle != nil
	case "speed":
		return p.Speed != nil
	case "state":
		return p.State != nil
	default:
		return p.Target != nil
	}
}

func (p Parameters) timeout() time.Duration { return seconds(p.TimeoutSeconds, 0) }

func seconds(s *float64, otherwise time.Duration) time.Duration {
	if s == nil {
		return otherwise
	}
	return time.Duration(*s * float64(time.Second))
}

// doing says for people what the operation does.
func (c Command) doing() string {
	switch c.Name {
	case HotelOperation:
		return "Moving to hotel " + *c.Parameters.Hotel
	case AngleOperation:
		return fmt.Sprintf("Moving to %v", *c.Parameters.Angle)
	case HomeOperation:
		return "Moving to the home position"
	case RebootOperation:
		return "Rebooting the servo"
	}
	return ""
}

// same reports whether two commands say the same. Parameters that were stored, and so were written and
// read again, say what they said.
func (p Parameters) same(other Parameters) bool {
	a, b := p.ExpiresAt, other.ExpiresAt
	if (a == nil) != (b == nil) || a != nil && !a.Equal(*b) {
		return false
	}
	p.ExpiresAt, other.ExpiresAt = nil, nil
	if len(p.Overrides) == 0 && len(other.Overrides) == 0 {
		p.Overrides, other.Overrides = nil, nil
	}
	return reflect.DeepEqual(p, other)
}
