//go:build e2e

package cmd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A nodeRED is a real Node-RED without any flow.
type nodeRED struct {
	process *process
	url     string
}

const nodeREDSettings = `module.exports = {
	uiHost: "127.0.0.1", flowFile: "flows.json", credentialSecret: "test",
	telemetry: { enabled: false, updateNotification: false },
	externalModules: { autoInstall: false, palette: { allowInstall: false }, modules: { allowInstall: false } },
}`

func startNodeRED(t *testing.T) *nodeRED {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	if err := os.WriteFile(filepath.Join(dir, "settings.js"), []byte(nodeREDSettings), 0o644); err != nil {
		t.Fatal(err)
	}
	const program = "../.ci/npm/node_modules/node-red/red.js"
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("this test needs Node-RED, which make install gets: %v", err)
	}
	n := &nodeRED{start(t, "node-red", nil, "node", program, "-u", dir, "-p", port), "http://127.0.0.1:" + port}
	n.process.awaitText(t, "Started flows")
	n.process.awaitText(t, "Server now running at")
	return n
}

// request uses Node-RED's admin API, and the pages of its flows.
func (n *nodeRED) request(t *testing.T, method, path string, body any) string {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, n.url+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if method == "POST" {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s %v", method, path, response.Status, answer, err)
	}
	return string(answer)
}

// A flow is an importable flow: its nodes.
type flow []map[string]any

// importFlow imports the example for the device and its broker, with other values of some of its variables.
func (n *nodeRED) importFlow(t *testing.T, b *broker, variables map[string]string) flow {
	t.Helper()
	text, err := os.ReadFile("../examples/node-red/flows.json")
	if err != nil {
		t.Fatal(err)
	}
	var f flow
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	for _, node := range f {
		if node["type"] == "mqtt-broker" {
			node["broker"], node["port"] = "127.0.0.1", b.port
		}
		list, _ := node["env"].([]any)
		for _, entry := range list {
			variable := entry.(map[string]any)
			if value, ok := variables[variable["name"].(string)]; ok {
				variable["value"] = value
			}
		}
	}
	connected := n.process.count("Connected to broker")
	n.request(t, "POST", "/flows", f)
	n.process.await(t, "connection to the broker", 0, func(string) bool { return n.process.count("Connected to broker") > connected })
	return f
}

// inject presses the button of the inject node of that name; with properties, its message has them instead of its own.
func (n *nodeRED) inject(t *testing.T, f flow, name string, properties ...property) {
	t.Helper()
	for _, node := range f {
		if node["type"] == "inject" && node["name"] == name {
			body := map[string]any{}
			if properties != nil {
				body["__user_inject_props__"] = properties
			}
			n.request(t, "POST", fmt.Sprint("/inject/", node["id"]), body)
			return
		}
	}
	t.Fatalf("the flow has no inject node %q", name)
}

// A property is one of an injected message: its name, its value, and the value's type in Node-RED's words.
type property struct {
	Name  string `json:"p"`
	Value string `json:"v"`
	Type  string `json:"vt"`
}

// A progress is what the flow says of a run.
type progress struct {
	Run   string  `json:"run"`
	State string  `json:"state"`
	Step  string  `json:"step"`
	Scan  any     `json:"scan"`
	Angle float64 `json:"angle"`
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// progress waits for the next message of a run.
func (w *watch) progress(t *testing.T, state, step string) (r progress) {
	t.Helper()
	w.until(t, "run", "message of a run", func(m message) bool { r = decode[progress](t, m); return true })
	if r.State != state || r.Step != step {
		t.Fatalf("the run is %+v, want %s %s", r, state, step)
	}
	return r
}

var labTopic = map[string]string{"TOPIC": "plate-resort/lab"}

func with(variables map[string]string, name, value string) map[string]string {
	all := map[string]string{name: value}
	for k, v := range variables {
		all[k] = v
	}
	return all
}

// The example does its work with a carousel that works, and says so when nobody scans.
func TestNodeRED(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	runs, commands := d.broker.watch(t, "lab/run"), d.broker.watch(t, d.topic("hotel/set"))
	n := startNodeRED(t)
	f := n.importFlow(t, d.broker, labTopic)
	n.inject(t, f, "Scan by hand", property{"run", "stale", "str"}) // what is not of a run that goes on is not told
	started := time.Now()
	n.inject(t, f, "Start")
	first := runs.progress(t, "running", "hotel A")
	commands.until(t, "set", "command that expires when nobody waits for it any more", func(m message) bool {
		c := decode[struct {
			ExpiresAt time.Time `json:"expires_at"`
		}](t, m)
		left := c.ExpiresAt.Sub(started)
		return 119*time.Second < left && left < 120*time.Second+patience
	})
	if op := d.watch.event(t); op.State != "completed" || op.Result.Hotel != "A" || !strings.HasPrefix(op.ID, "node-red-") {
		t.Errorf("the first move was %+v", op)
	}
	runs.progress(t, "running", "scan")
	n.inject(t, f, "Start") // is refused, and changes nothing
	n.process.awaitText(t, "run "+first.Run+" has not ended")
	d.do(t, "home", `{"id": "somebody else's"}`, "somebody else's")
	n.inject(t, f, "Scan by hand", property{"payload", "old", "str"}, property{"retain", "true", "bool"})
	d.broker.publish(t, "lab/scanner/barcode", "plate-17")
	if r := runs.progress(t, "running", "hotel B"); r.Scan != "plate-17" {
		t.Errorf("the scan is %v", r.Scan)
	}
	d.watch.state(t, "hotel B", func(s state) bool { return s.Hotel == "B" && s.Status == "ready" })
	if r := runs.progress(t, "done", ""); r.Run != first.Run || r.Angle < 108 || r.Angle > 110 {
		t.Errorf("the run ended with %+v, want %s at 109°", r, first.Run)
	}
	n.awaitPanel(t, "<td>online", "<td>ready: Ready at hotel B", "<td>B", "XC330-T288")

	n.inject(t, f, "Start")
	runs.progress(t, "running", "hotel A")
	runs.progress(t, "running", "scan")
	n.inject(t, f, "Scan by hand")
	runs.progress(t, "running", "hotel B")
	runs.progress(t, "done", "")

	f = n.importFlow(t, d.broker, with(labTopic, "SCAN_SECONDS", "0.5"))
	n.inject(t, f, "Start")
	runs.progress(t, "running", "hotel A")
	runs.progress(t, "running", "scan")
	if r := runs.progress(t, "failed", ""); r.Error.Code != "no_scan" {
		t.Errorf("a run without a scan ended with %+v", r.Error)
	}
}

// awaitPanel asks for the flow's page until it has the texts.
func (n *nodeRED) awaitPanel(t *testing.T, texts ...string) {
	t.Helper()
	page := ""
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if page = n.request(t, "GET", "/plate-resort", nil); containsAll(page, texts) {
			return
		}
	}
	t.Errorf("the page has not all of %q:\n%s", texts, page)
}

// The error branches: a carousel that does not turn, and one that does not answer.
func TestNodeREDWithAFault(t *testing.T) {
	t.Parallel()
	d := prepareDevice(t, newBroker(t), brisk, "PLATE_RESORT_RETRIES=0", "PLATE_RESORT_MOVE_TIMEOUT=2s", "PLATE_RESORT_PRECISE_STAGE1_TIMEOUT=2s")
	d.startServo(t, "--fault", "jam")
	d.run(t)
	d.watch.status(t, "ready")
	d.watch.availability(t, "online")
	runs := d.broker.watch(t, "lab/run")
	n := startNodeRED(t)
	f := n.importFlow(t, d.broker, labTopic)
	n.inject(t, f, "Start")
	started := runs.progress(t, "running", "hotel A")
	op := d.watch.event(t)
	if r := runs.progress(t, "failed", ""); op.State != "failed" || r.Run != started.Run || r.Error.Code != op.Error.Code || r.Error.Message != op.Error.Message {
		t.Errorf("the move was %+v, and the run ended with %+v", op, r)
	}

	d.shutDown(t)
	f = n.importFlow(t, d.broker, with(labTopic, "SECONDS", "0.5"))
	n.inject(t, f, "Start")
	runs.progress(t, "running", "hotel A")
	if r := runs.progress(t, "failed", ""); r.Error.Code != "no_answer" {
		t.Errorf("a run without a device ended with %+v", r.Error)
	}
}
