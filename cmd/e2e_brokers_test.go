//go:build e2e

package cmd_test

import (
	"testing"

	embedded "github.com/plate-resort/plate-resort/mqtt/broker"
)

// The brokers that people have speak MQTT 3.1.1 each in its own way. The device does its work with all of them.
func TestBrokers(t *testing.T) {
	t.Parallel()
	other := func(t *testing.T, listen func(port string)) *broker {
		b := &broker{port: freePort(t), observed: true}
		t.Cleanup(func() { b.validate(t) })
		listen(b.port)
		b.publish(t, subscribedTopic, "yes", "-r")
		b.observe(t)
		return b
	}
	for name, newBroker := range map[string]func(t *testing.T) *broker{
		"Mosquitto": newBroker,
		"embedded": func(t *testing.T) *broker {
			return other(t, func(port string) {
				b, err := embedded.Listen("127.0.0.1:" + port)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { b.Close() })
			})
		},
		"aedes": func(t *testing.T) *broker {
			return other(t, func(port string) {
				start(t, "aedes", nil, "node", "../.ci/npm/aedes.js", port).awaitText(t, "aedes is listening")
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			worksWith(t, newBroker(t))
		})
	}
}

func worksWith(t *testing.T, b *broker) {
	d := prepareDevice(t, b, brisk)
	d.startServo(t)
	d.run(t)
	d.watch.availability(t, "online")
	d.watch.status(t, "ready")
	for qos, id := range map[string]string{"0": "at most once", "1": "at least once", "2": "exactly once"} {
		d.send(t, "angle", `{"angle": 1`+qos+`, "id": "`+id+`"}`, "-q", qos)
		d.watch.operation(t, id, "completed")
		d.watch.expectStates(t, id, "queued", "running", "completed")
	}
	d.send(t, "hotel", `{"hotel": "Z", "id": "wrong"}`)
	if op := d.watch.operation(t, "wrong", "rejected"); op.Error.Code != "invalid_payload" {
		t.Errorf("the hotel Z was answered with %+v", op.Error)
	}
	d.do(t, "stop", `{"id": "stop"}`, "stop")
	d.watch.status(t, "e_stop")
	d.do(t, "reset", `{"id": "reset"}`, "reset")
	d.do(t, "hotel", `{"hotel": "B", "id": "b"}`, "b")
	d.watch.state(t, "hotel B", func(s state) bool { return s.Status == "ready" && s.Hotel == "B" })
	d.expectRetained(t, "online", "ready")

	// The will; what was sent meanwhile, which is the stop alone; and everything again.
	d.program.kill(t)
	d.watch.availability(t, "offline")
	d.send(t, "hotel", `{"hotel": "C", "id": "late"}`)
	d.send(t, "stop", `{"id": "late stop"}`)
	d.run(t)
	d.watch.availability(t, "online")
	d.watch.state(t, "no torque", func(s state) bool { return s.Status == "e_stop" && s.Connection == "connected" && !s.Torque })
	d.do(t, "reset", `{"id": "go on"}`, "go on")
	d.watch.status(t, "ready")
	d.do(t, "home", `{"id": "home"}`, "home")
	d.watch.status(t, "ready")
	d.watch.expectStates(t, "late")
	d.shutDown(t)
	d.expectRetained(t, "offline", "ready")
}
