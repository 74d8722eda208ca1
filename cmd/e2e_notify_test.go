//go:build e2e

package cmd_test

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What systemd hears of the program, from its start to its end, as a service of type notify.
func TestSystemdHearsOfTheDevice(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "notify")
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer systemd.Close()
	const watchdog = 10 * time.Second
	d := prepareDevice(t, newBroker(t), brisk, "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=10000000")
	d.run(t)

	var fed time.Time
	message := make([]byte, 4096)
	await := func(text string) {
		t.Helper()
		if err := systemd.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		for {
			n, err := systemd.Read(message)
			if err != nil {
				t.Fatalf("systemd has not heard %q: %v", text, err)
			}
			lines := strings.Split(string(message[:n]), "\n")
			if slices.Contains(lines, "WATCHDOG=1") {
				if since := time.Since(fed); !fed.IsZero() && since > watchdog/2 {
					t.Errorf("the watchdog was not fed for %v", since)
				}
				fed = time.Now()
			}
			if slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, text) }) {
				return
			}
		}
	}
	await("READY=1") // though there is no servo
	if fed.IsZero() {
		t.Error("it is ready before the core has answered")
	}
	d.startServo(t)
	await("STATUS=Ready at 0.00°")
	d.send(t, "hotel", "B")
	await("STATUS=Ready at hotel B")
	d.send(t, "stop", "STOP")
	await("STATUS=Emergency stop: ")
	for range 3 {
		await("WATCHDOG=1")
	}
	go d.program.end(syscall.SIGTERM)
	await("STOPPING=1")
	if status := d.program.status(t); status != 0 {
		t.Errorf("it ended with status %d", status)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	p := start(t, "version", nil, plateResort, "--version")
	if status := p.status(t); status != 0 || p.output() != "plate-resort version (devel)" {
		t.Errorf("it ended with status %d and printed %q", status, p.output())
	}
}

// A servo that is simulated in the program needs neither adapter nor pseudo-terminal.
func TestSimulatedPort(t *testing.T) {
	t.Parallel()
	d := prepareDevice(t, newBroker(t), brisk, "PLATE_RESORT_MOTOR_ID=7", "PLATE_RESORT_MOTOR_BAUD=1000000", "PLATE_RESORT_MOTOR_PORT=simulated")
	d.rewatch(t, "health")
	d.run(t)
	d.watch.status(t, "ready")
	d.watch.until(t, "health", "simulated servo", func(m message) bool { return strings.Contains(m.payload, `"simulated":true`) })
	d.do(t, "hotel", `{"hotel": "B", "id": "move"}`, "move")
	d.send(t, "connection", `{"state": "ON", "port": "/dev/ttyUSB0", "id": "elsewhere"}`)
	if op := d.watch.operation(t, "elsewhere", "failed"); !strings.Contains(op.Error.Message, "simulated") {
		t.Errorf("another port is refused with %+v, want it to say that the servo is simulated", op.Error)
	}
	d.do(t, "connection", `{"state": "ON", "port": "simulated", "id": "back"}`, "back")
	d.ask(t, 0, "check").awaitText(t, "lab: ready")
}
