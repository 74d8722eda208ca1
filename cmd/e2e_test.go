//go:build e2e

// The end-to-end tests: the built program as people run it, between a real Mosquitto, the real
// mosquitto_pub and mosquitto_sub, and the simulated servo on a pseudo-terminal.
//
//	mosquitto_pub ──► mosquitto ──► plate-resort run ──► terminal ──► plate-resort simulate
//	                      └──► mosquitto_sub ──► watch
//
// Those named TestBrowser look at the dashboard in a real Chromium.
//
// Nothing here sleeps: a test waits for what it reads from mosquitto_sub, or from a program's output.
// Waiting too long is a failure, and so is a missing tool.
package cmd_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	// The program is built and run, not linked. This makes go test run the tests again when it has
	// changed, instead of taking the last result from its cache.
	_ "github.com/plate-resort/plate-resort/cmd"
)

// patience is how long a test waits for something that comes at once on a machine with nothing else
// to do. A test that passes never waits for it.
const patience = 30 * time.Second

// The programs.
var plateResort, mosquitto, mosquittoPub, mosquittoSub string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	for name, path := range map[string]*string{
		"mosquitto":     &mosquitto,
		"mosquitto_pub": &mosquittoPub,
		"mosquitto_sub": &mosquittoSub,
	} {
		var err error
		if *path, err = lookTool(name); err != nil {
			fmt.Fprintf(os.Stderr, "FAIL: the end-to-end tests need %s, which make test installs: %v\n", name, err)
			return 1
		}
	}
	dir, err := os.MkdirTemp("", "plate-resort-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	plateResort = filepath.Join(dir, "plate-resort")
	if out, err := exec.Command("go", "build", "-race", "-buildvcs=false", "-o", plateResort, "..").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "FAIL: go build -race, which needs the C compiler that make test installs: %v\n%s", err, out)
		return 1
	}
	chromium.dir = filepath.Join(dir, "chromium")
	defer chromium.end()
	return m.Run()
}

// lookTool finds a program. Debian has the broker in /usr/sbin, which is not on everybody's PATH.
func lookTool(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	if path, sbinErr := exec.LookPath("/usr/sbin/" + name); sbinErr == nil {
		return path, nil
	}
	return "", err
}
