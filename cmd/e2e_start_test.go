//go:build e2e

package cmd_test

import (
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// All faults of the settings are reported at once, before anything is opened.
func TestWrongSettings(t *testing.T) {
	t.Parallel()
	broker, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	p := start(t, "run", []string{
		"PLATE_RESORT_MQTT_BROKER=tcp://" + broker.Addr().String(),
		"PLATE_RESORT_DEVICE_ID=Lab 1",
		"PLATE_RESORT_STATE_DIR=state",
		"PLATE_RESORT_LOG_LEVEL=loud",
		"PLATE_RESORT_MOTOR_BAUD=9601",
		"PLATE_RESORT_SPEED=0",
		"PLATE_RESORT_HOTELS=A,B,A",
		"PLATE_RESORT_TOLERENCE=1",
	}, plateResort, "run")
	if status := p.status(t); status != 2 {
		t.Errorf("the exit status is %d, want 2", status)
	}
	for _, texts := range [][]string{
		{"PLATE_RESORT_DEVICE_ID", `"Lab 1"`},
		{"PLATE_RESORT_STATE_DIR", `"state"`, "absolute"},
		{"PLATE_RESORT_LOG_LEVEL", `"loud"`, "debug, info, warn or error"},
		{"PLATE_RESORT_MOTOR_BAUD", "9601", "57600"},
		{"PLATE_RESORT_SPEED", `"0"`, "from 1"},
		{"PLATE_RESORT_HOTELS", `"A"`, "twice"},
		{"PLATE_RESORT_TOLERENCE", "not a setting"},
	} {
		if p.count(texts...) == 0 {
			t.Errorf("no line has %q", texts)
		}
	}
	if err := broker.(*net.TCPListener).SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := broker.Accept(); err == nil {
		t.Error("it has connected to the broker all the same")
	}
}

func TestTheStateDirectory(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ env, want []string }{
		"home":    {[]string{"STATE_DIRECTORY=", "HOME=/home/pi"}, []string{"/home/pi/.local/state/plate-resort ", "default"}},
		"systemd": {[]string{"STATE_DIRECTORY=/var/lib/a:/var/lib/b"}, []string{"/var/lib/a ", "STATE_DIRECTORY"}},
		"setting": {[]string{"STATE_DIRECTORY=/var/lib/a", "PLATE_RESORT_STATE_DIR=/data"}, []string{"/data ", "environment"}},
	} {
		p := start(t, "config", append(c.env, "PLATE_RESORT_DEVICE_ID=lab"), plateResort, "config")
		if status := p.status(t); status != 0 || p.count(append(c.want, "PLATE_RESORT_STATE_DIR ")...) != 1 {
			t.Errorf("%s: the exit status is %d, and no line has %q", name, status, c.want)
		}
	}
	p := start(t, "run", []string{"STATE_DIRECTORY=", "HOME=", "PLATE_RESORT_DEVICE_ID=lab"}, plateResort, "run")
	if status := p.status(t); status != 2 || p.count("PLATE_RESORT_STATE_DIR is not set") != 1 {
		t.Errorf("without a home the exit status is %d, want 2", status)
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	p := start(t, "demo", nil, plateResort, "demo", "--mqtt-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")
	line := p.awaitText(t, "watch everything", "mosquitto_sub")
	_, port, _ := strings.Cut(line, " -p ")
	port, _, _ = strings.Cut(port, " ")
	p.awaitText(t, "Ctrl-C ends it")

	b := &broker{port: port}
	b.publish(t, subscribedTopic, "yes", "-r")
	w := b.watch(t, "plate-resort/demo/#")
	w.availability(t, "online")
	w.status(t, "ready")
	tried := 0
	lines, _ := p.transcript()
	for _, line := range lines {
		_, command, found := strings.Cut(line, "  ") // the names of the lines have none
		_, command, _ = strings.Cut(command, "  ")
		if !found || !strings.Contains(command, " send ") && !strings.Contains(command, "mosquitto_pub ") {
			continue
		}
		tried++
		if out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		if op := w.event(t); op.State != "completed" {
			t.Errorf("%s was answered with %+v, want it completed", line, op)
		}
	}
	if tried != 5 {
		t.Errorf("the demo says only %d commands to try", tried)
	}
	p.end(syscall.SIGINT) // Ctrl-C
	if status := p.status(t); status != 0 {
		t.Errorf("the demo ended with status %d after Ctrl-C, want 0", status)
	}
}

// The demo's broker and its page have no password.
func TestDemoIsForThisMachine(t *testing.T) {
	t.Parallel()
	for flag, other := range map[string]string{"--mqtt-listen": "--http-listen", "--http-listen": "--mqtt-listen"} {
		for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
			p := start(t, "demo", nil, plateResort, "demo", flag, address, other, "127.0.0.1:0")
			if status := p.status(t); status != 2 || p.count("other machines reach ", address) != 1 {
				t.Errorf("demo %s %s ended with status %d, want 2, and says why", flag, address, status)
			}
		}
	}
}

func TestDemoPortTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for flag, other := range map[string]string{"--mqtt-listen": "--http-listen", "--http-listen": "--mqtt-listen"} {
		p := start(t, "demo", nil, plateResort, "demo", flag, taken.Addr().String(), other, "127.0.0.1:0")
		if status := p.status(t); status != 1 {
			t.Errorf("%s: the exit status is %d, want 1", flag, status)
		}
		for _, text := range []string{taken.Addr().String() + ": bind: address already in use", flag} {
			if p.count(text) != 1 {
				t.Errorf("%s: no line has %q", flag, text)
			}
		}
	}
}
