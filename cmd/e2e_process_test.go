//go:build e2e

package cmd_test

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A process is a program that runs beside the test, and ends with it at the latest. What it printed
// is shown when the test fails.
type process struct {
	name   string
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended and everything it printed is in lines

	mu    sync.Mutex
	lines []string
	grew  chan struct{} // closed, and replaced, when there are more lines
}

// start runs a program with these variables in a clean environment.
func start(t testing.TB, name string, env []string, program string, args ...string) *process {
	t.Helper()
	p := &process{name: name, cmd: exec.Command(program, args...), exited: make(chan struct{}), grew: make(chan struct{})}
	p.cmd.Env = append(cleanEnvironment(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &lineWriter{process: p}, &lineWriter{process: p}
	p.cmd.WaitDelay = patience                              // for the output, if a grandchild holds it open
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that a Ctrl-C in the terminal is the test's alone
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // the status is in ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() {
		if program == mosquittoSub {
			p.end(syscall.SIGKILL) // now and then it sleeps through a SIGTERM
		}
		if p.running() && !p.end(syscall.SIGTERM) {
			t.Errorf("%s did not end within %v of SIGTERM", name, patience)
			p.end(syscall.SIGKILL)
		}
		output := p.output()
		if strings.Contains(output, "DATA RACE") || strings.Contains(output, "panic:") {
			t.Errorf("%s has a data race or a panic", name)
		}
		if t.Failed() && name != "observer" { // which has what the watches have, in hexadecimal
			t.Logf("%s printed:\n%s", name, shorten(output))
		}
	})
	return p
}

// cleanEnvironment is the environment without anybody's settings.
func cleanEnvironment() []string {
	return append(slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "PLATE_RESORT_")
	}), "GORACE=atexit_sleep_ms=10") // else a program built with -race takes a second to end
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// end sends a signal and reports whether the process has ended.
func (p *process) end(signal syscall.Signal) bool {
	if p.running() {
		_ = p.cmd.Process.Signal(signal) // fails only if it has just ended
	}
	select {
	case <-p.exited:
		return true
	case <-time.After(patience):
		return false
	}
}

// kill ends the process as a power cut would, without a last word.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if !p.end(syscall.SIGKILL) {
		t.Fatalf("%s cannot be killed", p.name)
	}
}

// status waits for the process to end by itself and returns its exit status.
func (p *process) status(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("%s has not ended within %v", p.name, patience)
		return 0
	}
}

// transcript returns the lines that the process has printed, and a channel that is closed when there
// are more.
func (p *process) transcript() ([]string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lines, p.grew
}

func (p *process) output() string {
	lines, _ := p.transcript()
	return strings.Join(lines, "\n")
}

// await waits for a line that matches, the first one at index from or after, and returns its index.
func (p *process) await(t testing.TB, what string, from int, match func(line string) bool) int {
	t.Helper()
	timeout := time.After(patience)
	for i, ended := from, false; ; {
		lines, grew := p.transcript()
		for ; i < len(lines); i++ {
			if match(lines[i]) {
				return i
			}
		}
		if ended {
			t.Fatalf("%s has ended, and there was no %s", p.name, what)
		}
		select {
		case <-grew:
		case <-p.exited:
			ended = true // the last lines have not been looked at
		case <-timeout:
			t.Fatalf("%s: no %s within %v", p.name, what, patience)
		}
	}
}

// awaitText waits for a line that contains all of the texts.
func (p *process) awaitText(t testing.TB, texts ...string) string {
	t.Helper()
	i := p.await(t, "line with "+strings.Join(texts, " and "), 0, func(line string) bool { return containsAll(line, texts) })
	lines, _ := p.transcript()
	return lines[i]
}

// count returns how many lines contain all of the texts.
func (p *process) count(texts ...string) (n int) {
	lines, _ := p.transcript()
	for _, line := range lines {
		if containsAll(line, texts) {
			n++
		}
	}
	return n
}

func containsAll(line string, texts []string) bool {
	return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) })
}

// A lineWriter adds what is written to it to the process's lines.
type lineWriter struct {
	process *process
	rest    []byte
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.rest = append(w.rest, b...)
	p := w.process
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(b), nil
		}
		p.lines = append(p.lines, string(line))
		w.rest = rest
		close(p.grew)
		p.grew = make(chan struct{})
	}
}

// shorten keeps the end of a long output.
func shorten(output string) string {
	const most = 10_000
	if len(output) > most {
		return "…" + output[len(output)-most:]
	}
	return output
}
