package natstest

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is far longer than anything here takes.
const patience = time.Minute

// The programs.
var plateResort, natsServer string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "plate-resort-nats-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	plateResort, natsServer = filepath.Join(dir, "plate-resort"), filepath.Join(dir, "nats-server")
	for _, build := range [][]string{
		{"-C", "../..", "-race", "-buildvcs=false", "-o", plateResort, "."},
		{"-o", natsServer, "github.com/nats-io/nats-server/v2"},
	} {
		if out, err := exec.Command("go", append([]string{"build"}, build...)...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "FAIL: go build %q: %v\n%s", build, err, out)
			return 1
		}
	}
	return m.Run()
}

// A process is a program that runs beside the test, and ends with it at the latest.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

// start runs a program whose output goes to a file, which is shown when the test fails.
func start(t *testing.T, output string, env []string, program string, args ...string) *process {
	t.Helper()
	file, err := os.OpenFile(output, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{exec.Command(program, args...), make(chan struct{})}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = append(os.Environ(), env...), file, file
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		defer file.Close()
		_ = p.cmd.Wait() // ended by a signal
	}()
	t.Cleanup(func() {
		p.end(os.Interrupt)
		if text, err := os.ReadFile(output); err == nil && t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(output), text[max(0, len(text)-50000):])
		}
	})
	return p
}

func (p *process) end(signal os.Signal) {
	_ = p.cmd.Process.Signal(signal) // fails if it has ended
	<-p.exited
}

// A node is one server of the cluster.
type node struct {
	name    string
	dir     string
	mqtt    string // address
	monitor string // address
	process *process
}

// newCluster starts three servers, and waits until they are one cluster.
func newCluster(t *testing.T) []*node {
	t.Helper()
	var nodes []*node
	var clients, routes, urls []string
	for i := range 3 {
		n := &node{name: fmt.Sprint("node", i), dir: t.TempDir(), mqtt: freeAddress(t), monitor: freeAddress(t)}
		clients, routes = append(clients, freeAddress(t)), append(routes, freeAddress(t))
		urls, nodes = append(urls, "nats://"+routes[i]), append(nodes, n)
	}
	for i, n := range nodes {
		config := fmt.Sprintf(`server_name: %s
listen: "%s"
http: "%s"
cluster { name: resort, listen: "%s", routes: [%s] }
jetstream { store_dir: "%s" }
mqtt { listen: "%s", js_api_timeout: "2s" }
`, n.name, clients[i], n.monitor, routes[i], strings.Join(urls, ", "), filepath.Join(n.dir, "jetstream"), n.mqtt)
		if err := os.WriteFile(n.config(), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes {
		n.start(t)
	}
	awaitCluster(t, nodes)
	return nodes
}

func (n *node) config() string { return filepath.Join(n.dir, "nats.conf") }

func (n *node) start(t *testing.T) {
	t.Helper()
	n.process = start(t, filepath.Join(n.dir, n.name+".log"), nil, natsServer, "-c", n.config())
}

// awaitCluster waits until each server says that it is well, with all of its streams.
func awaitCluster(t *testing.T, nodes []*node) {
	t.Helper()
	for _, n := range nodes {
		await(t, n.name+" that is well", func() bool {
			response, err := http.Get("http://" + n.monitor + "/healthz")
			if err != nil {
				return false
			}
			defer response.Body.Close()
			return response.StatusCode == http.StatusOK
		})
	}
}

// await asks until it is so. Nothing tells when a server is well, or what is in a file.
func await(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	timeout, tick := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !isSo() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("no %s within %v", what, patience)
		}
	}
}

// freeAddress returns one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A program is plate-resort run with a simulated servo.
type program struct {
	brokers []string // URLs
	log     string   // path
	process *process
}

func startDevice(t *testing.T, nodes []*node) *program {
	t.Helper()
	dir := t.TempDir()
	d, terminal := &program{log: filepath.Join(dir, "run.log")}, filepath.Join(dir, "servo")
	for _, n := range nodes {
		d.brokers = append(d.brokers, "tcp://"+n.mqtt)
	}
	start(t, filepath.Join(dir, "simulate.log"), nil, plateResort, "simulate", "--link", terminal)
	d.process = start(t, d.log, []string{
		"PLATE_RESORT_DEVICE_ID=lab",
		"PLATE_RESORT_STATE_DIR=" + dir,
		"PLATE_RESORT_MQTT_BROKER=" + strings.Join(d.brokers, ","),
		"PLATE_RESORT_MOTOR_PORT=" + terminal,
		"PLATE_RESORT_SPEED=200",
		"PLATE_RESORT_LOG_FORMAT=json",
	}, plateResort, "run")
	return d
}

// connections returns the broker of each time that one of the device's connections came to be.
func (d *program) connections(t *testing.T, name string) (brokers []string) {
	t.Helper()
	text, err := os.ReadFile(d.log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if entry, ok := parse(line); ok && entry.Message == "connected to the broker" && entry.Connection == name {
			brokers = append(brokers, entry.Broker)
		}
	}
	return brokers
}
