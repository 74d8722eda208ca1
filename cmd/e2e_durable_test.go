//go:build e2e

package cmd_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// A receipt leaves the process after the disk has said that it has the operation: between what is written to the journal
// and what is sent to the broker there is an fdatasync that has returned.
func TestReceiptAfterTheDisk(t *testing.T) {
	t.Parallel()
	strace, err := lookTool("strace")
	if err != nil {
		t.Fatalf("this test needs strace, which make test installs: %v", err)
	}
	d := prepareDevice(t, newBroker(t), brisk)
	d.startServo(t)
	calls := filepath.Join(t.TempDir(), "calls")
	d.program = start(t, "run", d.settings, strace, "-f", "-y", "-s", "400", "-e", "trace=pwrite64,fdatasync,write", "-e", "signal=none",
		"-o", calls, buildPlain(t), "run")
	d.watch.status(t, "ready")
	ids := []string{"first", "second", "third"}
	for _, id := range ids {
		d.do(t, "refresh", `{"id": "`+id+`"}`, id)
	}
	d.do(t, "hotel", `{"hotel": "B", "id": "move"}`, "move")
	_ = syscall.Kill(-d.program.cmd.Process.Pid, syscall.SIGTERM) // strace keeps it to itself
	d.program.status(t)

	lines := strings.Split(readFile(t, calls), "\n")
	writes, syncs := regexp.MustCompile(`pwrite64\(\d+<.*/journal\.db>`), regexp.MustCompile(`fdatasync(\(\d+<.*/journal\.db>\)| resumed>\)?\)?) += 0`)
	for _, id := range append(ids, "move") {
		wrote, synced := false, 0 // since the last receipt
		receipt := -1
		for i, line := range lines {
			switch {
			case writes.MatchString(line):
				wrote = true
			case wrote && syncs.MatchString(line):
				wrote = false
				synced++
			case strings.Contains(line, "write(") && strings.Contains(line, `lab/operation`) && strings.Contains(line, `\"id\":\"`+id+`\"`):
				receipt = i
			}
			if receipt >= 0 {
				break
			}
		}
		switch {
		case receipt < 0:
			t.Errorf("no receipt of %s is among %d system calls", id, len(lines))
		case synced < 2: // what has changed, and then where that is
			t.Errorf("the receipt of %s is sent before the disk has it:\n%s", id, strings.Join(lines[max(0, receipt-8):receipt+1], "\n"))
		}
		lines = lines[max(receipt, 0):]
	}
	t.Logf("%d receipts, each after the disk has said that it has the operation", len(ids)+1)
}
