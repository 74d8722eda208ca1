package mqtt

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
)

// BenchmarkDecode is a command as people send it, and as programs do.
func BenchmarkDecode(b *testing.B) {
	for name, text := range map[string]string{
		"bare":   "90",
		"object": `{"id": "01JDXF4E4G9YQ2V1C3W5Z7T8RA", "angle": 90, "expires_at": "2026-11-23T08:00:00Z"}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode(device.AngleOperation, []byte(text), false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEncode is what is published of a move that runs.
func BenchmarkEncode(b *testing.B) {
	at := time.Now()
	angle := device.Degrees(90)
	op := &device.Operation{
		ID: "01JDXF4E4G9YQ2V1C3W5Z7T8RA", Name: device.AngleOperation, Parameters: device.Parameters{Angle: &angle},
		Source: source, State: device.Running, Attempt: 1, QueuedAt: at, StartedAt: &at,
	}
	for name, value := range map[string]any{
		"operation": device.Event{Sequence: 1, Operation: *op, Durable: true},
		"state": &device.Snapshot{
			Status: device.StatusBusy, Message: "Turning to 90°", Activity: device.Turning, ActivitySince: at, Angle: &angle, TargetAngle: &angle,
			Torque: true, Connection: device.Connected, Operation: op, AllowedActions: device.Names, Hotels: []string{"A", "B", "C", "D"},
			HotelAngles: map[string]device.Degrees{"A": 19, "B": 109, "C": 199, "D": 289}, RoomsPerHotel: 20, UpdatedAt: at,
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := json.Marshal(value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
