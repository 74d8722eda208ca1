//go:build e2e

package cmd_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

const (
	// recovery is how soon all that is retained is current when the network or the broker is well again.
	recovery = 5 * time.Second
	// growth is by how many bytes the program may be larger in a fault than before: the 1,000 events and the 1,000 ids that it
	// keeps at the most are 3 MB, and the rest is room for what the runtime keeps.
	growth = 10 << 20
	// sparing has the program keep little garbage, so that its size tells what it holds on to.
	sparing = "GOGC=10"
)

// A site is a device with the proxy between it and its broker, and somebody who goes on sending commands.
type site struct {
	*device
	proxy  *proxy
	feeder *feeder
	log    int // the line of the program's log at which the fault has begun
}

// lost waits until the program has noticed that both connections are lost.
func lost(t *testing.T, s *site) {
	t.Helper()
	for _, connection := range []string{"stop", "commands"} {
		s.says(t, "no connection to the broker", "connection="+connection)
	}
}

// says waits for a line of the program's log since the fault has begun.
func (s *site) says(t *testing.T, texts ...string) {
	t.Helper()
	s.program.await(t, "line with "+strings.Join(texts, " and "), s.log, func(line string) bool { return containsAll(line, texts) })
}

// stops sends a stop, and waits until torque is off.
func stops(t *testing.T, s *site) {
	t.Helper()
	s.send(t, "stop", `{"id": "stop"}`)
	s.says(t, "operation ended", "id=stop ")
}

// hears waits for the end of so many of the feeder's commands more.
func (s *site) hears(t *testing.T, n int) {
	t.Helper()
	from, _ := s.program.transcript()
	next := len(from)
	for range n {
		next = 1 + s.program.await(t, "end of a command", next, func(line string) bool { return containsAll(line, []string{"operation ended", "id=fed-"}) })
	}
}

// move is a move that goes on also if the machine has left the servo no time to answer.
func move(angle int, id string) string {
	return fmt.Sprintf(`{"angle": %d, "retries": 10, "retry_delay_seconds": 0.5, "id": "%s"}`, angle, id)
}

// newSite starts a device with a move under way, another one that waits, and so many commands a second and a
// schedule, which change its state all the time.
func newSite(t *testing.T, program string, rate int, settings ...string) *site {
	t.Helper()
	b := newBroker(t)
	b.observed, b.observers = false, nil // no message of the feeder is to be held against the document
	p := newProxy(t, b)
	d := prepareDevice(t, b, append(settings, sparing, "PLATE_RESORT_SPEED=25", "PLATE_RESORT_MQTT_BROKER="+p.url())...)
	d.servo = start(t, "simulate", nil, "nice", "-n", "-20", program, "simulate", "--link", d.terminal)
	d.servo.awaitText(t, "is on "+d.terminal)
	d.program = start(t, "run", d.settings, program, "run")
	d.rewatch(t, "health", "queue", "history", "schedules")
	d.watch.availability(t, "online")
	d.watch.status(t, "ready")
	b.awaitConnections(t)
	d.do(t, "schedules/beat", `{"every_seconds": 1, "operation": "refresh", "id": "beat"}`, "beat")
	s := &site{device: d, proxy: p, feeder: feed(t, d)}
	s.hears(t, 100)
	lines, _ := s.program.transcript()
	s.log = len(lines)
	d.broker.publishLines(t, d.topic("angle/set"), []string{move(60, "under-way"), move(90, "waits")})
	d.watch.operation(t, "waits", "queued")
	d.watch.operation(t, "under-way", "running")
	s.feeder.pace.Reset(time.Second / time.Duration(rate)) // not before: events of so many may be given up, those of the moves too
	return s
}

// signal sends a signal to the broker, which goes on at the latest when the test ends.
func (b *broker) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := b.process.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.process.cmd.Process.Signal(syscall.SIGCONT) })
}

// A feeder sends commands with ids of their own: all of them are valid, and come too late to move anything.
type feeder struct {
	pace       *time.Ticker
	stop, done chan struct{}
}

// feed sends 50 a second, until it is given another pace.
func feed(t *testing.T, d *device) *feeder {
	t.Helper()
	client := paho.NewClient(paho.NewClientOptions().AddBroker(d.broker.url()).SetClientID("feeder").
		SetCleanSession(true).SetMaxReconnectInterval(time.Second))
	if token := client.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("the feeder cannot connect: %v", token.Error())
	}
	f := &feeder{pace: time.NewTicker(time.Second / 50), stop: make(chan struct{}), done: make(chan struct{})}
	t.Cleanup(f.end)
	go func() {
		defer close(f.done)
		defer client.Disconnect(0)
		defer f.pace.Stop()
		for i := 0; ; i++ {
			client.Publish(d.topic("home/set"), 0, false, fmt.Sprintf(`{"expires_at": "2001-01-01T00:00:00Z", "id": "fed-%d"}`, i))
			select {
			case <-f.pace.C:
			case <-f.stop:
				return
			}
		}
	}()
	return f
}

// end ends the feeder.
func (f *feeder) end() {
	if !isClosed(f.stop) {
		close(f.stop)
	}
	<-f.done
}

// watchMemory returns how many bytes a program has resident, and what it had at the most when that is asked for.
func (p *process) watchMemory(t *testing.T) (now int64, most func() int64) {
	t.Helper()
	resident := func() int64 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		found := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(text)
		if err != nil || found == nil {
			return 0
		}
		kB, _ := strconv.ParseInt(string(found[1]), 10, 64) // digits
		return kB << 10
	}
	now = resident()
	if now == 0 {
		t.Fatalf("%s has no memory", p.name)
	}
	var largest atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		pace := time.NewTicker(50 * time.Millisecond)
		defer pace.Stop()
		for {
			largest.Store(max(largest.Load(), resident()))
			select {
			case <-pace.C:
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
	})
	return now, largest.Load
}

// expectCurrent checks that all that is retained is of a time after the recovery, soon after it. The time is counted in
// the ticks that this process gets, which are fewer on a machine that has no time for the device either.
func (s *site) expectCurrent(t *testing.T, recovered time.Time) (took time.Duration) {
	t.Helper()
	const tick = 50 * time.Millisecond
	pace := time.NewTicker(tick)
	defer pace.Stop()
	for ticks := time.Duration(0); ; ticks++ {
		stale := s.stale(recovered)
		switch {
		case stale == "":
			return time.Since(recovered)
		case ticks*tick > recovery:
			t.Fatalf("%v after the recovery this is not current: %s", time.Since(recovered), stale)
		}
		<-pace.C
	}
}

// stale returns what is not of a time after the recovery.
func (s *site) stale(recovered time.Time) string {
	latest := make(map[string]string)
	lines, _ := s.watch.process.transcript()
	for _, line := range slices.Backward(lines) {
		m, ok := parseMessage(line)
		if leaf := strings.TrimPrefix(m.topic, "plate-resort/lab/"); ok && latest[leaf] == "" && leaf != "operation" {
			if latest[leaf] = m.payload; len(latest) == 6 {
				break
			}
		}
	}
	if latest["availability"] != "online" {
		return "availability " + latest["availability"]
	}
	if latest["queue"] != "[]" {
		return "queue " + latest["queue"]
	}
	var state struct {
		UpdatedAt time.Time `json:"updated_at"`
	}
	if json.Unmarshal([]byte(latest["state"]), &state) != nil || state.UpdatedAt.Before(recovered) {
		return "state " + latest["state"]
	}
	var health struct {
		Angle float64 `json:"angle"`
	}
	if json.Unmarshal([]byte(latest["health"]), &health) != nil || math.Abs(health.Angle-90) > 1 {
		return "health " + latest["health"]
	}
	var history []struct {
		FinishedAt time.Time `json:"finished_at"`
	}
	if json.Unmarshal([]byte(latest["history"]), &history) != nil || len(history) == 0 || history[0].FinishedAt.Before(recovered) {
		return "history " + latest["history"]
	}
	var schedules map[string]*schedule
	if json.Unmarshal([]byte(latest["schedules"]), &schedules) != nil || schedules["beat"] == nil ||
		schedules["beat"].LastRun == nil || schedules["beat"].LastRun.Before(recovered) {
		return "schedules " + latest["schedules"]
	}
	return ""
}

// expectNothingTwice checks that no command with an id has been carried out twice.
func (s *site) expectNothingTwice(t *testing.T) {
	t.Helper()
	ended := regexp.MustCompile(`msg="operation ended".* id=(\S+) `)
	ends := make(map[string]int)
	lines, _ := s.program.transcript()
	for _, line := range lines {
		if found := ended.FindStringSubmatch(line); found != nil {
			if ends[found[1]]++; ends[found[1]] == 2 {
				t.Errorf("%s has ended twice", found[1])
			}
		}
	}
	if len(ends) < 50 {
		t.Errorf("only %d commands have ended", len(ends))
	}
}
