//go:build e2e

package cmd_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// A disk is a mount namespace in which the program finds its state on something else. It is there longer than the program.
type disk struct{ holder *process }

// mount makes a disk: what the script mounts on $1, which is the directory of the device's state.
func (d *device) mount(t *testing.T, script string) disk {
	t.Helper()
	k := disk{start(t, "disk", nil, "unshare", "--mount", "sh", "-c", "set -e; "+script+"; echo mounted; exec sleep infinity", "sh", d.stateDir)}
	k.holder.awaitText(t, "mounted")
	return k
}

func (k disk) enter() string {
	return "--mount=/proc/" + strconv.Itoa(k.holder.cmd.Process.Pid) + "/ns/mnt"
}

// sh runs a script where the disk is.
func (k disk) sh(t *testing.T, script, dir string) {
	t.Helper()
	runTool(t, "nsenter", k.enter(), "sh", "-c", script, "sh", dir)
}

// runOn runs the program with its state on that disk. The mark is in memory, as on a Pi.
func (d *device) runOn(t *testing.T, k disk) {
	t.Helper()
	d.program = start(t, "run", d.settings, "nsenter", k.enter(), plateResort, "run")
}

// prepareDisk is prepareDevice for a disk that cannot hold the mark.
func prepareDisk(t *testing.T) *device {
	t.Helper()
	d := prepareDevice(t, newBroker(t), brisk)
	d.settings = append(d.settings, "RUNTIME_DIRECTORY="+t.TempDir())
	d.startServo(t)
	return d
}

// expectNoReceipt moves, and fails the test unless the operation is done without a receipt and the state says why.
func (d *device) expectNoReceipt(t *testing.T, hotel, id string, why ...string) {
	t.Helper()
	d.do(t, "hotel", fmt.Sprintf(`{"hotel": %q, "id": %q}`, hotel, id), id)
	for _, state := range []string{"queued", "running", "completed"} {
		if op := d.watch.operation(t, id, state); op.Durable == nil || *op.Durable {
			t.Errorf("%s is %+v, want one that is no receipt", id, op)
		}
	}
	d.watch.state(t, "degraded because of "+strings.Join(why, " and "), func(s state) bool {
		return s.Status == "degraded" && containsAll(s.Message, why)
	})
}

// expectReceipt sends a command again, as somebody does who has no receipt, and fails the test unless one comes.
func (d *device) expectReceipt(t *testing.T, command, payload, id string) {
	t.Helper()
	d.rewatch(t)
	d.send(t, command, payload)
	if op := d.watch.operation(t, id, "completed"); op.Durable != nil || op.Attempt > 1 {
		t.Errorf("sent again, %s is %+v, want the receipt", id, op)
	}
}

func TestADeviceThatBeginsOnAFullDisk(t *testing.T) {
	t.Parallel()
	d := prepareDisk(t)
	k := d.mount(t, `mount -t tmpfs -o size=256k tmpfs "$1"; head -c 1M /dev/zero >"$1/full" 2>/dev/null || true`)
	d.runOn(t, k)
	d.watch.availability(t, "online")
	d.watch.status(t, "degraded")
	d.expectNoReceipt(t, "B", "moves", "no space left on device; free some space there")

	k.sh(t, `rm "$1/full"`, d.stateDir)
	d.watch.status(t, "ready")
	d.expectReceipt(t, "hotel", `{"hotel": "B", "id": "moves"}`, "moves")
	d.program.kill(t)
	d.runOn(t, k)
	d.program.awaitText(t, "motor connected")
	d.expectReceipt(t, "hotel", `{"hotel": "B", "id": "moves"}`, "moves")
}

// What is on a disk that can only be read counts: here a latched stop.
func TestADeviceThatBeginsOnAReadOnlyDisk(t *testing.T) {
	t.Parallel()
	d := prepareDisk(t)
	d.run(t)
	d.watch.status(t, "ready")
	d.do(t, "stop", `{"id": "stop"}`, "stop")
	d.program.kill(t)
	d.watch.availability(t, "offline")

	k := d.mount(t, `mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"`)
	d.runOn(t, k)
	d.watch.availability(t, "online")
	d.watch.state(t, "e_stop with the motor", func(s state) bool { return s.Status == "e_stop" && s.Connection == "connected" })
	d.do(t, "reset", `{"id": "reset"}`, "reset")
	d.expectNoReceipt(t, "B", "moves", "read-only file system; make that file system writable")

	k.sh(t, `mount -o remount,bind,rw "$1"`, d.stateDir)
	d.watch.status(t, "ready")
	d.expectReceipt(t, "hotel", `{"hotel": "B", "id": "moves"}`, "moves")
	d.program.kill(t)
	d.runOn(t, k)
	d.watch.availability(t, "offline")
	d.watch.status(t, "ready") // and not stopped any more
	d.expectReceipt(t, "hotel", `{"hotel": "B", "id": "moves"}`, "moves")
}

// tamper has strace do something to the program's calls for its journal, until release is called. What it prints are those
// calls, and what is written to the servo.
func (d *device) tamper(t *testing.T, inject string) (calls *process, release func()) {
	t.Helper()
	line, err := filepath.EvalSymlinks(d.terminal)
	if err != nil {
		t.Fatal(err)
	}
	calls = start(t, "strace", nil, "strace", "-f", "-y", "-x", "-s", "64", "-P", filepath.Join(d.stateDir, "lab", "journal.db"), "-P", line,
		"-e", "trace=pwrite64,fdatasync,write", "-e", "signal=none", "-e", "inject="+inject, "-p", strconv.Itoa(d.program.cmd.Process.Pid))
	calls.awaitText(t, "attached")
	return calls, func() {
		t.Helper()
		if !calls.end(syscall.SIGTERM) {
			t.Fatal("strace does not let go of the program")
		}
	}
}

// A disk that fails while the program runs: the kernel refuses to write.
func TestADiskThatFailsMeanwhile(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	for i, why := range [][]string{
		{"pwrite64:error=ENOSPC", "no space left on device; free some space there"},
		{"pwrite64:error=EROFS", "read-only file system; make that file system writable"},
		{"fdatasync:error=EIO", "input/output error; see whether the disk is full or failing"},
	} {
		id, hotel := fmt.Sprint("moves-", i), string(rune('B'+i))
		_, release := d.tamper(t, why[0])
		d.expectNoReceipt(t, hotel, id, why[1])
		release()
		d.watch.status(t, "ready")
		d.expectReceipt(t, "hotel", fmt.Sprintf(`{"hotel": %q, "id": %q}`, hotel, id), id)
	}
	d.program.kill(t)
	d.run(t)
	d.program.awaitText(t, "motor connected")
	d.expectReceipt(t, "hotel", `{"hotel": "B", "id": "moves-0"}`, "moves-0")
}

// written is how strace shows the beginning of the instruction that writes to a register.
func written(r dynamixel.Register, value ...byte) string {
	packet := dynamixel.AppendWrite(nil, 1, r, 0)
	var text strings.Builder
	for _, b := range append(packet[:len(packet)-2-int(r.Size)], value...) {
		fmt.Fprintf(&text, `\x%02x`, b)
	}
	return text.String()
}

// While the disk does not return from a call, a move begins, and a stop takes the torque away. The call returns when the
// test has seen that.
func TestMoveAndStopWhileTheDiskHangs(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	calls, release := d.tamper(t, "fdatasync:delay_enter=3600s")
	d.send(t, "refresh", `{"id": "refresh"}`)
	hangs := calls.await(t, "call that hangs", 0, func(line string) bool {
		return containsAll(line, []string{"fdatasync(", "journal.db"}) && !strings.Contains(line, " = ") // strace breaks it where it likes
	})
	line := func(what, text string) {
		t.Helper()
		calls.await(t, what, hangs, func(line string) bool { return containsAll(line, []string{"write(", text}) })
	}

	d.send(t, "angle", `{"angle": 100, "id": "move"}`)
	line("goal on the line", written(dynamixel.GoalPosition))
	d.watch.state(t, "a turning carousel", func(s state) bool { return s.Activity == "running" })
	d.watch.state(t, "degraded", func(s state) bool {
		return s.Activity == "running" && strings.Contains(s.Message, "the disk has not taken them for 2s")
	})
	d.send(t, "stop", `{"id": "stop"}`)
	line("torque off on the line", written(dynamixel.TorqueEnable, 0))
	d.watch.state(t, "e_stop without torque", func(s state) bool { return s.Status == "e_stop" && !s.Torque })
	for id, end := range map[string]string{"refresh": "completed", "move": "cancelled", "stop": "completed"} {
		if op := d.watch.operation(t, id, end); op.Durable == nil || *op.Durable {
			t.Errorf("%s is %+v, want one that is no receipt", id, op)
		}
	}
	if n := calls.count("fdatasync", "resumed") + calls.count("fdatasync(", "= 0"); n > 0 {
		t.Errorf("%d calls have returned: the disk did not hang", n)
	}

	release()
	d.program.awaitText(t, "the disk keeps operations again")
	d.expectReceipt(t, "refresh", `{"id": "refresh"}`, "refresh")
	d.expectReceipt(t, "stop", `{"id": "stop"}`, "stop")
	d.program.kill(t)
	d.run(t)
	d.watch.availability(t, "offline")
	d.watch.status(t, "e_stop")
	d.rewatch(t)
	d.send(t, "angle", `{"angle": 100, "id": "move"}`)
	if op := d.watch.operation(t, "move", "cancelled"); op.Durable != nil {
		t.Errorf("sent again, the move is %+v, want the receipt", op)
	}
}

// What came after a disk began to hang is not on it: killed then, the program does not go on with what was stopped.
func TestKilledWhileTheDiskHangs(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	d.do(t, "refresh", `{"id": "refresh"}`, "refresh")
	d.sendMoves(t)
	d.watch.operation(t, "first", "running")
	calls, _ := d.tamper(t, "fdatasync:delay_enter=3600s")
	d.send(t, "stop", `{"id": "stop"}`, "-q", "0")
	if op := d.watch.operation(t, "stop", "completed"); op.Durable == nil || *op.Durable {
		t.Errorf("the stop is %+v, want one that is no receipt", op)
	}
	d.do(t, "refresh", `{"id": "later"}`, "later")
	_ = d.program.cmd.Process.Kill() // which strace keeps waiting
	calls.kill(t)
	d.program.status(t)

	d.run(t)
	d.watch.availability(t, "offline")
	d.watch.status(t, "ready")
	for _, id := range []string{"first", "second", "third"} {
		if op := d.watch.operation(t, id, "interrupted"); op.Durable != nil {
			t.Errorf("%s is %+v, want a receipt", id, op)
		}
	}
	d.atRest(t)
}
