package mqtt

import (
	"encoding/json"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt/broker"
	"github.com/plate-resort/plate-resort/mqtt/session"
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

// running is what is published of a move that runs.
func running() (*device.Snapshot, device.Event) {
	at := time.Now()
	angle := device.Degrees(90)
	op := &device.Operation{
		ID: "01JDXF4E4G9YQ2V1C3W5Z7T8RA", Name: device.AngleOperation, Parameters: device.Parameters{Angle: &angle},
		Source: source, State: device.Running, Attempt: 1, QueuedAt: at, StartedAt: &at,
	}
	return &device.Snapshot{
		Status: device.StatusBusy, Message: "Turning to 90°", Activity: device.Turning, ActivitySince: at, Angle: &angle, TargetAngle: &angle,
		Torque: true, Connection: device.Connected, Operation: op, AllowedActions: device.Names, Hotels: []string{"A", "B", "C", "D"},
		HotelAngles: map[string]device.Degrees{"A": 19, "B": 109, "C": 199, "D": 289}, RoomsPerHotel: 20, UpdatedAt: at,
	}, device.Event{Sequence: 1, Operation: *op, Durable: true}
}

func BenchmarkEncode(b *testing.B) {
	state, event := running()
	for name, value := range map[string]any{"operation": event, "state": state} {
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

// BenchmarkPublish is a state on its way out: encoded, sent over TCP, and acknowledged by a broker in the same process.
func BenchmarkPublish(b *testing.B) {
	there, err := broker.Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer there.Close()
	client := paho.NewClient(session.Broker{URLs: []string{"tcp://" + there.Addr().String()}}.Options("bench"))
	if token := client.Connect(); token.Wait() && token.Error() != nil {
		b.Fatal(token.Error())
	}
	defer client.Disconnect(0)
	topics := NewTopics("plate-resort", "lab")
	state, _ := running()
	shown := &retained{topic: topics.State(), value: func(v *device.View) any { return v.State }}
	p := &publisher{client: client, topics: topics}
	b.ReportAllocs()
	for b.Loop() {
		p.publish(shown, &device.View{State: state})
		<-p.oldest()
		if err := p.acknowledged(); err != nil {
			b.Fatal(err)
		}
	}
}
