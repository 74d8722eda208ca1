package dashboard

import (
	"bytes"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/client"
)

// A broken publisher is a device, and publishes as much as it can.
type brokenPublisher struct {
	hub    *hub
	device string
	now    time.Time
	count  int
}

func (p *brokenPublisher) publish(topic client.Topic, payload string) {
	p.hub.take(client.Message{Device: p.device, Topic: topic, Payload: []byte(payload), Received: p.now})
}

// fill publishes the largest of every topic, again and again.
func (p *brokenPublisher) fill() {
	filled := func(most int, text string) string {
		return strings.Replace(text, "…", strings.Repeat("x", most-len(text)+len("…")), 1)
	}
	for topic, kind := range kinds {
		if topic != client.Broker {
			p.publish(topic, filled(kind.most, map[byte]string{'{': `{"x":"…"}`, '[': `[{"x":"…"}]`}[kind.begin]))
		}
	}
	for range 2 * maxOperations {
		p.count++
		p.publish(client.Log, filled(maxEvent, `{"x":"…"}`))
		state := []string{"completed", "rejected"}[p.count%2]
		operation := fmt.Sprintf(`{"id":"%d…","state":%q,"finished_at":"2026-11-23T08:00:00Z"}`, p.count, state)
		p.publish(client.Operation, filled(maxEvent, operation))
	}
	for range 800 {
		p.now = p.now.Add(healthStep)
		p.publish(client.Health, `{"temperature":31,"voltage":12,"current":1,"load":1}`)
	}
}

var largeSchedules = `{"x":"` + strings.Repeat("x", maxSchedules-8) + `"}`

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// However much one device publishes, it takes no more than so much memory.
func TestOneDeviceIsBounded(t *testing.T) {
	h := newHub("", quiet)
	p := &brokenPublisher{hub: h, device: "lab", now: time.Now()}
	before := heap()
	p.fill()
	p.fill()
	large := `{"text":"` + strings.Repeat("x", maxEvent) + `",` + operation("large", "completed", 101)[1:]
	p.publish(client.History, "["+operation("missed", "completed", 100)+","+large+"]")
	d := h.detail("lab", p.now)
	if list := ids(d); list[0] != "missed c" {
		t.Errorf("the last operation is %.20s, want the one that the history has", list[0])
	}
	if h.size > maxMemory || h.size < maxMemory/2 || h.size != h.devices["lab"].bytes() {
		t.Errorf("%d bytes are kept, want up to %d", h.size, maxMemory)
	}
	if len(d.Log) == 0 || len(d.Operations) == 0 || len(d.Health) == 0 {
		t.Errorf("kept are %d lines, %d operations, %d points", len(d.Log), len(d.Operations), len(d.Health))
	}
	if n := heap() - before; n > maxMemory*5/4 {
		t.Errorf("they take %d bytes", n)
	}
	runtime.KeepAlive(h)
}

// Small ones are bounded by their number, and do not go before their time because of it.
func TestRejectionsLeaveOperationsAlone(t *testing.T) {
	h := newHub("", quiet)
	p := &brokenPublisher{hub: h, device: "lab", now: time.Now()}
	for n := range maxOperations {
		p.publish(client.Operation, operation(fmt.Sprint(n), "completed", n))
	}
	for n := range maxOperations {
		p.publish(client.Operation, `{"message":"`+strings.Repeat("x", 15<<10)+`",`+operation(fmt.Sprint("r", n), "rejected", 200+n)[1:])
	}
	completed := 0
	for _, op := range ids(h.detail("lab", p.now)) {
		if strings.HasSuffix(op, " c") {
			completed++
		}
	}
	if completed < maxOperations-maxRejected {
		t.Errorf("%d operations are left", completed)
	}
}

// However many of them there are, all is bounded, and the others are shown as before.
func TestAllDevicesAreBounded(t *testing.T) {
	var log bytes.Buffer
	h := newHub("", slog.New(slog.NewTextHandler(&log, nil)))
	honest := &brokenPublisher{hub: h, device: "lab", now: time.Now()}
	honest.publish(client.Availability, "online")
	honest.publish(client.State, `{"status":"ready"}`)
	honest.publish(client.Log, `{"msg":"x"}`)
	before := heap()
	most := maxKept/maxSchedules + 20
	for n := range most {
		p := &brokenPublisher{hub: h, device: fmt.Sprint("broken", n), now: time.Now()}
		p.publish(client.Availability, "online")
		p.publish(client.Schedules, largeSchedules)
		if h.size > maxKept {
			t.Fatalf("%d bytes are kept of %d devices, want up to %d", h.size, n+1, maxKept)
		}
	}
	if n := heap() - before; n > maxKept*5/4 {
		t.Errorf("they take %d bytes", n)
	}
	if n := strings.Count(log.String(), "more than the dashboard keeps"); n != 1 {
		t.Errorf("it was said %d times:\n%s", n, &log)
	}
	lab := h.devices["lab"]
	if string(lab.latest[client.State].payload) != `{"status":"ready"}` || len(lab.log) != 1 {
		t.Error("a small device was shortened")
	}
	shortened := 0
	for id, d := range h.devices {
		if string(d.latest[client.Availability].payload) != string(online) {
			t.Errorf("%s is not online any more", id)
		}
		if id != "lab" && d.latest[client.Schedules].text == nil {
			shortened++
		}
	}
	if shortened == 0 || shortened > 25 {
		t.Errorf("%d were shortened", shortened)
	}
	h.take(client.Message{Device: "broken0", Topic: client.Availability, Received: time.Now()})
	sum := 0
	for _, d := range h.devices {
		sum += d.bytes()
	}
	if h.size != sum {
		t.Errorf("%d bytes were counted, there are %d", h.size, sum)
	}
}

// What only one page shows goes first.
func TestDetailsGoFirst(t *testing.T) {
	d := newMemory()
	h := newHub("", quiet)
	h.devices["lab"] = d
	p := &brokenPublisher{hub: h, device: "lab", now: time.Now()}
	p.publish(client.Availability, "online")
	p.fill()
	d.shrink()
	if len(d.health)+len(d.log)+len(d.operations) > 0 || len(d.latest) != len(retained) {
		t.Errorf("kept are %d points, %d lines, %d operations, %d topics", len(d.health), len(d.log), len(d.operations), len(d.latest))
	}
	d.shrink()
	if len(d.latest) != 1 || d.latest[client.Availability].text == nil {
		t.Errorf("kept are %d topics", len(d.latest))
	}
}

// What is too large is dropped, and that is said once.
func TestTooLarge(t *testing.T) {
	var log bytes.Buffer
	h := newHub("", slog.New(slog.NewTextHandler(&log, nil)))
	for topic, kind := range kinds {
		fits := string(kind.begin) + strings.Repeat(" ", kind.most-2) + string(kind.begin+2)
		for n, payload := range []string{fits, fits + " "} {
			b, _ := h.join(time.Now())
			h.take(client.Message{Device: "lab", Topic: topic, Payload: []byte(payload), Received: time.Now()})
			h.pass(time.Now())
			if got := bytes.Contains(<-b.batches, fmt.Appendf(nil, `"topic":%q`, topic)); got != (n == 0) {
				t.Errorf("%s with %d bytes is shown: %v", topic, len(payload), got)
			}
			h.leave(b)
		}
	}
	if n := strings.Count(log.String(), "larger than any device"); n != 1 {
		t.Errorf("it was said %d times:\n%s", n, &log)
	}
}

// White space takes no memory.
func TestWhiteSpaceIsNotKept(t *testing.T) {
	i, ok := encode(client.Message{Device: "lab", Topic: client.Schedules, Payload: []byte("{" + strings.Repeat(" ", maxSchedules-2) + "}")})
	if !ok || cap(i.text) > 1000 {
		t.Errorf("an empty object takes %d bytes", cap(i.text))
	}
}

// A browser that does not read is dropped after so many bytes.
func TestUnreadBytes(t *testing.T) {
	h := newHub("", quiet)
	b, _ := h.join(time.Now())
	p := &brokenPublisher{hub: h, device: "lab", now: time.Now()}
	for range maxWaiting {
		p.publish(client.Schedules, largeSchedules)
	}
	size := 0
	for len(b.batches) > 0 {
		size += len(<-b.batches)
	}
	if size > maxUnread || size < maxUnread/2 || len(h.browsers) > 0 {
		t.Errorf("%d bytes wait, of %d browsers", size, len(h.browsers))
	}
}

// One that reads may get any number of them.
func TestReadBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, Config{})
		e := f.open()
		e.snapshot()
		for range maxUnread/maxSchedules + 2 {
			f.says("lab", client.Schedules, largeSchedules)
			e.until("the schedules", func(m shown) bool { return m.Topic == "schedules" })
		}
	})
}
