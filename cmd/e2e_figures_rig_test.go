//go:build e2e && figures

package cmd_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// A rig is the built program between a Mosquitto and a simulated servo whose line the test listens to, and a client of
// that broker.
type rig struct {
	t        *testing.T // that it ends with
	broker   *broker
	line     *line
	servo    *simulator.Servo
	program  *process
	settings []string
	path     string // of the program
	base     string // of the device's topics

	sender, listener paho.Client
	moves            int            // that it was sent
	raw              chan time.Time // when a message to the topic raw has come
	events           chan event     // of the device's operations
	states           chan state     // while the test waits for one
	available        chan time.Time // when it was online
	completed        atomic.Int64   // operations
}

type event struct {
	operation
	at time.Time
}

// newRig starts all of it, and returns when the device is ready. A broker that is not tuned has Nagle's algorithm on,
// which is what Mosquitto begins with.
func newRig(t *testing.T, program string, tuned bool, settings ...string) *rig {
	t.Helper()
	r := &rig{
		t: t, broker: newTunedBroker(t, tuned), path: program, base: "plate-resort/lab/",
		raw: make(chan time.Time, 1), events: make(chan event, 1<<16), available: make(chan time.Time, 16), states: make(chan state, 1000),
	}
	r.line, r.servo = newLine(t)
	r.settings = append([]string{
		"PLATE_RESORT_DEVICE_ID=lab",
		"PLATE_RESORT_STATE_DIR=" + t.TempDir(),
		"PLATE_RESORT_MQTT_BROKER=" + r.broker.url(),
		"PLATE_RESORT_MOTOR_PORT=" + r.line.Path(),
	}, settings...)
	r.connect(t)
	r.subscribe(t, r.base+"state", func(_ time.Time, payload []byte) {
		var s state
		if json.Unmarshal(payload, &s) == nil {
			select {
			case r.states <- s:
			default:
			}
		}
	})
	r.subscribe(t, r.base+"availability", func(at time.Time, payload []byte) {
		if string(payload) == "online" {
			r.available <- at
		}
	})
	r.run(t)
	return r
}

// connect connects the client.
func (r *rig) connect(t *testing.T) {
	t.Helper()
	r.sender, r.listener = r.broker.connect(t), r.broker.connect(t)
	r.subscribe(t, "raw", func(at time.Time, _ []byte) { r.raw <- at })
	r.subscribe(t, r.base+"operation", func(at time.Time, payload []byte) {
		var op operation
		if json.Unmarshal(payload, &op) != nil {
			return
		}
		if op.State == "completed" {
			r.completed.Add(1)
		}
		r.events <- event{op, at}
	})
}

// run starts the program, and returns when it is there and has turned the torque on, with both times.
func (r *rig) run(t *testing.T) (online, torque time.Duration) {
	t.Helper()
	for len(r.available)+len(r.states) > 0 {
		select {
		case <-r.available:
		case <-r.states:
		}
	}
	began := r.line.forget(r.line.torqueOn)
	r.program = start(r.t, "run", r.settings, r.path, "run")
	torque = r.line.await(t, r.line.torqueOn, "torque on").Sub(began)
	select {
	case at := <-r.available:
		online = at.Sub(began)
	case <-time.After(patience):
		t.Fatal("the device is not online")
	}
	for {
		select {
		case s := <-r.states:
			if s.Status == "ready" {
				return online, torque
			}
		case <-time.After(patience):
			t.Fatal("the device is not ready")
		}
	}
}

func newTunedBroker(t *testing.T, tuned bool) *broker {
	t.Helper()
	b := &broker{port: freePort(t), config: filepath.Join(t.TempDir(), "mosquitto.conf")}
	conf := readFile(t, developmentConf)
	for _, change := range [][2]string{
		{standardListen, "listener " + b.port + " 127.0.0.1"},
		{"set_tcp_nodelay true", fmt.Sprint("set_tcp_nodelay ", tuned)},
	} {
		if strings.Count(conf, change[0]) != 1 {
			t.Fatalf("%s must have %q once", developmentConf, change[0])
		}
		conf = strings.Replace(conf, change[0], change[1], 1)
	}
	if err := os.WriteFile(b.config, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	return b
}

func (b *broker) connect(t *testing.T) paho.Client {
	t.Helper()
	client := paho.NewClient(paho.NewClientOptions().AddBroker(b.url()))
	if token := client.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("cannot connect: %v", token.Error())
	}
	t.Cleanup(func() { client.Disconnect(0) })
	return client
}

func (r *rig) subscribe(t *testing.T, topic string, handle func(at time.Time, payload []byte)) {
	t.Helper()
	token := r.listener.Subscribe(topic, 1, func(_ paho.Client, m paho.Message) { handle(time.Now(), m.Payload()) })
	if !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("cannot subscribe to %s: %v", topic, token.Error())
	}
}

func (r *rig) send(name, payload string) {
	r.sender.Publish(r.base+name+"/set", 1, false, payload)
}

// hop is how long a message takes to a callback, through the broker.
func (r *rig) hop(t *testing.T, payload string) time.Duration {
	t.Helper()
	sent := time.Now()
	r.sender.Publish("raw", 1, false, payload)
	select {
	case at := <-r.raw:
		return at.Sub(sent)
	case <-time.After(patience):
		t.Fatal("a message to nobody but the test has not come")
		return 0
	}
}

// awaitEvent returns the next event that fits.
func (r *rig) awaitEvent(t *testing.T, what string, fits func(event) bool) event {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e := <-r.events:
			if fits(e) {
				return e
			}
		case <-timeout:
			t.Fatalf("no %s", what)
		}
	}
}

// awaitEnd returns the last event of an operation, which must have been carried out.
func (r *rig) awaitEnd(t *testing.T, id string) event {
	t.Helper()
	e := r.awaitEvent(t, "end of "+id, func(e event) bool { return e.ID == id && e.ended() })
	if e.State != "completed" {
		t.Fatalf("%s: %+v", id, e)
	}
	return e
}

func (e event) ended() bool { return e.State != "queued" && e.State != "running" }

// pause lasts up to 50 ms: what is measured is not to be in step with anything.
func pause() { <-time.After(time.Duration(rand.Int64N(int64(50 * time.Millisecond)))) }

// A line is the servo's end of a pseudo-terminal. It tells when what matters arrives.
type line struct {
	*simulator.PTY
	parser dynamixel.Parser

	goal, torqueOn, torqueOff chan time.Time // the first time since it was forgotten
	packets, bytes            atomic.Int64   // packets of the host; bytes of both
}

func newLine(t *testing.T) (*line, *simulator.Servo) {
	t.Helper()
	pty, err := simulator.OpenPTY("")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{PTY: pty, goal: make(chan time.Time, 1), torqueOn: make(chan time.Time, 1), torqueOff: make(chan time.Time, 1)}
	servo := simulator.New(simulator.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- servo.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l, servo
}

// Read notes the time at which the host's bytes have come. The program writes a packet in one go.
func (l *line) Read(b []byte) (int, error) {
	n, err := l.PTY.Read(b)
	now := time.Now()
	l.bytes.Add(int64(n))
	l.parser.Feed(b[:n])
	for p, ok := l.parser.Next(); ok; p, ok = l.parser.Next() {
		l.packets.Add(1)
		if p.Instruction != dynamixel.Write || len(p.Params) < 3 {
			continue
		}
		switch binary.LittleEndian.Uint16(p.Params) {
		case dynamixel.GoalPosition.Address:
			note(l.goal, now)
		case dynamixel.TorqueEnable.Address:
			if p.Params[2] == 0 {
				note(l.torqueOff, now)
			} else {
				note(l.torqueOn, now)
			}
		}
	}
	return n, err
}

func (l *line) Write(b []byte) (int, error) {
	l.bytes.Add(int64(len(b)))
	return l.PTY.Write(b)
}

func note(c chan time.Time, at time.Time) {
	select {
	case c <- at:
	default: // nobody has asked for the last one
	}
}

// forget forgets what has been seen until now, which it returns.
func (l *line) forget(c chan time.Time) time.Time {
	select {
	case <-c:
	default:
	}
	return time.Now()
}

func (l *line) await(t *testing.T, c chan time.Time, what string) time.Time {
	t.Helper()
	select {
	case at := <-c:
		return at
	case <-time.After(patience):
		t.Fatalf("no %s on the line", what)
		return time.Time{}
	}
}
