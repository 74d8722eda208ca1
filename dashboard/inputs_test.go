package dashboard

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// operationIs matches an event of the operation.
func operationIs(id, state string) func(shown) bool {
	return func(m shown) bool {
		var op struct{ ID, State string }
		return m.Device == "lab" && m.Topic == "operation" && json.Unmarshal(m.Payload, &op) == nil && op.ID == id && op.State == state
	}
}

func TestAMove(t *testing.T) {
	r := newResort(t, "")
	e := r.ready()
	got := r.post("/devices/lab/hotel", `{"hotel": "B", "tolerance": 0.5}`)
	if got.status != http.StatusOK || got.Operation != "hotel" || got.State != "queued" || got.ID == "" {
		t.Fatalf("got %d, %s, want a queued operation", got.status, got.text)
	}
	if m := r.inputs.next(); !strings.HasPrefix(m, "plate-resort/lab/hotel/set {") || !strings.Contains(m, `"tolerance":0.5`) {
		t.Errorf("%s was published", m)
	}
	e.until("the move", operationIs(got.ID, "running"))
	ended, there := false, false
	e.until("its end, at hotel B", func(m shown) bool {
		ended = ended || operationIs(got.ID, "completed")(m)
		there = there || m.Topic == "state" && bytes.Contains(m.Payload, []byte(`"hotel":"B"`)) && bytes.Contains(m.Payload, []byte(`"status":"ready"`))
		return ended && there
	})
	refused := r.post("/devices/lab/hotel", `{"hotel": "Z"}`)
	if refused.status != http.StatusConflict || refused.State != "rejected" || refused.Error == nil || !strings.Contains(refused.Error.Message, `"Z" is not one of A, B, C, D`) {
		t.Errorf("got %d, %s, want a rejection that says why", refused.status, refused.text)
	}
	e.until("the rejection", operationIs(refused.ID, "rejected"))
	detail := r.get("/devices/lab")
	if len(detail.Ended) != 2 || detail.Ended[0].ID != refused.ID || detail.Ended[1].ID != got.ID || detail.Ended[1].State != "completed" {
		t.Errorf("the ended operations are %+v", detail.Ended)
	}
	if len(detail.Health) == 0 || detail.Log == nil {
		t.Errorf("got %s, want health and a log", detail.text)
	}
}

func TestEveryInput(t *testing.T) {
	r := newResort(t, "")
	r.ready()
	for _, c := range []struct{ input, body, published string }{
		{"speed", `{"speed": 100}`, `speed/set`},
		{"angle", ` {"angle": 12.50, "precise": false, "timeout_seconds": 9}`, `angle/set`},
		{"home", `{}`, `home/set`},
		{"refresh", `{}`, `refresh/set`},
		{"cancel", `{"id": "all"}`, `cancel/set {"id":"all"}`},
		{"schedules/at-night", `{"cron": "0 8 * * 1-5", "operation": "home"}`, `schedules/at-night/set`},
		{"schedules/at-night", `{"delete": true}`, `schedules/at-night/set`},
		{"stop", `{}`, `stop/set`},
		{"stop", ``, `stop/set`},
		{"stop", `garbage`, `stop/set`},
		{"reset", `{}`, `reset/set`},
		{"connection", `{"state": "OFF"}`, `connection/set`},
		{"connection", `{"state": "ON"}`, `connection/set`},
		{"reboot", `{"wait_seconds": 0.1}`, `reboot/set`},
	} {
		got := r.post("/devices/lab/"+c.input, c.body)
		if got.status != http.StatusOK || got.ID == "" {
			t.Errorf("%s %s was answered with %d, %s", c.input, c.body, got.status, got.text)
		}
		if m := r.inputs.next(); !strings.HasPrefix(m, "plate-resort/lab/"+c.published) {
			t.Errorf("%s: %s was published", c.input, m)
		}
	}
}

func TestRefusedInputs(t *testing.T) {
	r := newResort(t, "")
	r.ready()
	const id = `{"hotel": "B", "id": "mine"}`
	for _, c := range []struct {
		path, body string
		status     int
		code       string
	}{
		{"lab/state", `{}`, 404, "unknown_input"},
		{"lab/availability", `{}`, 404, "unknown_input"},
		{"lab/Hotel", `{}`, 404, "unknown_input"},
		{"lab/hotel%2Fset", `{}`, 404, "unknown_input"},
		{"lab/%23", `{}`, 404, "unknown_input"},
		{"lab/schedule", `{}`, 404, "unknown_input"},
		{"lab/schedules", `{}`, 404, "unknown_input"},
		{"lab/schedules/A", `{}`, 404, "unknown_input"},
		{"lab/schedules/a%2Fb", `{}`, 404, "unknown_input"},
		{"nobody/hotel", `{"hotel": "B"}`, 404, "unknown_device"},
		{"Lab/stop", ``, 404, "unknown_device"},
		{"+/stop", ``, 404, "unknown_device"},
		{"a%2Fb/stop", ``, 404, "unknown_device"},
		{"%23/hotel", `{"hotel": "B"}`, 404, "unknown_device"},
		{"lab/hotel", ``, 400, "invalid_payload"},
		{"lab/hotel", `B`, 400, "invalid_payload"},
		{"lab/hotel", `["B"]`, 400, "invalid_payload"},
		{"lab/hotel", `null`, 400, "invalid_payload"},
		{"lab/hotel", `{"hotel": "B"`, 400, "invalid_payload"},
		{"lab/hotel", `{"hotel": "B"} {}`, 400, "invalid_payload"},
		{"lab/hotel", `{"hotel": "A", "hotel": "B"}`, 400, "invalid_payload"},
		{"lab/hotel", id, 400, "invalid_payload"},
		{"lab/cancel", `{}`, 400, "invalid_payload"},
		{"lab/cancel", `{"id": 7}`, 400, "invalid_payload"},
		{"lab/hotel", `{"hotel": "` + strings.Repeat("B", 16<<10) + `"}`, 413, "payload_too_large"},
	} {
		got := r.post("/devices/"+c.path, c.body)
		if got.status != c.status || got.Error == nil || string(got.Error.Code) != c.code || got.Error.Message == "" {
			t.Errorf("%s %.40s was answered with %d, %s, want %d, %s", c.path, c.body, got.status, got.text, c.status, c.code)
		}
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded"} {
		if got := r.post("/devices/lab/hotel", `{"hotel": "B"}`, "Content-Type", kind); got.status != http.StatusUnsupportedMediaType {
			t.Errorf("a body of type %q was answered with %d, %s", kind, got.status, got.text)
		}
	}
	if got := r.get("/devices/lab/hotel"); got.status != http.StatusMethodNotAllowed {
		t.Errorf("GET was answered with %d, %s", got.status, got.text)
	}
	if got := r.get("/devices/nobody"); got.status != http.StatusNotFound || got.Error == nil {
		t.Errorf("a device that is not there is answered with %d, %s", got.status, got.text)
	}
	r.inputs.expectNone()
}

func TestOfflineDevice(t *testing.T) {
	r := newResort(t, "")
	e := r.ready()
	r.stopDevice()
	e.until("offline", func(m shown) bool { return m.is("lab", "availability", `"offline"`) })
	got := r.post("/devices/lab/hotel", `{"hotel": "B"}`)
	if got.status != http.StatusServiceUnavailable || got.Error == nil || got.Error.Code != "offline" || got.Error.Message != "device lab is offline" {
		t.Errorf("got %d, %s", got.status, got.text)
	}
	r.inputs.expectNone()
	got = r.post("/devices/lab/stop", `{}`)
	if got.status != http.StatusServiceUnavailable || got.Error == nil || got.Error.Code != "offline" || !strings.Contains(got.Error.Message, "was sent") {
		t.Errorf("the stop was answered with %d, %s", got.status, got.text)
	}
	if m := r.inputs.next(); !strings.HasPrefix(m, "plate-resort/lab/stop/set ") {
		t.Errorf("%s was published", m)
	}
}

func TestTheBrokerGoes(t *testing.T) {
	r := newResort(t, "")
	e := r.ready()
	address := "tcp://" + r.broker.Addr().String()
	r.broker.Close()
	broken := e.until("loss", func(m shown) bool { return m.Topic == "broker" })
	var c struct {
		Connected     bool
		Broker, Error string
	}
	if err := json.Unmarshal(broken.Payload, &c); err != nil || c.Connected || c.Broker != address || c.Error == "" || broken.Device != "" {
		t.Errorf("got %v", broken)
	}
}
