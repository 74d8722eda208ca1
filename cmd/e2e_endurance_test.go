//go:build e2e

package cmd_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

var endurance = flag.Duration("endurance", 12*time.Second, "how long the load of TestEndurance lasts")

// Whatever people do with it, and whatever is pulled out and plugged in again, the program holds no more goroutines,
// open files, memory and disk than before.
func TestEndurance(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.observed, b.observers = false, nil // half an hour is too much to look at in the end, and a kill takes what was on its way
	d := prepareDevice(t, b, brisk, "PLATE_RESORT_PRECISE=false", "PLATE_RESORT_RETRY_DELAY=500ms", "PLATE_RESORT_HEALTH_INTERVAL=5s", "GODEBUG=gctrace=1")
	d.startServo(t)
	d.run(t)
	d.watch.status(t, "ready")
	d.watch.availability(t, "online")
	goroutines := d.program.goroutines(t)
	d.run(t)
	d.watch.availability(t, "offline")
	d.watch.availability(t, "online")
	d.watch.status(t, "unknown")
	d.watch.status(t, "ready")
	d.do(t, "home", `{"id": "first"}`, "first")
	files := d.program.files(t)

	l := newLoad(t, d)
	began := time.Now()
	third := *endurance / 3
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	var resident, stored [3]int // the most in each third
	for pulled := began; time.Since(began) < *endurance || l.pulls < 4; {
		l.command()
		if time.Since(pulled) > min(20*time.Second, *endurance/5) {
			l.pull(t)
			pulled = time.Now()
		}
		n := min(int(time.Since(began)/third), 2)
		resident[n] = max(resident[n], d.program.resident(t))
		stored[n] = max(stored[n], d.stored(t))
		<-pace.C
	}
	live := d.program.live(*endurance) // before it has nothing to do
	l.end(t)

	deadline := time.After(patience)
	for left := d.program.files(t); left > files; left = d.program.files(t) {
		select {
		case <-deadline:
			t.Fatalf("it has %d files open, and had %d", left, files)
		case <-time.After(100 * time.Millisecond):
		}
	}
	after := d.program.goroutines(t)
	t.Logf("%v: %d commands, %d operations ended, %d times something was pulled out", *endurance, l.sent, l.ended.Load(), l.pulls)
	t.Logf("%d goroutines, before %d; %d files open, as before", after, goroutines, files)
	t.Logf("at most, in each third of the time: %d MB live, %d kB resident, %d bytes stored", live, resident, stored)
	if after > goroutines+1 { // one may be on its way
		t.Errorf("it has %d goroutines, and one that has just begun has %d:\n%s", after, goroutines, d.program.output())
	}
	switch most := max(live[0], live[1]) + 1; { // MB are what it is counted in
	case live[2] < 0 && *endurance > time.Minute:
		t.Error("there was no garbage collection in the last third of the time")
	case live[0] >= 0 && live[1] >= 0 && live[2] > most:
		t.Errorf("%d MB are live in the last third of the time, and before that no more than %d", live[2], most)
	}
	if most := max(resident[0], resident[1]); resident[2] > most+most/5 {
		t.Errorf("%d kB are resident in the last third of the time, and before that %d", resident[2], most)
	}
	if most := max(stored[0], stored[1]); *endurance > 10*time.Minute && stored[2] > most { // until then it is filled
		t.Errorf("%d bytes are stored in the last third of the time, and before that %d", stored[2], most)
	}
	if l.ended.Load() < int64(endurance.Seconds()) {
		t.Errorf("no more than %d operations have ended", l.ended.Load())
	}
}

// A load is what a lab does to a device, in a hurry.
type load struct {
	device *device
	random *rand.Rand
	client paho.Client
	sent   int
	ended  atomic.Int64
	pulls  int
}

func newLoad(t *testing.T, d *device) *load {
	t.Helper()
	l := &load{device: d, random: rand.New(rand.NewPCG(1, 0))}
	options := paho.NewClientOptions().AddBroker(d.broker.url()).SetClientID("load").SetMaxReconnectInterval(time.Second)
	options.SetOnConnectHandler(func(c paho.Client) {
		c.Subscribe(d.topic("operation"), 0, func(_ paho.Client, m paho.Message) {
			var op operation
			if json.Unmarshal(m.Payload(), &op) == nil && op.State != "queued" && op.State != "running" && op.State != "rejected" {
				l.ended.Add(1)
			}
		})
	})
	l.client = paho.NewClient(options)
	if token := l.client.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("the load cannot connect: %v", token.Error())
	}
	t.Cleanup(func() { l.client.Disconnect(0) })
	return l
}

// command sends one, or two.
func (l *load) command() {
	l.sent++
	send := func(name, payload string) { l.client.Publish(l.device.topic(name+"/set"), 0, false, payload) }
	switch n := l.random.IntN(50); {
	case n < 20:
		send("angle", fmt.Sprintf(`{"id": "move-%d", "angle": %d}`, l.sent, l.random.IntN(30)))
	case n < 25:
		send("hotel", string(rune('A'+l.random.IntN(6)))) // of four
	case n < 28:
		send("angle", fmt.Sprintf(`{"id": "move-%d", "angle": 10}`, l.sent-l.random.IntN(100))) // again
	case n < 34:
		send("refresh", "PRESS")
	case n < 38:
		send("speed", strconv.Itoa(150+l.random.IntN(80)))
	case n < 41:
		send("cancel", "all")
	case n < 43:
		send("home", strings.Repeat("junk", l.random.IntN(1000)))
	case n < 46:
		send(fmt.Sprintf("schedule/run-%d", l.random.IntN(20)), `{"every_seconds": 1, "operation": "refresh"}`)
	case n < 48:
		send(fmt.Sprintf("schedule/run-%d", l.random.IntN(20)), `{"delete": true}`)
	default:
		send("stop", "PRESS")
		send("reset", "PRESS")
	}
}

// pull pulls something out, and plugs it in again.
func (l *load) pull(t *testing.T) {
	t.Helper()
	d := l.device
	if l.pulls++; l.pulls%2 == 0 {
		d.broker.process.kill(t)
		d.broker.start(t)
		d.rewatch(t)
		d.watch.availability(t, "online")
	} else {
		d.servo.kill(t)
		d.watch.state(t, "the loss of the motor", func(s state) bool { return s.Connection != "connected" })
		d.startServo(t)
	}
	d.watch.state(t, "the motor connected", func(s state) bool { return s.Connection == "connected" })
}

// end waits until nothing is left to do.
func (l *load) end(t *testing.T) {
	t.Helper()
	d := l.device
	for n := range 20 {
		d.send(t, fmt.Sprintf("schedule/run-%d", n), `{"delete": true}`)
	}
	d.send(t, "reset", "PRESS")
	d.send(t, "cancel", "all")
	d.do(t, "home", `{"id": "last"}`, "last")
}

// goroutines ends the process and returns how many goroutines it had.
func (p *process) goroutines(t *testing.T) (n int) {
	t.Helper()
	if !p.end(syscall.SIGQUIT) {
		t.Fatalf("%s does not end", p.name)
	}
	lines, _ := p.transcript()
	for _, line := range lines {
		if strings.HasPrefix(line, "goroutine ") {
			n++
		}
	}
	return n
}

// files returns how many files the process has open.
func (p *process) files(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// resident returns how much memory the process has, in kB.
func (p *process) resident(t *testing.T) (kB int) {
	t.Helper()
	status := readFile(t, fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	_, rest, _ := strings.Cut(status, "VmRSS:")
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		t.Fatal(err)
	}
	return kB
}

var collection = regexp.MustCompile(`^gc \d+ @([\d.]+)s .* \d+->\d+->(\d+) MB`)

// live returns how much memory was in use after a garbage collection at most, in each third of the last so much time, in MB.
func (p *process) live(last time.Duration) (most [3]int) {
	lines, _ := p.transcript()
	type sample struct {
		at float64 // seconds
		MB int
	}
	var samples []sample
	for _, line := range lines {
		if m := collection.FindStringSubmatch(line); m != nil {
			var s sample
			s.at, _ = strconv.ParseFloat(m[1], 64)
			s.MB, _ = strconv.Atoi(m[2])
			samples = append(samples, s)
		}
	}
	most = [3]int{-1, -1, -1} // there was none
	for _, s := range samples {
		n := 2 - int((samples[len(samples)-1].at-s.at)/last.Seconds()*3)
		if n >= 0 {
			most[n] = max(most[n], s.MB)
		}
	}
	return most
}

// stored returns how much the device has on the disk, in bytes.
func (d *device) stored(t *testing.T) (size int) {
	t.Helper()
	err := filepath.Walk(d.stateDir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			size += int(info.Size())
		}
		return nil // it may be gone by now
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}
