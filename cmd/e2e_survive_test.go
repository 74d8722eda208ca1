//go:build e2e

package cmd_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// sendMoves sends a slow move, "first", and two behind it, and waits until the first runs. The last event
// is a receipt of all.
func (d *device) sendMoves(t *testing.T) {
	t.Helper()
	d.broker.publishLines(t, d.topic("angle/set"), []string{
		`{"angle": 100, "id": "first"}`, `{"angle": 90, "id": "second"}`, `{"angle": 95, "id": "third"}`,
	})
	d.watch.operation(t, "third", "queued")
	d.watch.state(t, "a turning carousel", func(s state) bool { return s.Activity == "running" })
}

func TestKilledWithAQueueAndBackInTime(t *testing.T) {
	t.Parallel()
	d := newDevice(t, "PLATE_RESORT_SPEED=20")
	d.sendMoves(t)
	d.program.kill(t)
	d.watch.availability(t, "offline")

	d.run(t)
	d.watch.operation(t, "third", "completed")
	var ended []string
	for _, op := range d.watch.events(t, func(op operation) bool { return op.State == "completed" }) {
		ended = append(ended, op.ID)
	}
	if want := []string{"first", "second", "third"}; !slices.Equal(ended, want) {
		t.Errorf("completed are %q, want %q", ended, want)
	}
	if op := d.watch.operation(t, "first", "retrying"); op.Error.Code != "interrupted" || op.Attempt != 1 {
		t.Errorf("what ran goes on as %+v", op)
	}
	if op := d.watch.operation(t, "first", "completed"); op.Attempt != 2 {
		t.Errorf("what ran has completed as %+v, want a second attempt", op)
	}
	s := d.watch.state(t, "three ended", func(s state) bool { return s.OperationsTotal == 3 })
	if s.Angle == nil || *s.Angle < 94 || *s.Angle > 96 {
		t.Errorf("the state is %+v, want 95°", s)
	}

	// Sent again, they are what they were.
	d.broker.publishLines(t, d.topic("angle/set"), []string{`{"angle": 100, "id": "first"}`, `{"angle": 101, "id": "second"}`})
	if op := d.watch.operation(t, "second", "rejected"); op.Error.Code != "duplicate_id" {
		t.Errorf("another command with the id is answered with %+v", op)
	}
}

func TestKilledWithAQueueAndBackTooLate(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow, "PLATE_RESORT_RESUME_WINDOW=1ms")
	d.sendMoves(t)
	d.program.kill(t)
	d.run(t)
	for _, id := range []string{"first", "second", "third"} {
		if op := d.watch.operation(t, id, "interrupted"); !strings.Contains(op.Error.Message, "could not go on within 1ms") {
			t.Errorf("operation %s says %q", id, op.Error.Message)
		}
	}
	d.watch.availability(t, "offline")
	d.watch.status(t, "ready")
	d.atRest(t)
}

// SIGTERM means it: nothing goes on, though the process is back at once.
func TestEndedWithAQueue(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	d.sendMoves(t)
	d.shutDown(t)
	d.run(t)
	d.watch.availability(t, "online")
	d.watch.status(t, "ready")
	for _, id := range []string{"first", "second", "third"} {
		d.watch.operation(t, id, "interrupted")
		if states := d.watch.states(t, id); slices.Contains(states, "retrying") {
			t.Errorf("operation %s was %v", id, states)
		}
	}
	d.atRest(t)
}

// A stop that was sent while the device was away comes before anything that would go on.
func TestAStopWhileTheDeviceWasKilled(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	d.sendMoves(t)
	d.program.kill(t)
	d.watch.availability(t, "offline")
	d.send(t, "stop", `{"id": "stop"}`)
	d.run(t)
	d.watch.until(t, "operation", "end of the stop", func(m message) bool { // which can come before there is a motor
		op := decode[operation](t, m)
		return op.ID == "stop" && (op.State == "completed" || op.State == "failed" && op.Error.Code == "motor_disconnected")
	})
	for _, id := range []string{"first", "second", "third"} {
		if op := d.watch.operation(t, id, "cancelled"); op.Error.Code != "emergency_stopped" {
			t.Errorf("operation %s ended with %+v", id, op.Error)
		}
	}
	if states := d.watch.states(t, "first"); slices.Contains(states[slices.Index(states, "retrying"):], "running") {
		t.Errorf("the first operation was %v", states)
	}
	d.watch.status(t, "e_stop")
}

func TestTheLatchSurvivesAKill(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.do(t, "stop", `{"id": "stop"}`, "stop")
	d.program.kill(t)
	d.watch.availability(t, "offline")
	d.run(t)
	d.watch.availability(t, "online")
	d.watch.state(t, "e_stop with the motor", func(s state) bool {
		return s.Status == "e_stop" && s.EmergencyStop && s.Connection == "connected" && !s.Torque
	})
	d.send(t, "home", `{"id": "refused"}`)
	if op := d.watch.operation(t, "refused", "rejected"); op.Error.Code != "emergency_stopped" {
		t.Errorf("a move is answered with %+v", op)
	}
	d.shutDown(t)
	servo := d.openServo(t)
	if torque := servo.read(t, dynamixel.TorqueEnable); torque != 0 {
		t.Error("torque is on")
	}
}

func TestAReleaseSurvivesAKill(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.do(t, "connection", `{"state": "OFF", "id": "off"}`, "off")
	d.program.kill(t)
	d.watch.availability(t, "offline")
	d.run(t)
	d.watch.availability(t, "online")
	if s := d.watch.status(t, "requires_init"); s.Connection != "released" {
		t.Errorf("the state is %+v", s)
	}
	d.do(t, "connection", `{"state": "ON", "id": "on"}`, "on")
	d.watch.status(t, "ready")
}

// What the broker did not get comes after the kill, in order.
func TestEventsSurviveAnOutageWithAKill(t *testing.T) {
	t.Parallel()
	d, g := moveUnheard(t)
	d.program.kill(t)
	d.run(t)

	d.broker.start(t)
	d.rewatch(t)
	g.open(t)
	var ended []string
	for op := d.watch.event(t); ; op = d.watch.event(t) {
		if op.State == "retrying" {
			continue
		}
		ended = append(ended, op.ID+" "+op.State)
		if op.ID == "third" {
			break
		}
	}
	// If the end of the third was not on disk yet, it does not go on: the broker has forgotten the stop's session.
	want := []string{"first completed", "second completed", "third completed"}
	if ended[len(ended)-1] == "third interrupted" {
		want[2] = "third interrupted"
	}
	if !slices.Equal(ended, want) {
		t.Errorf("after the outage these have ended: %q, want %q", ended, want)
	}
}

func TestASecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	second := start(t, "second", d.settings, plateResort, "run")
	if status := second.status(t); status != 1 {
		t.Errorf("the exit status is %d, want 1", status)
	}
	if second.count("another process", fmt.Sprintf("process %d ", d.program.cmd.Process.Pid)) != 1 {
		t.Error("it does not say which process has the journal")
	}
	d.do(t, "hotel", `{"hotel": "B", "id": "still"}`, "still")
}

func TestAJournalThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	d := prepareDevice(t, b, brisk)
	path := filepath.Join(d.stateDir, "lab", "journal.db")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("no journal\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	d.startServo(t)
	d.run(t)
	d.watch.availability(t, "online")
	if s := d.watch.status(t, "degraded"); !strings.Contains(s.Message, path+".unreadable-") {
		t.Errorf("the message is %q", s.Message)
	}
	d.program.awaitText(t, "level=ERROR", "put aside")
	d.do(t, "hotel", `{"hotel": "B", "id": "moves"}`, "moves")
}

// A limit on the size of files is to the program what a full disk is: the kernel refuses to write.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	full := func(bytes uint64) {
		t.Helper()
		limit := unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}
		if err := unix.Prlimit(d.program.cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
			t.Fatal(err)
		}
	}
	full(0)
	d.do(t, "hotel", `{"hotel": "B", "id": "moves"}`, "moves")
	if op := d.watch.operation(t, "moves", "queued"); op.Durable == nil || *op.Durable {
		t.Errorf("the first event is %+v, want one that is no receipt", op)
	}
	if s := d.watch.status(t, "degraded"); !strings.Contains(s.Message, "full") {
		t.Errorf("the message is %q", s.Message)
	}
	d.do(t, "stop", `{"id": "stop"}`, "stop")
	d.do(t, "reset", `{"id": "reset"}`, "reset")

	full(unix.RLIM_INFINITY)
	d.watch.status(t, "ready")
	d.do(t, "home", `{"id": "after"}`, "after")
	if op := d.watch.operation(t, "after", "queued"); op.Durable != nil {
		t.Errorf("the first event is %+v, want a receipt", op)
	}
	d.program.kill(t)
	d.run(t)
	d.watch.availability(t, "online")
	d.send(t, "hotel", `{"hotel": "C", "id": "moves"}`)
	if op := d.watch.operation(t, "moves", "rejected"); op.Error.Code != "duplicate_id" {
		t.Errorf("what was done while the disk was full is not known: %+v", op)
	}
}

// atRest ends the program and checks that the carousel does not turn.
func (d *device) atRest(t *testing.T) {
	t.Helper()
	if d.program.end(syscall.SIGTERM); d.program.running() {
		t.Fatal("the device does not end")
	}
	servo := d.openServo(t)
	if moving := servo.read(t, dynamixel.Moving); moving != 0 {
		t.Error("the carousel turns")
	}
}
