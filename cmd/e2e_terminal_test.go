//go:build e2e

package cmd_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// A terminal is a program that runs on a pseudo-terminal, and everything that it has written there.
type terminal struct {
	keys *os.File
	cmd  *exec.Cmd

	mu     sync.Mutex
	screen strings.Builder
	grew   chan struct{} // closed, and replaced, when there is more
	ended  bool
}

// onTerminal runs a program on a terminal that is so many columns wide.
func onTerminal(t *testing.T, columns int, env []string, program string, args ...string) *terminal {
	t.Helper()
	c := exec.Command(program, args...)
	c.Env = append(append(cleanEnvironment(), "TERM=xterm"), env...)
	keys, err := pty.StartWithSize(c, &pty.Winsize{Rows: 24, Cols: uint16(columns)})
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{keys: keys, cmd: c, grew: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.read()
		_ = c.Wait() // the status is in ProcessState
	}()
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGHUP) // fails only if it has ended
		select {
		case <-done:
		case <-time.After(patience):
			_ = c.Process.Kill()
			<-done
		}
		_ = keys.Close()
		text := x.text()
		if strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic:") {
			t.Errorf("%s has a data race or a panic", program)
		}
		if t.Failed() {
			t.Logf("on the terminal of %s %v:\n%q", program, args, text)
		}
	})
	return x
}

// read takes what is written on the terminal until nobody has it open any more.
func (x *terminal) read() {
	buffer := make([]byte, 4096)
	for {
		n, err := x.keys.Read(buffer)
		x.mu.Lock()
		x.screen.Write(buffer[:n])
		x.ended = err != nil
		close(x.grew)
		x.grew = make(chan struct{})
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.screen.String()
}

// await waits until what was written from this place on matches, and returns the place behind it.
func (x *terminal) await(t *testing.T, from int, pattern string) int {
	t.Helper()
	re := regexp.MustCompile(pattern)
	timeout := time.After(patience)
	for {
		x.mu.Lock()
		text, grew, ended := x.screen.String(), x.grew, x.ended
		x.mu.Unlock()
		if at := re.FindStringIndex(text[from:]); at != nil {
			return from + at[1]
		}
		if ended {
			t.Fatalf("the program has ended, and there was no %s", pattern)
		}
		select {
		case <-grew:
		case <-timeout:
			t.Fatalf("there was no %s within %v", pattern, patience)
		}
	}
}

func (x *terminal) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := x.keys.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// awaitEnd waits for the program to end.
func (x *terminal) awaitEnd(t *testing.T) {
	t.Helper()
	timeout := time.After(patience)
	for {
		x.mu.Lock()
		grew, ended := x.grew, x.ended
		x.mu.Unlock()
		if ended {
			return
		}
		select {
		case <-grew:
		case <-timeout:
			t.Fatalf("the program has not ended within %v", patience)
		}
	}
}

const (
	erase  = `\x1b\[K`
	number = `-?\d+\.\d\d°`
)

func TestSendOnATerminal(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	env := []string{"PLATE_RESORT_MQTT_BROKER=" + d.broker.url(), "PLATE_RESORT_DEVICE_ID=lab"}

	x := onTerminal(t, 80, env, plateResort, "send", "hotel", "B")
	at := x.await(t, 0, `\rrunning  `+number+` → 109\.00°  hotel B`+erase)
	at = x.await(t, at, `\rrunning  `+number+` → 109\.00°  hotel B`+erase)
	x.await(t, at, `\r`+erase+`\x1b\[32mcompleted\x1b\[m in .* s: at 10\d\.\d\d°, [-+]\d\.\d\d° from the goal, in the position stage\r\n$`)
	x.awaitEnd(t)

	env = append(env, "NO_COLOR=1")
	x = onTerminal(t, 20, env, plateResort, "send", "hotel", "A")
	x.await(t, 0, `\rrunning  `+number+` → \d{0,3}`+erase)
	x.awaitEnd(t)
	text := x.text()
	if strings.Contains(text, "\x1b[3") {
		t.Error("it has colours in spite of NO_COLOR")
	}
	for _, line := range regexp.MustCompile(`\r([^\r\n\x1b]*)\x1b`).FindAllStringSubmatch(text, -1) {
		if len([]rune(line[1])) >= 20 {
			t.Errorf("the last line has %d columns of 20: %s", len([]rune(line[1])), line[1])
		}
	}

	for _, plain := range []*terminal{
		onTerminal(t, 80, append(env, "TERM=dumb"), plateResort, "send", "hotel", "B"), // the last TERM counts
		onTerminal(t, 80, env, plateResort, "send", "hotel", "A", "--json"),
	} {
		plain.awaitEnd(t)
		if text := plain.text(); !strings.Contains(text, "completed") || regexp.MustCompile(`\x1b|\r[^\n]`).MatchString(text) {
			t.Errorf("a plain output is %q", text)
		}
	}
	p := d.ask(t, 0, "send", "hotel", "C")
	if text := p.output(); regexp.MustCompile(`\x1b|\r|→`).MatchString(text) {
		t.Errorf("into a pipe it printed %q", text)
	}
}

func TestWatchOnATerminal(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	x := onTerminal(t, 80, []string{"PLATE_RESORT_MQTT_BROKER=" + d.broker.url()}, plateResort, "watch")
	at := x.await(t, 0, `lab  \x1b\[32mready\x1b\[m, Ready at 0\.00°\r\n`)
	d.do(t, "hotel", `{"hotel": "B", "id": "move"}`, "move")
	at = x.await(t, at, `\rlab  running  `+number+` → 109\.00°  hotel B`+erase)
	at = x.await(t, at, `lab  hotel B: \x1b\[32mcompleted\x1b\[m in`)
	d.send(t, "hotel", "Z")
	x.await(t, at, `lab  hotel Z: \x1b\[31mrejected\x1b\[m: hotel "Z" is not one of`)
	x.press(t, "\x03") // Ctrl-C
	x.awaitEnd(t)
}
