//go:build e2e

package cmd_test

import (
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	developmentConf = "../mosquitto/development.conf"
	standardListen  = "listener 1883 127.0.0.1"
)

// A broker is a Mosquitto with the repository's configuration, but for the port.
type broker struct {
	port    string
	config  string // path
	process *process

	observed  bool       // every message is to be seen
	observers []*process // one for each time that the broker was started
}

// newBroker starts a Mosquitto on a port of its own.
func newBroker(t *testing.T) *broker {
	t.Helper()
	b := &broker{port: freePort(t), config: filepath.Join(t.TempDir(), "mosquitto.conf")}
	conf, err := os.ReadFile(developmentConf)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(conf), standardListen) != 1 {
		t.Fatalf("%s must have the line %q once, for the tests to replace", developmentConf, standardListen)
	}
	conf = []byte(strings.Replace(string(conf), standardListen, "listener "+b.port+" 127.0.0.1", 1))
	if err := os.WriteFile(b.config, conf, 0o644); err != nil {
		t.Fatal(err)
	}
	b.observed = true
	t.Cleanup(func() { b.validate(t) }) // after everything that is started from here on has ended
	b.start(t)
	return b
}

// start starts the broker, empty, as after a restart of its machine.
func (b *broker) start(t *testing.T) {
	t.Helper()
	b.process = start(t, "mosquitto", nil, mosquitto, "-c", b.config)
	b.process.awaitText(t, "mosquitto version", "running")
	b.publish(t, subscribedTopic, "yes", "-r")
	if b.observed {
		b.observe(t)
	}
}

func (b *broker) address() string { return "127.0.0.1:" + b.port }

func (b *broker) url() string { return "tcp://" + b.address() }

// publish sends one message with mosquitto_pub. The broker has it when publish returns, unless the
// options ask for another QoS than 1.
func (b *broker) publish(t *testing.T, topic, payload string, options ...string) {
	t.Helper()
	args := []string{"-h", "127.0.0.1", "-p", b.port, "-q", "1", "-t", topic}
	if payload == "" {
		args = append(args, "-n")
	} else {
		args = append(args, "-m", payload)
	}
	b.pub(t, "", append(args, options...)...)
}

// publishLines sends each line as a message, over one connection.
func (b *broker) publishLines(t *testing.T, topic string, lines []string) {
	t.Helper()
	b.pub(t, strings.Join(lines, "\n")+"\n", "-h", "127.0.0.1", "-p", b.port, "-q", "1", "-t", topic, "-l")
}

func (b *broker) pub(t *testing.T, stdin string, args ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), mosquittoPub, args...)
	c.Stdin = strings.NewReader(stdin)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_pub %.200q: %v\n%s", args, err, out)
	}
}

// givenPorts are those that listenFree has listened on.
var givenPorts sync.Map

// freePort returns a TCP port that nobody listens on, and each one once.
func freePort(t testing.TB) string {
	t.Helper()
	l := listenFree(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// listenFree listens on a port that nobody else listens on. It is outside the range that the kernel takes for outgoing
// connections, which could have it the next moment when it is closed.
func listenFree(t testing.TB) net.Listener {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(20000 + rand.IntN(10000))
		if _, given := givenPorts.LoadOrStore(port, true); given {
			continue
		}
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			return l
		}
	}
	t.Fatal("there is no free port")
	return nil
}

// claimStandardPort makes sure that nobody else listens where a broker does by default.
func claimStandardPort(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:1883")
	if err != nil {
		t.Fatalf("this test needs 127.0.0.1:1883 for itself; end what listens there, such as a demo or a Mosquitto: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// The configuration as it stands, which the other tests change the port of.
func TestDevelopmentConfiguration(t *testing.T) {
	claimStandardPort(t)
	b := &broker{port: "1883", config: developmentConf}
	b.start(t)
	w := b.watch(t, "plate-resort/lab/state")
	b.publish(t, "plate-resort/lab/state", "{}")
	w.until(t, "state", "message", func(m message) bool { return m.payload == "{}" })
	for _, complaint := range []string{"Error", "Warning"} {
		if n := b.process.count(complaint); n > 0 {
			t.Errorf("mosquitto printed %d lines with %s", n, complaint)
		}
	}
	if n := b.process.count("listen socket"); n != 1 {
		t.Errorf("mosquitto listens in %d places, want one", n)
	}
}
