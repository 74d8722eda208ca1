package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/simulator"
	"github.com/plate-resort/plate-resort/mqtt"
	"github.com/plate-resort/plate-resort/mqtt/broker"
)

// A lab is everything that there is, in virtual time: a servo on a line, a broker, a disk, a wall clock, somebody who
// commands and looks, and one device process after another.
type lab struct {
	t      *testing.T
	random *rand.Rand
	topics mqtt.Topics

	servo   *simulator.Servo
	plugged bool
	jump    atomic.Int64 // ns by which the wall clock is ahead
	disk    disk
	process *process // nil while there is none

	mu       sync.Mutex // for what the processes' goroutines and the observer's come to
	broker   *broker.Broker
	links    map[*link]bool // from the process to the broker
	observer paho.Client
	promises promises
	steps    []string
}

func newLab(t *testing.T, seed uint64) *lab {
	l := &lab{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), topics: mqtt.NewTopics("plate-resort", "lab"),
		servo: simulator.New(simulator.Config{}), plugged: true, links: make(map[*link]bool),
	}
	l.disk.boot = 1
	l.promises = newPromises(l)
	l.startBroker()
	return l
}

// did notes what was done, for whoever has to find out why a promise was broken.
func (l *lab) did(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(format, args...)
}

func (l *lab) note(format string, args ...any) {
	l.steps = append(l.steps, time.Now().Format("15:04:05.000000 ")+fmt.Sprintf(format, args...))
	if *soakSeed == 0 {
		l.steps = l.steps[max(0, len(l.steps)-4000):]
	}
}

// startBroker starts a broker that knows nothing, and the observer on it before anybody else.
func (l *lab) startBroker() {
	b, err := broker.New()
	if err != nil {
		l.t.Fatal(err)
	}
	options := paho.NewClientOptions().AddBroker("tcp://memory").SetClientID("observer").SetAutoReconnect(false).
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return newLink(b.Pipe()), nil })
	observer := paho.NewClient(options)
	if token := observer.Connect(); token.Wait() && token.Error() != nil {
		l.t.Fatal(token.Error())
	}
	if token := observer.Subscribe("plate-resort/lab/+", 1, l.published); token.Wait() && token.Error() != nil {
		l.t.Fatal(token.Error())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broker, l.observer = b, observer
	l.promises.brokerSince = time.Now()
}

// stopBroker ends the broker and all that it has kept.
func (l *lab) stopBroker() {
	l.mu.Lock()
	b, observer := l.broker, l.observer
	l.broker = nil
	l.mu.Unlock()
	observer.Disconnect(0)
	if err := b.Close(); err != nil {
		l.t.Fatal(err)
	}
	l.cut()
}

// cut ends the process's connections to the broker.
func (l *lab) cut() {
	l.mu.Lock()
	links := l.links
	l.links = make(map[*link]bool)
	l.promises.linkedSince = time.Now()
	l.mu.Unlock()
	for k := range links {
		k.Close()
	}
}

// publish returns when whatever could come of a message at once has come of it.
func (l *lab) publish(topic, payload string, retained bool) {
	token := l.observer.Publish(topic, 1, retained, payload)
	if token.Wait() && token.Error() != nil {
		l.t.Fatal(token.Error())
	}
	synctest.Wait()
}

func (l *lab) published(_ paho.Client, m paho.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.promises.published(strings.TrimPrefix(m.Topic(), "plate-resort/lab/"), m.Payload())
}

// A process is one life of the program.
type process struct {
	lab   *lab
	dead  atomic.Bool // it was killed: what it still does has no effect
	since time.Time
	end   context.CancelFunc
	ended chan struct{}

	mu   sync.Mutex
	taps []*tap // open ports
}

func (l *lab) run() {
	env, err := readEnvironment()
	if err != nil {
		l.t.Fatal(err)
	}
	env.DeviceID, env.LogLevel = "lab", "debug"
	env.RetryDelay, env.MQTTDiscoveryPrefix = "1s", ""
	s, err := env.settings()
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{lab: l, since: time.Now(), end: cancel, ended: make(chan struct{})}
	s.log = slog.NewTextHandler(lockedWriter{l}, &slog.HandlerOptions{Level: slog.LevelInfo})
	s.broker.Dial = p.dial
	mounted := &mount{disk: &l.disk, process: p}
	go func() {
		defer close(p.ended)
		err := serve(ctx, s, world{
			port:      func(*slog.Logger) openFunc { return p.open },
			store:     func(*slog.Logger) (store, error) { return mounted, nil },
			now:       l.now,
			simulated: true,
		})
		if err != nil {
			l.broken("the process ended with %v", err)
		}
	}()
	l.mu.Lock()
	l.process = p
	l.promises.linkedSince = time.Now()
	l.mu.Unlock()
}

func (l *lab) now() time.Time { return time.Now().Add(time.Duration(l.jump.Load())) }

// lockedWriter collects the log of the process.
type lockedWriter struct{ *lab }

func (w lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note("  %s", strings.TrimSpace(string(b)))
	return len(b), nil
}

// kill ends the process as kill -9 does: from now on it reaches neither servo nor disk nor broker.
func (l *lab) kill() {
	l.process.dead.Store(true)
	l.stop()
}

// stop ends the process as SIGTERM does.
func (l *lab) stop() {
	p := l.process
	if p.dead.Load() {
		l.cut()
	}
	p.end()
	<-p.ended
	synctest.Wait() // for its last words
	l.promises.gone()
	l.cut()
	l.process = nil
}

// open opens the serial port.
func (p *process) open(string, int) (motor.Port, error) {
	l := p.lab
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.dead.Load() || !l.plugged {
		return nil, errors.New("no such port")
	}
	host, line := simulator.Pipe()
	go func() { _ = l.servo.Serve(context.Background(), line) }() // until either end is closed
	t := &tap{Port: host, process: p, line: line}
	p.mu.Lock()
	p.taps = append(p.taps, t)
	p.mu.Unlock()
	return t, nil
}

// unplug takes the port away.
func (l *lab) unplug() {
	l.mu.Lock()
	l.plugged = false
	l.mu.Unlock()
	if p := l.process; p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, t := range p.taps {
			t.line.Close()
		}
		p.taps = nil
	}
}

// dial connects to the broker.
func (p *process) dial(*url.URL) (net.Conn, error) {
	l := p.lab
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.dead.Load() || l.broker == nil {
		return nil, errors.New("connection refused")
	}
	k := newLink(l.broker.Pipe())
	l.links[k] = true
	return k, nil
}

// A link is a connection to the broker, with the buffers that a network has. Frozen, it takes everything and passes on
// nothing, until it is closed.
type link struct {
	net.Conn
	arrived chan struct{}

	mu     sync.Mutex
	frozen bool
	buffer []byte
	err    error
}

func newLink(conn net.Conn) *link {
	k := &link{Conn: conn, arrived: make(chan struct{}, 1)}
	go k.receive()
	return k
}

func (k *link) receive() {
	var b [4096]byte
	for {
		n, err := k.Conn.Read(b[:])
		k.mu.Lock()
		if !k.frozen {
			k.buffer = append(k.buffer, b[:n]...)
		}
		k.err = err
		k.mu.Unlock()
		select {
		case k.arrived <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (k *link) Read(b []byte) (int, error) {
	for {
		k.mu.Lock()
		n := copy(b, k.buffer)
		k.buffer = k.buffer[n:]
		err := k.err
		k.mu.Unlock()
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		<-k.arrived
	}
}

func (k *link) Write(b []byte) (int, error) {
	k.mu.Lock()
	frozen := k.frozen
	k.mu.Unlock()
	if frozen {
		return len(b), nil
	}
	return k.Conn.Write(b)
}

func (k *link) freeze() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.frozen = true
}

// A disk keeps what the processes save, and can be slow or fail.
type disk struct {
	device.Memory
	schedules

	mu     sync.Mutex
	slow   time.Duration // of each save
	full   bool
	healed time.Time // when it was last slow or full
	boot   int       // of the machine
	saved  time.Time
	marked int // the boot on which the last save has succeeded, in time
}

// A mount is the disk as one process has it.
type mount struct {
	*disk
	process *process
}

func (m *mount) Close() error { return nil }

func (m *mount) Save(c device.Change) error {
	if err := m.take(&c); err != nil {
		return err
	}
	return m.Memory.Save(c)
}

func (m *mount) SaveSchedules(s map[string]json.RawMessage) error {
	if err := m.take(nil); err != nil {
		return err
	}
	return m.schedules.SaveSchedules(s)
}

// take takes the time that a save takes.
func (m *mount) take(c *device.Change) error {
	m.mu.Lock()
	slow := m.slow
	m.mu.Unlock()
	late := time.AfterFunc(2*time.Second, func() { // as Saved.Away wants it
		m.mu.Lock()
		m.marked = 0
		m.mu.Unlock()
	})
	time.Sleep(slow)
	late.Stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.process.dead.Load():
		return errors.New("killed")
	case m.full:
		m.marked = 0
		return errors.New("no space left on device")
	}
	if c != nil {
		m.marked = m.boot
		if !c.Resuming {
			m.saved = time.Now()
		}
	}
	return nil
}

// Load returns what was written, read again as from a file.
func (m *mount) Load() (device.Saved, error) {
	saved, err := m.Memory.Load()
	if err != nil {
		return saved, err
	}
	written, err := json.Marshal(saved.Records)
	if err != nil {
		return saved, err
	}
	var records []device.Record
	if err := json.Unmarshal(written, &records); err != nil {
		return saved, err
	}
	for i := range records {
		records[i].Slot = saved.Records[i].Slot
	}
	saved.Records = records
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.marked == m.boot {
		saved.Away = new(time.Since(m.saved))
	}
	return saved, nil
}
