//go:build e2e

package cmd_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A page is a dashboard as a browser sees it.
type page struct {
	url      string
	password string
}

// startDashboard starts a dashboard on a port of its own, and returns its page.
func startDashboard(t *testing.T, args ...string) (*process, page) {
	t.Helper()
	// Many hosts have this name. A dashboard is no device, so it does not matter.
	env := []string{"PLATE_RESORT_DEVICE_ID=localhost"}
	p := start(t, "dashboard", env, plateResort, append([]string{"dashboard", "--listen", "127.0.0.1:0"}, args...)...)
	return p, page{url: pageURL(t, p)}
}

// pageURL waits until a program has said where its page is.
func pageURL(t testing.TB, p *process) string {
	t.Helper()
	_, port, _ := strings.Cut(p.awaitText(t, "http://127.0.0.1:"), "http://127.0.0.1:")
	return "http://127.0.0.1:" + port
}

func (p page) do(t *testing.T, method, path, body string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	if p.password != "" {
		request.SetBasicAuth("", p.password)
	}
	answer, err := new(http.Client).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// post posts a command and returns the answer's status and what it says.
func (p page) post(t *testing.T, path, body string) (int, operation) {
	t.Helper()
	answer := p.do(t, http.MethodPost, path, body)
	var op operation
	if err := json.NewDecoder(answer.Body).Decode(&op); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, op
}

// A shown message is what a page gets.
type shown struct {
	Device, Topic string
	Payload       json.RawMessage
}

// A stream is what a page hears.
type stream struct {
	scanner *bufio.Scanner
	waiting []shown
}

func (p page) stream(t *testing.T) *stream {
	t.Helper()
	answer := p.do(t, http.MethodGet, "/events", "")
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("the stream is %s", answer.Status)
	}
	s := &stream{scanner: bufio.NewScanner(answer.Body)}
	s.scanner.Buffer(nil, 10<<20)
	return s
}

// until waits for a message that matches. There are heartbeats to count the time by.
func (s *stream) until(t *testing.T, what string, match func(shown) bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for time.Now().Before(end) {
		for len(s.waiting) > 0 {
			m := s.waiting[0]
			s.waiting = s.waiting[1:]
			if match(m) {
				return
			}
		}
		if !s.scanner.Scan() {
			t.Fatalf("the stream has ended before there was %s: %v", what, s.scanner.Err())
		}
		if data, ok := strings.CutPrefix(s.scanner.Text(), "data: "); ok {
			var event struct{ Messages []shown }
			if err := json.Unmarshal([]byte(data), &event); err != nil {
				t.Fatalf("%v in %s", err, data)
			}
			s.waiting = event.Messages
		}
	}
	t.Fatalf("no %s within %v", what, patience)
}

func (s *stream) availability(t *testing.T, device, payload string) {
	t.Helper()
	s.until(t, device+" "+payload, func(m shown) bool {
		return m.Device == device && m.Topic == "availability" && string(m.Payload) == `"`+payload+`"`
	})
}

func (s *stream) connected(t *testing.T, connected bool) {
	t.Helper()
	s.until(t, "news of the broker", func(m shown) bool {
		var c struct{ Connected bool }
		return m.Topic == "broker" && json.Unmarshal(m.Payload, &c) == nil && c.Connected == connected
	})
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	p, page := startDashboard(t, "--broker", d.broker.url())
	html, err := io.ReadAll(page.do(t, http.MethodGet, "/", "").Body)
	if err != nil || !strings.Contains(strings.ToLower(string(html)), "<!doctype html>") {
		t.Errorf("the page is %.100q, %v", html, err)
	}
	s := page.stream(t)
	s.availability(t, "lab", "online")

	status, op := page.post(t, "/devices/lab/hotel", `{"hotel": "B"}`)
	if status != http.StatusOK || op.State != "queued" {
		t.Fatalf("the hotel was answered with %d, %+v", status, op)
	}
	d.watch.operation(t, op.ID, "completed")
	s.until(t, "its end", func(m shown) bool {
		return m.Topic == "operation" && decode[operation](t, message{payload: string(m.Payload)}).State == "completed"
	})
	if status, op := page.post(t, "/devices/lab/hotel", `{"hotel": "Z"}`); status != http.StatusConflict || op.State != "rejected" {
		t.Errorf("a hotel that is not there was answered with %d, %+v", status, op)
	}
	if status, op := page.post(t, "/devices/lab/stop", ``); status != http.StatusOK || op.State != "completed" {
		t.Errorf("the stop was answered with %d, %+v", status, op)
	}
	d.watch.status(t, "e_stop")

	d.program.kill(t)
	s.availability(t, "lab", "offline")
	if status, op := page.post(t, "/devices/lab/home", `{}`); status != http.StatusServiceUnavailable || op.Error.Code != "offline" {
		t.Errorf("a device that is offline was answered with %d, %+v", status, op)
	}
	d.broker.process.kill(t)
	s.connected(t, false)

	asked := time.Now()
	p.end(syscall.SIGTERM)
	if status := p.status(t); status != 0 {
		t.Errorf("the dashboard ended with status %d, want 0", status)
	}
	// It is some milliseconds on a machine that does nothing else.
	if took := time.Since(asked); took > 5*time.Second {
		t.Errorf("the dashboard took %v to end, with a stream open", took)
	}
}

// The dashboard may be there before the broker.
func TestDashboardWithoutABroker(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.process.kill(t)
	_, page := startDashboard(t, "--broker", b.url())
	s := page.stream(t)
	s.connected(t, false)
	if status, op := page.post(t, "/devices/lab/stop", ``); status != http.StatusServiceUnavailable || op.Error.Code != "broker_disconnected" {
		t.Errorf("a stop that cannot be sent was answered with %d, %+v", status, op)
	}
	b.start(t)
	s.connected(t, true)
}

func TestDashboardPassword(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
		p := start(t, "dashboard", nil, plateResort, "dashboard", "--listen", listen)
		if status := p.status(t); status != 2 || p.count("needs a password") != 1 || p.count("--password-file") != 1 {
			t.Errorf("at %s without a password the exit status is %d, want 2 and the reason", listen, status)
		}
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{file, file + ".missing"} {
		p := start(t, "dashboard", nil, plateResort, "dashboard", "--listen", "0.0.0.0:0", "--password-file", file)
		if status := p.status(t); status != 2 || p.count("--password-file") != 1 {
			t.Errorf("with %s the exit status is %d, want 2 and the reason", file, status)
		}
	}
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, page := startDashboard(t, "--broker", newBroker(t).url(), "--password-file", file)
	if status := page.do(t, http.MethodGet, "/", "").StatusCode; status != http.StatusUnauthorized {
		t.Errorf("without the password the page is answered with %d", status)
	}
	page.password = "secret"
	page.stream(t).connected(t, true)
}

func TestDemoDevices(t *testing.T) {
	t.Parallel()
	p := start(t, "demo", nil, plateResort, "demo", "--mqtt-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--devices", "2")
	page := page{url: pageURL(t, p)}
	s := page.stream(t)
	ready := make(map[string]bool)
	s.until(t, "two devices that are ready", func(m shown) bool {
		if m.Topic == "state" && decode[state](t, message{payload: string(m.Payload)}).Status == "ready" {
			ready[m.Device] = true
		}
		return ready["demo"] && ready["demo-2"]
	})
	for _, id := range []string{"demo", "demo-2"} {
		status, op := page.post(t, "/devices/"+id+"/speed", `{"speed": 60}`)
		if status != http.StatusOK || op.State != "completed" {
			t.Errorf("%s answered with %d, %+v", id, status, op)
		}
		p.awaitText(t, "motor connected", "device="+id+" ")
	}
	for _, state := range []string{"OFF", "ON"} { // each time, its line is another one
		if status, op := page.post(t, "/devices/demo-2/connection", `{"state": "`+state+`"}`); status != http.StatusOK || op.State != "completed" {
			t.Errorf("demo-2 answered to %s with %d, %+v", state, status, op)
		}
	}
	for _, n := range []string{"0", "1001", "-1"} {
		p := start(t, "demo", nil, plateResort, "demo", "--devices", n)
		if status := p.status(t); status != 2 || p.count("--devices") != 1 {
			t.Errorf("%s devices: the exit status is %d, want 2", n, status)
		}
	}
	outside := start(t, "demo", nil, plateResort, "demo", "--http-listen", "0.0.0.0:0", "--mqtt-listen", "127.0.0.1:0")
	if status := outside.status(t); status != 2 {
		t.Errorf("a demo that others reach: the exit status is %d, want 2", status)
	}
}
