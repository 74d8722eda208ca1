package dashboard

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plate-resort/plate-resort/client"
)

const up = `/broker {"connected":true,"broker":"tcp://broker.lab:1883","error":""}`

func TestASnapshotThenWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, Config{Version: `1.2 "x"`})
		f.connected(true)
		f.retains("b", client.Availability, "online")
		f.retains("b", client.State, "{\"angle\": 1,\n \"status\": \"ready\"}\n")
		f.retains("a", client.Schedules, "{}")
		f.retains("a", client.Availability, "offline")
		f.says("b", client.Operation, `{"id":"1","state":"running"}`)
		f.says("b", client.Log, `{"msg":"x"}`)
		synctest.Wait()

		e := f.open()
		first := e.snapshot()
		want := []string{up, `a/availability "offline"`, `a/schedules {}`, `b/availability "online"`, `b/state {"angle":1,"status":"ready"}`}
		if diff := cmp.Diff(want, show(first.Messages)); diff != "" || first.Version != `1.2 "x"` || first.Now != time.Now().UnixMilli() {
			t.Errorf("the snapshot is of %d, version %s: %s", first.Now, first.Version, diff)
		}

		asked := time.Now()
		f.says("b", client.State, `{"angle":2}`)
		time.Sleep(gather / 2)
		f.says("b", client.Operation, `{"id":"1","state":"completed"}`)
		next, _ := e.event()
		want = []string{`b/state {"angle":2}`, `b/operation {"id":"1","state":"completed"}`}
		if diff := cmp.Diff(want, show(next.Messages)); diff != "" || next.name != "messages" {
			t.Errorf("then comes %q: %s", next.name, diff)
		}
		if took := time.Since(asked); took > 50*time.Millisecond {
			t.Errorf("it came after %v", took)
		}
		if at := next.Messages[1].At; at != asked.Add(gather/2).UnixMilli() {
			t.Errorf("the operation was received at %d", at)
		}
		if next.Now != time.Now().UnixMilli() {
			t.Errorf("now is %d", next.Now)
		}
	})
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, Config{})
		e := f.open()
		e.snapshot()
		for range 100 {
			since := time.Now()
			next, ok := e.event()
			if !ok || len(next.Messages) > 0 {
				t.Fatalf("got %v, %v, want an empty event", next, ok)
			}
			if took := time.Since(since); took > 5*time.Second {
				t.Errorf("there was nothing for %v", took)
			}
		}
	})
}

// What anybody may publish does not break the stream.
func TestGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, Config{})
		f.says("lab", client.Availability, "online")
		e := f.open()
		e.snapshot()
		for _, payload := range []string{"", " ", "garbage", "{", "[1]", `"text"`, "null", "12", "{}\n\ndata: {}", "{\"a\":\"\n\"}", "\x00\xff", strings.Repeat("[", 100_000), `{"a":"` + strings.Repeat("x", maxPayload) + `"}`} {
			f.says("lab", client.State, payload)
			f.says("lab", client.Operation, payload)
			f.says("lab", client.Log, payload)
		}
		for _, payload := range []string{"[", "{}", "[]x"} {
			f.says("lab", client.History, payload)
			f.says("lab", client.Queue, payload)
		}
		for _, id := range []string{"", "Lab", "a b", `a"b`, "-a", "$SYS", strings.Repeat("a", 65), "é"} {
			f.says(id, client.State, "{}")
			f.says(id, client.Availability, "online")
		}
		// Objects and arrays of another shape pass: they are the page's to read with care.
		f.says("lab", client.Health, `{"temperature":"hot"}`)
		f.says("lab", client.Operation, `{"id":7}`)
		f.says("lab", client.History, `[7,{"id":"x"}]`)
		f.says("lab", client.Availability, "\x00maybe\n")
		f.says("lab", client.State, "{}")
		var got []shown
		for !slices.ContainsFunc(got, func(m shown) bool { return m.is("lab", "state", "{}") }) {
			next, ok := e.event()
			if !ok {
				t.Fatal("the stream has ended")
			}
			got = append(got, next.Messages...)
		}
		want := []string{
			`lab/health {"temperature":"hot"}`, `lab/operation {"id":7}`, `lab/history [7,{"id":"x"}]`,
			`lab/availability "offline"`, `lab/state {}`,
		}
		if diff := cmp.Diff(want, show(got)); diff != "" {
			t.Error(diff)
		}
		if d := f.hub.detail("lab", time.Now()); len(d.Health)+len(d.Log)+len(d.Operations) > 0 {
			t.Errorf("kept was %v", d)
		}
	})
}

// A browser that reads nothing is dropped, and the others are not held up.
func TestSlowBrowser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, Config{})
		sleeping, err := f.listener.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer sleeping.Close()
		if _, err := fmt.Fprint(sleeping, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		e := f.open()
		e.snapshot()
		if n := f.browsers(); n != 2 {
			t.Fatalf("there are %d browsers, want 2", n)
		}
		began := time.Now()
		for n := range 2 * maxWaiting {
			state := fmt.Sprintf(`{"angle":%d}`, n)
			f.says("lab", client.State, state)
			e.until(state, func(m shown) bool { return m.is("lab", "state", state) })
		}
		if took := time.Since(began); took > 2*maxWaiting*gather {
			t.Errorf("the other browser was held up: it took %v", took)
		}
		if n := f.browsers(); n != 1 {
			t.Errorf("there are %d browsers, want the one that reads", n)
		}
		time.Sleep(snapshotTimeout)
		synctest.Wait()
		if n, err := sleeping.Read(make([]byte, 1)); err == nil {
			if _, err = sleeping.Read(make([]byte, 1<<20)); err == nil {
				t.Errorf("the connection is still open, and has %d bytes", n)
			}
		}
	})
}

func TestTooManyBrowsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, Config{})
		var all []*events
		for range maxBrowsers {
			all = append(all, f.open())
		}
		answer, err := f.http.Get("http://localhost/events")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("one more gets %s", answer.Status)
		}
		all[0].answer.Body.Close()
		time.Sleep(2 * heartbeat) // until the server finds out, at the latest
		f.open().snapshot()
	})
}

// The end of the program ends the streams.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, Config{})
		e := f.open()
		e.snapshot()
		asked := time.Now()
		f.end()
		if next, ok := e.event(); ok {
			t.Errorf("after the end comes %v", next)
		}
		f.ended <- <-f.ended
		if took := time.Since(asked); took >= shutdownTimeout {
			t.Errorf("it took %v", took)
		}
	})
}
