//go:build e2e

package cmd_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
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
	topics := []string{d.topic("angle/set"), d.topic("hotel/set"), d.topic("shelf/set")}
	junk := startFlood(t, d.broker.url(), 2000, func(n int) (topic, payload string) { return topics[n%len(topics)], "junk" })
	junk.await(t, enough)
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

// 5,000 messages a second come: commands that are taken, commands that came before, ids of other commands, what cannot be
// obeyed, and junk. The program does not grow, a stop passes all that waits in front of the device, and the first
// command after the flood is carried out.
func TestFloodOfEverything(t *testing.T) {
	program := buildPlain(t) // alone on the machine: the rate matters
	b := newBroker(t)
	b.observed, b.observers = false, nil // most of it is not in the document
	d := prepareDevice(t, b, slow, sparing)
	d.startServo(t)
	d.program = start(t, "run", d.settings, program, "run")
	d.watch.status(t, "ready")
	d.watch.availability(t, "online")
	b.awaitConnections(t)
	before, most := d.program.watchMemory(t)

	const second = 5000
	everything := startFlood(t, b.url(), second, func(n int) (topic, payload string) {
		switch n % 10 {
		case 0, 2, 4, 6:
			return d.topic("home/set"), fmt.Sprintf(`{"expires_at": "2001-01-01T00:00:00Z", "id": "flood-%d"}`, n)
		case 1, 3:
			return d.topic("home/set"), `{"expires_at": "2001-01-01T00:00:00Z", "id": "flood-0"}`
		case 5:
			return d.topic("hotel/set"), `{"hotel": "C", "expires_at": "2001-01-01T00:00:00Z", "id": "flood-0"}`
		case 7:
			return d.topic("cancel/set"), "nobody"
		default:
			return d.topic("shelf/set"), strings.Repeat("junk", 50)
		}
	})
	everything.await(t, 6*second)
	for n := range 3 {
		// The device is held, so that a second of the flood waits in front of it, and the stop behind that.
		if err := d.program.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		held := everything.messages()
		from, _ := d.program.transcript()
		everything.await(t, held+second)
		d.send(t, "stop", fmt.Sprintf(`{"id": "stop-%d"}`, n))
		if err := d.program.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		pressed := d.program.await(t, "emergency stop", len(from), func(line string) bool { return strings.Contains(line, `msg="emergency stop"`) })
		d.program.await(t, "end of the stop", pressed, func(line string) bool {
			return containsAll(line, []string{"operation ended", fmt.Sprintf("id=stop-%d ", n)})
		})
		lines, _ := d.program.transcript()
		passed := 0
		for _, line := range lines[len(from):pressed] {
			passed = max(passed, floodID(line)-held)
		}
		if passed > second/2 {
			t.Errorf("%d messages that came before the stop were handled before it, of %d", passed, second)
		} else {
			t.Logf("%d messages that came before the stop were handled before it, of %d", passed, second)
		}
		d.sendUntilEnded(t, "reset", fmt.Sprintf("reset-%d", n))
	}
	t.Logf("the flood had %.0f messages a second", everything.end())
	d.sendUntilEnded(t, "home", "after")
	if grown := most() - before; grown > growth {
		t.Errorf("the program has grown by %d kB, from %d kB", grown>>10, before>>10)
	} else {
		t.Logf("the program had %d kB, and %d kB more at the most", before>>10, grown>>10)
	}
}

// sendUntilEnded sends a command again and again until it has been carried out: to a device that is behind, Mosquitto keeps
// 1,000 messages, and drops more. It is one command, as it has one id.
func (d *device) sendUntilEnded(t *testing.T, name, id string) {
	t.Helper()
	pace, timeout := time.NewTicker(time.Second), time.After(patience)
	defer pace.Stop()
	for d.program.count("operation ended", "id="+id+" ", "state=completed") == 0 {
		d.send(t, name, `{"id": "`+id+`"}`)
		select {
		case <-pace.C:
		case <-timeout:
			t.Fatalf("%s is not carried out within %v", id, patience)
		}
	}
}

var floodEnd = regexp.MustCompile(`msg="operation ended".* id=flood-(\d+) `)

// floodID returns the number of the message of the flood whose end a line of the log tells, or -1.
func floodID(line string) int {
	if found := floodEnd.FindStringSubmatch(line); found != nil {
		n, _ := strconv.Atoi(found[1]) // digits
		return n
	}
	return -1
}

// A flood is many messages a second.
type flood struct {
	began time.Time
	sent  atomic.Int64
	stop  chan struct{}
	done  chan struct{}
}

// startFlood publishes until end, or for five minutes if nothing ends it.
func startFlood(t *testing.T, broker string, rate int, message func(n int) (topic, payload string)) *flood {
	t.Helper()
	client := paho.NewClient(paho.NewClientOptions().AddBroker(broker).SetClientID("flood"))
	if token := client.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("the flood cannot connect: %v", token.Error())
	}
	f := &flood{began: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	t.Cleanup(func() { f.end() })
	go func() {
		defer close(f.done)
		defer client.Disconnect(0)
		const tick = 5 * time.Millisecond
		pace := time.NewTicker(tick)
		defer pace.Stop()
		for time.Since(f.began) < 5*time.Minute {
			// What a late tick has left out is sent now.
			for due := int(time.Since(f.began).Seconds() * float64(rate)); f.messages() < due; f.sent.Add(1) {
				topic, payload := message(f.messages())
				client.Publish(topic, 0, false, payload)
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

// messages is how many have been sent.
func (f *flood) messages() int { return int(f.sent.Load()) }

// await returns when so many messages have been sent.
func (f *flood) await(t *testing.T, n int) {
	t.Helper()
	pace, timeout := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer pace.Stop()
	for f.messages() < n {
		select {
		case <-pace.C:
		case <-timeout:
			t.Fatalf("the flood has not had %d messages within %v", n, patience)
		}
	}
}

// end ends the flood and returns how many messages it has sent a second.
func (f *flood) end() float64 {
	if !isClosed(f.stop) {
		close(f.stop)
	}
	<-f.done
	return float64(f.messages()) / time.Since(f.began).Seconds()
}
