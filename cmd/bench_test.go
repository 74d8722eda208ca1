package cmd

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/plate-resort/plate-resort/device/journal"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
	"github.com/plate-resort/plate-resort/mqtt/broker"
)

// BenchmarkArrival is the time from a publication to the goal position being written to the port, with a
// store in memory and with the journal, and beside it the time to a callback that does nothing. It is in
// the metrics; -benchtime=100x makes 100 moves.
func BenchmarkArrival(b *testing.B) {
	for name, open := range map[string]func(b *testing.B) func(*slog.Logger) (store, error){
		"memory": func(*testing.B) func(*slog.Logger) (store, error) {
			return func(*slog.Logger) (store, error) { return new(forgetful), nil }
		},
		"journal": func(b *testing.B) func(*slog.Logger) (store, error) {
			return func(log *slog.Logger) (store, error) { return journal.Open(b.TempDir(), log) }
		},
	} {
		b.Run(name, func(b *testing.B) { benchmarkArrival(b, open(b)) })
	}
}

func benchmarkArrival(b *testing.B, openStore func(*slog.Logger) (store, error)) {
	mqttBroker, err := broker.Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer mqttBroker.Close()
	s, err := loadSettings(func(env *environment) {
		env.DeviceID, env.LogLevel, env.Speed = "bench", "error", "400"
	})
	if err != nil {
		b.Fatal(err)
	}
	s.broker.URLs = []string{"tcp://" + mqttBroker.Addr().String()}

	host, line := simulator.Pipe()
	servo := simulator.New(simulator.Config{})
	defer start(func(ctx context.Context) error { return servo.Serve(ctx, line) })()
	port := &goalPort{Port: host, written: make(chan time.Time, 1)}
	open := func(*slog.Logger) openFunc { return func(string, int) (motor.Port, error) { return port, nil } }
	defer start(func(ctx context.Context) error { return serve(ctx, s, world{open, openStore, time.Now, true}) })()

	client := paho.NewClient(paho.NewClientOptions().AddBroker(s.broker.URLs[0]).SetOrderMatters(false))
	if token := client.Connect(); token.Wait() && token.Error() != nil {
		b.Fatal(token.Error())
	}
	defer client.Disconnect(100)
	came, ready, ended := make(chan time.Time, 1), make(chan struct{}, 1), make(chan struct{}, 1)
	tell := func(c chan struct{}, text string) paho.MessageHandler {
		return func(_ paho.Client, m paho.Message) {
			if bytes.Contains(m.Payload(), []byte(text)) {
				select {
				case c <- struct{}{}:
				default:
				}
			}
		}
	}
	for topic, handler := range map[string]paho.MessageHandler{
		"raw":                          func(paho.Client, paho.Message) { came <- time.Now() },
		"plate-resort/bench/state":     tell(ready, `"status":"ready"`),
		"plate-resort/bench/operation": tell(ended, `"state":"completed"`),
	} {
		if token := client.Subscribe(topic, 1, handler); token.Wait() && token.Error() != nil {
			b.Fatal(token.Error())
		}
	}
	<-ready

	var raw, wire []time.Duration
	for i := 0; b.Loop(); i++ {
		sent := time.Now()
		client.Publish("raw", 1, false, "x")
		raw = append(raw, (<-came).Sub(sent))
		select {
		case <-port.written: // when it connected
		default:
		}
		sent = time.Now()
		client.Publish("plate-resort/bench/angle/set", 1, false, fmt.Sprint(i%2))
		wire = append(wire, (<-port.written).Sub(sent))
		<-ended
	}
	for name, times := range map[string][]time.Duration{"raw": raw, "wire": wire} {
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2].Microseconds()), name+"-median-µs")
		b.ReportMetric(float64(times[len(times)*9/10].Microseconds()), name+"-p90-µs")
	}
	b.ReportMetric(0, "ns/op") // that is the move
}

// A goalPort tells when a goal position is written to it.
type goalPort struct {
	motor.Port
	written chan time.Time
}

func (p *goalPort) Write(packet []byte) (int, error) {
	now := time.Now()
	if writesGoal(packet) {
		select {
		case p.written <- now:
		default:
		}
	}
	return p.Port.Write(packet)
}

// writesGoal reports whether a packet writes the goal position.
func writesGoal(packet []byte) bool {
	const upToAddress = 10 // header, id, length, instruction and address
	return len(packet) == len(goalPacket) && bytes.Equal(packet[:upToAddress], goalPacket[:upToAddress])
}

var goalPacket = dynamixel.AppendWrite(nil, 1, dynamixel.GoalPosition, 0)
