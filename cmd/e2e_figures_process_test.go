//go:build e2e && figures

package cmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// size is that of the program as the packages have it.
func (f *figures) size(t *testing.T, program string) {
	stripped := filepath.Join(t.TempDir(), "stripped")
	runTool(t, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", stripped, "..")
	info, err := os.Stat(stripped)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	f.goal("the program, stripped", "MB", 12, float64(info.Size())/1e6, "with symbols %.1f MB", float64(whole.Size())/1e6)
}

// starts is how long the program takes to be there.
func (f *figures) starts(t *testing.T, r *rig) {
	var onlines, torques []time.Duration
	for range max(*figuresSize/50, 5) {
		if !r.program.end(syscall.SIGTERM) {
			t.Fatal("the program does not end")
		}
		r.servo.PowerCycle()      // it has its torque on otherwise
		<-time.After(time.Second) // it begins anew
		online, torque := r.run(t)
		onlines, torques = append(onlines, online), append(torques, torque)
	}
	f.goal("start → online, p50", "ms", 50, percentile(onlines, 50).Seconds()*1000, "%s", spread(onlines))
	f.goal("start → torque on, p50", "ms", 150, percentile(torques, 50).Seconds()*1000, "%s", spread(torques))
}

// rest is what a device takes that has nothing to do, and what a sample of position and health is.
func (f *figures) rest(t *testing.T, r *rig) {
	var packets, sizes []float64
	for n := range 11 {
		id := fmt.Sprint("sample-", n)
		before, size := r.line.packets.Load(), r.line.bytes.Load()
		r.send("refresh", fmt.Sprintf(`{"id": %q}`, id))
		r.awaitEnd(t, id)
		packets, sizes = append(packets, float64(r.line.packets.Load()-before)), append(sizes, float64(r.line.bytes.Load()-size))
	}
	slices.Sort(packets)
	slices.Sort(sizes)
	f.goal("a sample of position and health: transactions", "", 1, packets[len(packets)/2], "")
	f.goal("a sample of position and health: bytes, both ways", "", 52, sizes[len(sizes)/2], "")

	bytes := r.line.bytes.Load()
	processor, began := r.program.processor(t), time.Now()
	<-time.After(*figuresRest)
	passed := time.Since(began)
	const byteTime = 10 * time.Second / 57600
	used := time.Duration(r.line.bytes.Load()-bytes) * byteTime
	f.goal("the bus at rest", "%", 1, 100*ratio(used, passed), "of %v", passed.Round(time.Second))
	f.goal("the processor at rest, of a core", "%", 0.3, 100*ratio(r.program.processor(t)-processor, passed), "")
	f.goal("resident memory at rest", "MB", 12, float64(r.program.resident(t))*1024/1e6, "")
}

// manyCommands is the memory after commands of all kinds.
func (f *figures) manyCommands(t *testing.T, r *rig) {
	const batch = 100
	completed := r.completed.Load()
	for n := range *figuresSize {
		for m := range batch {
			id := fmt.Sprintf("many-%d-%d", n, m)
			switch m % 10 {
			case 0, 1:
				r.send("refresh", fmt.Sprintf(`{"id": %q}`, id))
			case 2:
				r.send("speed", fmt.Sprint(50+m%3))
			case 3:
				r.send("refresh", fmt.Sprintf(`{"id": "many-%d-0"}`, n)) // again
			case 4:
				r.send("hotel", fmt.Sprintf(`{"hotel": "Z", "id": %q}`, id))
			case 5:
				r.send("angle", "junk")
			case 6:
				r.send("home", fmt.Sprintf(`{"id": %q, "expires_at": "2001-01-01T00:00:00Z"}`, id))
			case 7:
				r.send("cancel", "nobody")
			case 8:
				r.send("hotel", strings.Repeat("A", 100))
			case 9:
				r.send("angle", fmt.Sprintf(`{"id": %q, "angel": 3}`, id))
			}
		}
		last := fmt.Sprintf("last-%d", n)
		r.send("angle", fmt.Sprintf(`{"id": %q, "angle": %d}`, last, n%2))
		r.awaitEnd(t, last)
	}
	f.goal(fmt.Sprintf("resident memory after %d commands", batch*(*figuresSize)), "MB", 14, float64(r.program.resident(t))*1024/1e6, "%d operations were carried out, the others refused or repeated", r.completed.Load()-completed)
}

// fleet is what a device costs of a thousand in one process, and whether it is slower.
func (f *figures) fleet(t *testing.T) {
	const devices = 1000
	program := buildPrograms(t)
	b := newTunedBroker(t, true)
	var online, messages atomic.Int64
	var mu sync.Mutex
	seen := make(map[string]bool)
	client := b.connect(t)
	token := client.Subscribe("plate-resort/#", 0, func(_ paho.Client, m paho.Message) {
		messages.Add(1)
		if strings.HasSuffix(m.Topic(), "/availability") && string(m.Payload()) == "online" {
			mu.Lock()
			defer mu.Unlock()
			if !seen[m.Topic()] {
				seen[m.Topic()] = true
				online.Add(1)
			}
		}
	})
	if !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	run := func(name string, count int) *rig {
		r := &rig{t: t, broker: b, base: "plate-resort/" + name + "-1/", raw: make(chan time.Time, 1), events: make(chan event, 1<<10)}
		r.line, r.servo = newLine(t)
		r.connect(t)
		before := online.Load()
		r.program = start(t, name, nil, program, "-test.run=^TestFleet$", "-test.timeout=0", "-fleet.devices="+fmt.Sprint(count), "-fleet.name="+name,
			"-fleet.broker="+b.url(), "-fleet.port="+r.line.Path())
		timeout := time.After(2 * time.Minute)
		for online.Load() < before+int64(count) {
			select {
			case <-time.After(100 * time.Millisecond):
			case <-timeout:
				t.Fatalf("%d of %d devices are online", online.Load()-before, count)
			}
		}
		return r
	}
	measure := func(r *rig) (moves, hops []time.Duration) {
		for range max(*figuresSize/5, 10) {
			pause()
			hops = append(hops, r.hop(t, "x"))
			pause()
			moves = append(moves, r.move(t))
		}
		return moves, hops
	}
	single := run("single", 1)
	<-time.After(*figuresRest / 10) // until the servo is there
	moves, hops := measure(single)
	one := single.program.resident(t)
	fleet := run("fleet", devices)
	<-time.After(*figuresRest / 2) // until what a start brings has been said
	count := messages.Load()
	<-time.After(*figuresRest)
	said := float64(messages.Load()-count) / (devices + 1) / figuresRest.Minutes()
	each := float64(fleet.program.resident(t)-one) * 1024 / 1e3 / (devices - 1)
	f.goal("1,000 devices: memory of each", "kB", 250, each, "with its simulated servo, and without a journal")
	f.goal("1,000 devices: messages of each at rest", "a minute", 2, said, "")
	slowed, hopsThen := measure(fleet)
	f.goal("1,000 devices: command → goal position, p50", "× one", 2, ratio(percentile(slowed, 50), percentile(moves, 50)),
		"%s, raw %s; one %s, raw %s", spread(slowed), spread(hopsThen), spread(moves), spread(hops))
}

// buildPrograms builds TestFleet and TestBare.
func buildPrograms(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "programs")
	runTool(t, "env", "CGO_ENABLED=0", "go", "test", "-c", "-trimpath", "-tags=figures", "-o", program, ".")
	return program
}

// allocations are those from when a message comes to when its goal position is written, of paho and of the program.
func (f *figures) allocations(t *testing.T) {
	b := newTunedBroker(t, true)
	out := runTool(t, "go", "test", "-tags=figures", "-count=1", "-v", "-run=^TestAllocations$", ".", "-fleet.broker="+b.url())
	var median, least int
	for line := range strings.Lines(out) {
		if _, err := fmt.Sscanf(strings.TrimSpace(line), "allocations: median %d least %d", &median, &least); err == nil {
			f.compare("allocations from the message to the serial port, p50", "", float64(median), "at the least %d; paho's and all other goroutines' in that time as well", least)
			return
		}
	}
	t.Fatalf("no allocations were counted:\n%s", out)
}

// processor returns how much time the process has had of a processor, in steps of 10 ms.
func (p *process) processor(t *testing.T) time.Duration {
	t.Helper()
	stat := readFile(t, fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:]) // from the third field of proc_pid_stat(5) on
	user, err := strconv.Atoi(fields[14-3])
	if err != nil {
		t.Fatal(err)
	}
	system, err := strconv.Atoi(fields[15-3])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}
