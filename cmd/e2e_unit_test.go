//go:build e2e

package cmd_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const unitFile = "../deploy/plate-resort.service"

// unitSettings returns the values that the unit has for a name, in their order.
func unitSettings(t *testing.T, name string) (values []string) {
	t.Helper()
	unit, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(unit)) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), name+"="); found {
			values = append(values, value)
		}
	}
	return values
}

// runTool runs a program to its end, which must be a good one, and returns what it prints.
func runTool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := lookTool(name)
	if err != nil {
		t.Fatalf("this test needs %s, which make test installs: %v", name, err)
	}
	c := exec.CommandContext(t.Context(), path, args...)
	c.Env = append(cleanEnvironment(), "LC_ALL=C")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// systemd understands the unit, and finds it as closed as it is meant to be.
func TestUnit(t *testing.T) {
	t.Parallel()
	unit, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	// The program is not installed here.
	here := filepath.Join(t.TempDir(), "plate-resort.service")
	if err := os.WriteFile(here, bytes.Replace(unit, []byte("/usr/bin/plate-resort"), []byte(plateResort), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	if complaints := runTool(t, "systemd-analyze", "verify", here); complaints != "" {
		t.Errorf("systemd-analyze verify says:\n%s", complaints)
	}
	runTool(t, "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", here) // 2.0
}

// Go's exit status for a crash is that of wrong settings, with which the unit is not started again.
func TestACrashIsNoExitStatus(t *testing.T) {
	t.Parallel()
	if got := unitSettings(t, "RestartPreventExitStatus"); !slices.Equal(got, []string{"2"}) {
		t.Fatalf("RestartPreventExitStatus is %q", got)
	}
	d := prepareDevice(t, newBroker(t), unitSettings(t, "Environment")...)
	d.startServo(t)
	d.run(t)
	d.watch.status(t, "ready")
	d.program.end(syscall.SIGABRT) // as the watchdog does
	d.program.status(t)
	if status := d.program.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGABRT {
		t.Errorf("after SIGABRT it ended with %v, want it ended by the signal", d.program.cmd.ProcessState)
	}
}

// The unit's filter lets every system call through that a device makes in its life.
func TestTheUnitAllowsWhatTheProgramCalls(t *testing.T) {
	t.Parallel()
	strace, err := lookTool("strace")
	if err != nil {
		t.Fatalf("this test needs strace, which make test installs: %v", err)
	}
	program, counts := buildPlain(t), filepath.Join(t.TempDir(), "counts")
	d := prepareDevice(t, newBroker(t), brisk)
	d.settings = append(d.settings, "PLATE_RESORT_MQTT_BROKER=tcp://localhost:"+d.broker.port)
	d.startServo(t)
	d.program = start(t, "run", d.settings, strace, "-f", "-c", "-o", counts, program, "run")
	d.watch.status(t, "ready")
	d.do(t, "hotel", `{"hotel": "B", "id": "move"}`, "move")
	d.do(t, "schedules/night", `{"every_seconds": 3600, "operation": "home", "id": "plan"}`, "plan")
	d.do(t, "connection", `{"state": "OFF", "id": "off"}`, "off")
	d.do(t, "connection", `{"state": "ON", "id": "on"}`, "on")
	d.ask(t, 0, "check")
	_ = syscall.Kill(-d.program.cmd.Process.Pid, syscall.SIGTERM) // strace keeps it to itself
	d.program.status(t)
	table := readFile(t, counts)

	allowed := make(map[string]bool)
	for _, filter := range unitSettings(t, "SystemCallFilter") {
		names, deny := strings.CutPrefix(filter, "~")
		for _, name := range strings.Fields(names) {
			for _, call := range systemCalls(t, name) {
				allowed[call] = !deny
			}
		}
	}
	made := regexp.MustCompile(`(?m)^ *[0-9.]+ +[0-9.]+ .* (\w+)$`).FindAllStringSubmatch(table, -1)
	for _, call := range made {
		if name := call[1]; name != "total" && !allowed[name] {
			t.Errorf("the unit does not allow the system call %s", name)
		}
	}
	for _, name := range []string{"ioctl", "flock", "fdatasync", "connect"} { // it has had its life
		if !slices.ContainsFunc(made, func(call []string) bool { return call[1] == name }) {
			t.Errorf("strace has not seen the system call %s", name)
		}
	}
	if allowed["mount"] || allowed["ptrace"] || allowed["setuid"] {
		t.Error("the filter allows too much")
	}
}

// buildPlain builds the program as the package has it: the race detector makes calls of its own.
func buildPlain(t *testing.T) (program string) {
	t.Helper()
	compiling.Lock()
	defer compiling.Unlock()
	program = filepath.Join(t.TempDir(), "plate-resort")
	runTool(t, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-buildvcs=false", "-o", program, "..")
	return program
}

// systemCalls returns those of a set, and of the sets in it.
func systemCalls(t *testing.T, name string) (calls []string) {
	t.Helper()
	if !strings.HasPrefix(name, "@") {
		return []string{name}
	}
	for line := range strings.Lines(runTool(t, "systemd-analyze", "syscall-filter", "--no-pager", name)) {
		if line, inside := strings.CutPrefix(line, "    "); inside && !strings.HasPrefix(line, "#") {
			calls = append(calls, systemCalls(t, strings.TrimSpace(line))...)
		}
	}
	return calls
}
