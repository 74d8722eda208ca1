//go:build e2e

package cmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// scan runs plate-resort scan and returns it when it has ended with that status.
func scan(t *testing.T, wantStatus int, args ...string) *process {
	t.Helper()
	p := start(t, "scan", nil, plateResort, append([]string{"scan"}, args...)...)
	if status := p.status(t); status != wantStatus {
		t.Errorf("scan %s ended with status %d, want %d:\n%s", strings.Join(args, " "), status, wantStatus, p.output())
	}
	return p
}

func TestScan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	terminal, other, missing := filepath.Join(dir, "servo"), filepath.Join(dir, "other"), filepath.Join(dir, "missing")
	start(t, "simulate", nil, plateResort, "simulate", "--link", terminal, "--id", "7", "--baud", "1000000").awaitText(t, "is on "+terminal)
	if err := os.Symlink(terminal, other); err != nil {
		t.Fatal(err)
	}

	p := scan(t, 0, "--port", missing, "--port", terminal, "--port", other, "--baud", "1000000", "--baud", "2000000")
	p.awaitText(t, "there is no serial port "+missing)
	p.awaitText(t, "trying "+terminal+" at 1000000 baud")
	p.awaitText(t, "trying "+terminal+" at 2000000 baud")
	p.awaitText(t, "PORT", "BAUD", "ID", "MODEL", "FIRMWARE")
	p.awaitText(t, terminal, "1000000", "7", "XC330-T288", "52")
	p.awaitText(t, "PLATE_RESORT_MOTOR_PORT="+terminal)
	p.awaitText(t, "PLATE_RESORT_MOTOR_BAUD=1000000")
	p.awaitText(t, "PLATE_RESORT_MOTOR_ID=7")
	if n := p.count(missing); n != 1 {
		t.Errorf("the missing port is named %d times", n)
	}
	if p.count(other) > 0 {
		t.Error("the port is scanned by its other name, too")
	}

	p = scan(t, 0, "--port", terminal, "--baud", "1000000", "--json")
	p.awaitText(t, `{"port":"`+terminal+`","baud":1000000,"id":7,"model":"XC330-T288","model_number":1220,"firmware":52}`)
	if p.count("PORT") > 0 {
		t.Error("the table is printed, too")
	}

	scan(t, 1, "--port", missing).awaitText(t, "no port could be scanned")
	scan(t, 2, "--port", terminal, "--baud", "57601").awaitText(t, "--baud is 57601; it must be one of")
	scan(t, 2, "--port", "").awaitText(t, "--port is empty")
	scan(t, 2, terminal).awaitText(t, "takes no argument")
}

func TestScanEndsAtOnce(t *testing.T) {
	t.Parallel()
	terminal := filepath.Join(t.TempDir(), "servo")
	start(t, "simulate", nil, plateResort, "simulate", "--link", terminal).awaitText(t, "is on "+terminal)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p := start(t, "scan", nil, plateResort, "scan", "--port", terminal, "--baud", "9600,115200,57600")
		p.awaitText(t, "trying "+terminal+" at 9600 baud")
		p.end(signal)
		p.status(t)
		if p.count("115200") > 0 {
			t.Errorf("after %v it went on", signal)
		}
	}
}

// A device has its port to itself.
func TestScanOfAPortInUse(t *testing.T) {
	t.Parallel()
	d := newDevice(t)
	p := scan(t, 1, "--port", d.terminal, "--baud", "57600,1000000")
	p.awaitText(t, "serial port "+d.terminal+" is in use by another program")
	if n := p.count("in use"); n != 1 {
		t.Errorf("it is said %d times that the port is in use", n)
	}
	if p.count("trying") > 0 {
		t.Error("the port is scanned")
	}
}
