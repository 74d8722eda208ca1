//go:build e2e

package cmd_test

import (
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The scripts of examples/shell, as they stand.
func TestShellExamples(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	env := []string{"PORT=" + d.broker.port, "BROKER=127.0.0.1", "DEVICE=plate-resort/lab"}
	run := func(script, want string, args ...string) {
		t.Helper()
		c := exec.CommandContext(t.Context(), "../examples/shell/"+script, args...)
		c.Env = append(c.Environ(), env...)
		out, err := c.CombinedOutput()
		result := strings.TrimSpace(string(out))
		if err != nil {
			result = err.Error() + ": " + result
		}
		if !regexp.MustCompile("^" + want + "$").MatchString(result) {
			t.Errorf("%s %v: %s\nwant %s", script, args, result, want)
		}
	}
	follower := start(t, "watch.sh", env, "../examples/shell/watch.sh")
	t.Cleanup(func() { // what a Ctrl-C does, to the shell and its children
		_ = syscall.Kill(-follower.cmd.Process.Pid, syscall.SIGKILL)
	})
	run("state.sh", `ready: Ready at 0.00°, 0°`)
	run("move.sh", `hotel B, 10[89]\.?\d*°`, "B")
	run("move.sh", `exit status 1: rejected: hotel "Z" is not one of A, B, C, D`, "Z")
	d.watch.state(t, "hotel B", func(s state) bool { return s.Status == "ready" && s.Hotel == "B" })
	run("state.sh", `ready: Ready at hotel B, 10[89]\.?\d*°`)
	run("health.sh", `"20.*Z",\d+,12,-?[\d.]+,`, "1")
	run("stop.sh", `stopped, torque off`)
	for end := time.Now().Add(patience); follower.count("hotel\tA\trejected\tthe emergency stop is latched") == 0; {
		if time.Now().After(end) {
			t.Fatal("watch.sh does not show what happens")
		}
		run("move.sh", `exit status 1: rejected: the emergency stop is latched.*`, "A")
	}
	d.rewatch(t) // a machine that has no time may have lost it before
	d.servo.kill(t)
	d.watch.state(t, "loss of the servo", func(s state) bool { return s.Connection != "connected" })
	run("stop.sh", `exit status 1: failed: .*`)
	d.shutDown(t)
	run("state.sh", `exit status 1: offline`)
	run("move.sh", `exit status 1: the device is offline`, "A")
	run("stop.sh", `exit status 1: the device is offline: nothing says that its torque is off`)
	env[0] = "PORT=" + freePort(t)
	for script, argument := range map[string]string{"state.sh": "", "move.sh": "A", "stop.sh": "", "health.sh": "1", "watch.sh": ""} {
		run(script, `exit status 1: (?s:.*)the broker 127\.0\.0\.1:\d+ cannot be reached`, argument)
	}
}
