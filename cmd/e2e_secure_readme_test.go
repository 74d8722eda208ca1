//go:build e2e

package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The README's section about a broker that others can reach does what it says, block by block and as it is printed. Only
// what its commands begin with is the test's: sudo, which knows another place for Mosquitto's files, and its name.
func TestSecureReadme(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	b := emptySecureBroker(t)
	home, bin := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(bin, "sudo"), `#!/bin/sh
case "$1 $2" in
"apt-get install" | "systemctl restart") echo "ran: $*" ;;
"mosquitto/setup "*)
	shift
	[ "$*" = 'broker broker.lab' ] && set -- broker localhost
	exec mosquitto/setup --dir '`+b.dir+`' --port `+b.port+` "$@"
	;;
*) echo "unknown: $*" >&2; exit 1 ;;
esac
`)
	if err := os.Chmod(filepath.Join(bin, "sudo"), 0o755); err != nil {
		t.Fatal(err)
	}
	terminal := filepath.Join(t.TempDir(), "servo")
	start(t, "simulate", nil, plateResort, "simulate", "--link", terminal).awaitText(t, "is on "+terminal)
	env := append(goEnvironment(t), "HOME="+home, "PATH="+bin+":"+os.Getenv("PATH"), "PLATE_RESORT_MOTOR_PORT="+terminal, brisk)
	// Compiling can take longer than anything else here, and go run finds it done.
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", os.DevNull, root).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	run := func(block string) *process {
		p := start(t, "the README", env, "sh", "-ec", "cd '"+root+"'\n"+block)
		t.Cleanup(func() { // before that of start, which knows only of the shell
			if p.running() {
				_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
			}
		})
		return p
	}
	ends := func(block string) *process {
		p := run(block)
		if status := p.status(t); status != 0 {
			t.Fatalf("the status is %d of\n%s\n%s", status, block, p.output())
		}
		return p
	}

	blocks := section(t, filepath.Join(root, "README.md"), "## A broker that others can reach")
	if len(blocks) != 6 {
		t.Fatalf("the README's section has %d blocks, want 6", len(blocks))
	}
	blocks = slices.Delete(blocks, 2, 4) // from one machine to another, and what TestPackage does
	ends(blocks[0]).awaitText(t, "ran: systemctl restart mosquitto")
	b.change(t, "listener "+b.port, "listener "+b.port+" localhost")
	b.start(t)
	run(blocks[1]).awaitText(t, "motor connected")
	ends(blocks[2]).awaitText(t, "completed in")
	viewer := run(blocks[3])
	viewer.awaitText(t, "plate-resort/lab1/availability online")
	viewer.awaitText(t, "plate-resort/lab1/history ", `"parameters":{"hotel":"B"}`, `"parameters":{"hotel":"C"}`)
}

// goEnvironment keeps what go has built where it is, with another home.
func goEnvironment(t *testing.T) []string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	user, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	gopath, modules, build := os.Getenv("GOPATH"), os.Getenv("GOMODCACHE"), os.Getenv("GOCACHE")
	if gopath == "" {
		gopath = filepath.Join(user, "go")
	}
	if modules == "" {
		modules = filepath.Join(gopath, "pkg", "mod")
	}
	if build == "" {
		build = filepath.Join(cache, "go-build")
	}
	return []string{"GOPATH=" + gopath, "GOMODCACHE=" + modules, "GOCACHE=" + build}
}

// section returns the fenced blocks below a heading of a Markdown file.
func section(t *testing.T, path, heading string) (blocks []string) {
	t.Helper()
	_, text, found := strings.Cut(readFile(t, path), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no %s", path, heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	for i, part := range strings.Split("\n"+text, "\n```") {
		if i%2 == 1 {
			_, block, _ := strings.Cut(part, "\n")
			blocks = append(blocks, block)
		}
	}
	return blocks
}
