//go:build e2e

package cmd_test

import (
	"fmt"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// A stop passes a running move, a full queue, and 2,000 messages a second that mean nothing.
func TestStopPassesAFlood(t *testing.T) {
	d := newDevice(t, slow) // alone on the machine: the rate matters
	const queueSize = 100
	lines := make([]string, queueSize+2)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"hotel": "B", "id": "move %d"}`, i)
	}
	d.broker.publishLines(t, d.topic("hotel/set"), lines)
	if op := d.watch.operation(t, fmt.Sprintf("move %d", queueSize+1), "rejected"); op.Error.Code != "queue_full" {
		t.Errorf("one move too many was rejected with %+v, want queue_full", op.Error)
	}
	d.watch.state(t, "a full queue", func(s state) bool { return s.QueueLength == queueSize })

	const enough = 6000 // to be in the middle of it
	junk := startFlood(t, d.broker.url(), enough, d.topic("angle/set"), d.topic("hotel/set"), d.topic("shelf/set"))
	junk.awaitEnough(t)
	d.program.awaitText(t, "not all are answered")
	pressed := time.Now()
	d.send(t, "stop", `{"id": "stop"}`)
	d.watch.operation(t, "stop", "completed")
	t.Logf("the stop was completed within %v", time.Since(pressed))
	d.watch.state(t, "emergency stop", func(s state) bool {
		return s.Status == "e_stop" && !s.Torque && s.QueueLength == 0 && s.Operation == nil
	})
	t.Logf("the flood had %.0f messages a second", junk.end())

	for i := range queueSize + 1 {
		if op := d.watch.operation(t, fmt.Sprintf("move %d", i), "cancelled"); op.Error.Code != "emergency_stopped" {
			t.Errorf("%s ended with %+v, want emergency_stopped", op.ID, op.Error)
		}
	}
	d.do(t, "reset", `{"id": "reset"}`, "reset")
	d.watch.status(t, "ready")
}

// A flood is 2,000 messages a second that cannot be obeyed.
type flood struct {
	sent   int
	began  time.Time
	enough chan struct{} // closed when it has lasted
	stop   chan struct{}
	done   chan struct{}
}

// startFlood publishes until end, or for a minute if nothing ends it.
func startFlood(t *testing.T, broker string, enough int, topics ...string) *flood {
	t.Helper()
	client := paho.NewClient(paho.NewClientOptions().AddBroker(broker).SetClientID("flood"))
	if token := client.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("the flood cannot connect: %v", token.Error())
	}
	f := &flood{began: time.Now(), enough: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
	t.Cleanup(func() { f.end() })
	go func() {
		defer close(f.done)
		defer client.Disconnect(0)
		const tick = 5 * time.Millisecond
		pace := time.NewTicker(tick)
		defer pace.Stop()
		for time.Since(f.began) < time.Minute {
			// What a late tick has left out is sent now.
			for due := int(time.Since(f.began).Seconds() * 2000); f.sent < due; f.sent++ {
				if f.sent == enough {
					close(f.enough)
				}
				client.Publish(topics[f.sent%len(topics)], 0, false, "junk")
			}
			select {
			case <-pace.C:
			case <-f.stop:
				return
			}
		}
	}()
	return f
}

func (f *flood) awaitEnough(t *testing.T) {
	t.Helper()
	select {
	case <-f.enough:
	case <-time.After(patience):
		t.Fatalf("the flood has not come to its height within %v", patience)
	}
}

// end ends the flood and returns how many messages it has sent a second.
func (f *flood) end() float64 {
	select {
	case <-f.stop:
	default:
		close(f.stop)
	}
	<-f.done
	return float64(f.sent) / time.Since(f.began).Seconds()
}
