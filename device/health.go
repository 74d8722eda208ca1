package device

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

const (
	// healthInterval is how old a published health may become.
	healthInterval = time.Minute
	// healthPause is how long values that change all the time, as in a move, wait for their next turn.
	healthPause = time.Second
)

// Health is the motor's health at one moment. It is never changed after it was made.
type Health struct {
	Status        string   `json:"status"` // "ok", "warning", "error", or "unknown" without a connection
	Warnings      []string `json:"warnings"`
	HardwareError []string `json:"hardware_error"` // input_voltage, overheating, encoder, electrical_shock, overload

	Temperature *int     `json:"temperature"` // °C
	Voltage     *float64 `json:"voltage"`     // V
	Current     *float64 `json:"current"`     // mA, where the model measures it
	Load        *float64 `json:"load"`        // %, where the model estimates it
	Angle       *Degrees `json:"angle"`       // 0 ≤ angle < 360
	Velocity    *float64 `json:"velocity"`    // degrees a second

	Model       string `json:"model"`
	ModelNumber int    `json:"model_number"`
	Firmware    int    `json:"firmware"`
	Simulated   bool   `json:"simulated"`

	SerialErrorsTotal uint64    `json:"serial_errors_total"`
	UptimeSeconds     int64     `json:"uptime_seconds"` // of the device process
	Version           string    `json:"version"`
	UpdatedAt         time.Time `json:"updated_at"`
}

// Limits are where the motor's health becomes a warning. Nothing in the servo is set from them.
type Limits struct {
	Temperature            float64 // °C
	Current                float64 // mA
	MinVoltage, MaxVoltage float64 // V
}

// warnings tells what is outside the limits, and what the servo warns of itself.
func (l Limits) warnings(motor MotorStatus) []string {
	w := slices.Clone(motor.Warnings)
	if len(motor.Alerts) > 0 {
		w = append(w, "The servo reports "+strings.Join(motor.Alerts, ", "))
	}
	r := motor.Reading
	if r == nil {
		return w
	}
	if t := float64(r.Temperature); t > l.Temperature {
		w = append(w, fmt.Sprintf("Temperature %v °C is above %v °C", t, l.Temperature))
	}
	if r.Current != nil && math.Abs(*r.Current) > l.Current {
		w = append(w, fmt.Sprintf("Current %v mA is above %v mA", math.Abs(*r.Current), l.Current))
	}
	if r.Voltage < l.MinVoltage {
		w = append(w, fmt.Sprintf("Voltage %v V is below %v V", r.Voltage, l.MinVoltage))
	}
	if r.Voltage > l.MaxVoltage {
		w = append(w, fmt.Sprintf("Voltage %v V is above %v V", r.Voltage, l.MaxVoltage))
	}
	return w
}

// examine makes a health of the state as it is now.
func (d *Device) examine(motor MotorStatus) *Health {
	h := &Health{
		Status:        "ok",
		Warnings:      append([]string{}, d.limits.warnings(motor)...),
		HardwareError: append(append([]string{}, motor.HardwareError...), motor.Alerts...),
		Model:         motor.Model, ModelNumber: motor.ModelNumber, Firmware: motor.Firmware,
		Simulated:         d.simulated,
		SerialErrorsTotal: motor.SerialErrors,
		UptimeSeconds:     int64(time.Since(d.began).Seconds()),
		Version:           d.version,
		UpdatedAt:         now(),
	}
	if r := motor.Reading; r != nil {
		angle := r.Angle.Round()
		h.Temperature, h.Voltage, h.Current, h.Load = &r.Temperature, &r.Voltage, r.Current, r.Load
		h.Angle, h.Velocity = &angle, &r.Velocity
	}
	switch {
	case len(motor.HardwareError) > 0:
		h.Status = "error"
	case !motor.Connection.Ready():
		h.Status = "unknown"
	case len(h.Warnings) > 0:
		h.Status = "warning"
	}
	return h
}

// due returns how old the last health must be for this one to be published: at once when something is of
// another kind, after a pause when a value has changed by more than its noise.
func (h *Health) due(last *Health) time.Duration {
	switch {
	case h.Status != last.Status,
		!slices.Equal(h.HardwareError, last.HardwareError),
		!slices.EqualFunc(h.Warnings, last.Warnings, sameKind),
		h.ModelNumber != last.ModelNumber, h.Firmware != last.Firmware,
		h.turns() != last.turns():
		return 0
	case turned(h.Angle, last.Angle, 0.2),
		apart(h.Temperature, last.Temperature, 1),
		apart(h.Voltage, last.Voltage, 0.1),
		apart(h.Current, last.Current, 20),
		apart(h.Load, last.Load, 2),
		apart(h.Velocity, last.Velocity, 1):
		return healthPause
	}
	return healthInterval
}

// sameKind reports whether two warnings differ in their numbers only.
func sameKind(a, b string) bool {
	const numbers = "0123456789."
	isNumber := func(r rune) bool { return strings.ContainsRune(numbers, r) }
	return slices.Equal(strings.FieldsFunc(a, isNumber), strings.FieldsFunc(b, isNumber))
}

func (h *Health) turns() bool { return h.Velocity != nil && *h.Velocity != 0 }

// turned reports whether two angles differ by more than so much, the short way round, or only one of them
// is known.
func turned(a, b *Degrees, much Degrees) bool {
	if a == nil || b == nil {
		return a != b
	}
	way := a.From(*b)
	return max(way, -way) > much
}

// apart reports whether two values differ by more than so much, or only one of them is known.
func apart[N ~int | ~float64](a, b *N, much float64) bool {
	if a == nil || b == nil {
		return a != b
	}
	const rounding = 1e-9
	return math.Abs(float64(*a)-float64(*b)) > much+rounding
}
