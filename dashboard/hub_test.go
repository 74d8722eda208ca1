package dashboard

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plate-resort/plate-resort/client"
)

func TestADeviceWithoutAvailabilityIsOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, Config{})
		e := f.open()
		e.snapshot()
		f.retains("lab", client.State, "{}")
		e.until("offline", func(m shown) bool { return m.is("lab", "availability", `"offline"`) })
		f.says("lab", client.Availability, "online")
		e.until("online", func(m shown) bool { return m.is("lab", "availability", `"online"`) })
	})
}

func TestAClearedDeviceIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, Config{})
		f.says("lab", client.Availability, "offline")
		f.says("lab", client.State, "{}")
		e := f.open()
		e.snapshot()
		f.says("lab", client.Availability, "")
		f.says("lab", client.State, "")
		f.says("never", client.Availability, "")
		f.says("other", client.Log, "{}")
		next, _ := e.event()
		want := []string{`lab/availability null`, `other/availability "offline"`, `other/log {}`}
		if diff := cmp.Diff(want, show(next.Messages)); diff != "" {
			t.Error(diff)
		}
		if all := show(f.open().snapshot().Messages); len(all) != 2 || all[1] != `other/availability "offline"` {
			t.Errorf("the snapshot is %q", all)
		}
		if d := f.hub.detail("lab", time.Now()); d != nil {
			t.Errorf("there is %v of a device that is gone", d)
		}
	})
}

// After the broker was away, a device that does not come back is offline, and one of which the broker has kept nothing is
// gone.
func TestADeviceThatDoesNotComeBackIsOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, Config{})
		f.connected(true)
		for _, id := range []string{"back", "early", "lost", "off", "removed"} {
			f.retains(id, client.Availability, map[bool]string{true: "offline", false: "online"}[id == "off"])
		}
		time.Sleep(time.Hour)
		f.connected(false)
		time.Sleep(time.Hour)
		e := f.open()
		if all := show(e.snapshot().Messages); !slices.Contains(all, `lost/availability "online"`) {
			t.Fatalf("nobody could come back yet, and the snapshot is %q", all)
		}
		f.retains("early", client.Availability, "online") // before the client is told that it is connected
		f.connected(true)
		f.says("back", client.Availability, "online")
		f.retains("lost", client.State, "{}") // but its availability was cleared
		f.retains("off", client.Availability, "offline")
		f.says("removed", client.Log, "{}") // is no sign that the broker has kept anything
		since := time.Now()
		want := []string{`lost/availability "offline"`, `removed/availability null`}
		var got []string
		e.until("the end of what is lost", func(m shown) bool {
			if m.Topic == "availability" && m.At >= since.Add(returnPatience).UnixMilli() {
				got = append(got, m.String())
			}
			return len(got) == len(want)
		})
		for _, m := range e.waiting {
			t.Errorf("%v was told besides", m)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if took := time.Since(since); took < returnPatience || took > 2*returnPatience {
			t.Errorf("it was found out after %v", took)
		}
		want = []string{
			up, `back/availability "online"`, `early/availability "online"`, `lost/availability "offline"`, `lost/state {}`,
			`off/availability "offline"`,
		}
		if diff := cmp.Diff(want, show(f.open().snapshot().Messages)); diff != "" {
			t.Error(diff)
		}
		f.says("lost", client.Availability, "online")
		e.until("return", func(m shown) bool { return m.is("lost", "availability", `"online"`) })
	})
}

func TestTooManyDevices(t *testing.T) {
	var log bytes.Buffer
	h := newHub("", slog.New(slog.NewTextHandler(&log, nil)))
	for n := range maxDevices + 10 {
		h.take(client.Message{Device: fmt.Sprint("d", n), Topic: client.State, Payload: []byte("{}"), Received: time.Now()})
	}
	if n := len(h.devices); n != maxDevices {
		t.Errorf("there are %d devices, want %d", n, maxDevices)
	}
	if n := strings.Count(log.String(), "more devices"); n != 1 {
		t.Errorf("it was said %d times:\n%s", n, &log)
	}
}

func TestHealthOfAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, Config{})
		began := time.Now()
		f.retains("lab", client.Health, `{"temperature":99,"voltage":9}`) // of any age
		f.says("lab", client.Health, `{"temperature":null,"voltage":null}`)
		synctest.Wait()
		if got := f.hub.detail("lab", time.Now()).Health; len(got) > 0 {
			t.Errorf("there is health of an unknown time, or of no motor: %v", got)
		}
		for n := range 2 * 3600 { // two hours, once a second
			f.says("lab", client.Health, fmt.Sprintf(`{"temperature":%d,"voltage":11.9,"current":null,"load":1.5,"angle":3}`, n))
			time.Sleep(time.Second)
		}
		got := f.hub.detail("lab", time.Now()).Health
		if n := len(got); n != 720 {
			t.Fatalf("there are %d points, want 720", n)
		}
		for n, p := range got {
			second := 3600 + 5*n + 4 // the last of each step
			text, err := p.MarshalJSON()
			want := fmt.Sprintf("[%d,%d,11.9,null,1.5]", began.Add(time.Duration(second)*time.Second).UnixMilli(), second)
			if err != nil || string(text) != want {
				t.Fatalf("point %d is %s, %v, want %s", n, text, err, want)
			}
		}
		time.Sleep(2 * time.Hour)
		if got := f.hub.detail("lab", time.Now()).Health; got == nil || len(got) != 0 {
			t.Errorf("two hours later there are %v", got)
		}
	})
}

func TestLogLines(t *testing.T) {
	h := newHub("", quiet)
	for n := range maxLog + 50 {
		h.take(client.Message{Device: "lab", Topic: client.Log, Payload: fmt.Appendf(nil, `{"n":%d}`, n), Received: time.Now()})
	}
	lines := h.detail("lab", time.Now()).Log
	if len(lines) != maxLog || string(lines[0]) != `{"n":50}` || string(lines[maxLog-1]) != `{"n":249}` {
		t.Errorf("there are %d lines, %s", len(lines), lines)
	}
}

// operation is an event of an operation that ends in this second.
func operation(id, state string, second int) string {
	return fmt.Sprintf(`{"id":%q,"state":%q,"finished_at":"2026-11-23T08:%02d:%02dZ"}`, id, state, second/60, second%60)
}

func ids(d *detail) (list []string) {
	for _, op := range d.Operations {
		_, rest, _ := strings.Cut(string(op), `"id":"`)
		id, rest, _ := strings.Cut(rest, `"`)
		_, state, _ := strings.Cut(rest, `"state":"`)
		list = append(list, id+" "+state[:1])
	}
	return list
}

func TestEndedOperations(t *testing.T) {
	h := newHub("", quiet)
	say := func(topic client.Topic, isRetained bool, payload string) {
		h.take(client.Message{Device: "lab", Topic: topic, Payload: []byte(payload), Retained: isRetained, Received: time.Now()})
	}
	expect := func(when string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, ids(h.detail("lab", time.Now()))); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	say(client.History, true, "["+operation("2", "completed", 2)+","+operation("0", "completed", 0)+"]")
	say(client.History, false, "["+operation("2", "completed", 2)+","+operation("1", "failed", 1)+"]")
	expect("history", "2 c", "1 f", "0 c")
	say(client.Operation, false, `{"id":"3","state":"queued","finished_at":null}`)
	say(client.Operation, false, `{"id":"3","state":"running","finished_at":null}`)
	expect("running", "2 c", "1 f", "0 c")
	say(client.Operation, false, operation("3", "completed", 3))
	say(client.Operation, false, operation("3", "completed", 3))
	expect("completed", "3 c", "2 c", "1 f", "0 c")
	say(client.Operation, false, operation("3", "rejected", 4)) // another command with that id
	say(client.Operation, false, operation("r", "rejected", 5))
	expect("rejected", "r r", "3 c", "2 c", "1 f", "0 c")
	say(client.History, false, "["+operation("5", "completed", 6)+","+operation("4", "cancelled", 4)+","+operation("3", "completed", 3)+"]")
	expect("missed", "5 c", "r r", "4 c", "3 c", "2 c", "1 f", "0 c")
	for n := range 200 {
		say(client.Operation, false, operation(fmt.Sprint("flood", n), "rejected", 100+n))
	}
	if d := ids(h.detail("lab", time.Now())); len(d) != maxRejected+6 || d[0] != "flood199 r" || d[maxRejected] != "5 c" {
		t.Errorf("after a flood of rejections there are %q", d)
	}
	for n := range 200 {
		say(client.Operation, false, operation(fmt.Sprint("op", n), "completed", 400+n))
	}
	if d := ids(h.detail("lab", time.Now())); len(d) != maxOperations || d[0] != "op199 c" || d[99] != "op100 c" {
		t.Errorf("after 200 more there are %q", d)
	}
}

// A batch does not grow without bounds.
func TestLargeBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, Config{})
		e := f.open()
		e.snapshot()
		large := `{"a":"` + strings.Repeat("x", 100<<10) + `"}`
		for range 3 {
			f.says("lab", client.Schedules, large)
		}
		since := time.Now()
		if next, _ := e.event(); len(next.Messages) != 4 || time.Since(since) > 0 { // with the availability
			t.Errorf("%d messages came after %v", len(next.Messages), time.Since(since))
		}
	})
}
