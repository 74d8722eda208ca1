//go:build e2e

package cmd_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The README's sh blocks do what they say. Each line of them is one command, run as it is printed:
//
//	go run . demo           runs in the background, from here to the end
//	go run . watch          runs beside it, and says that the device is there
//	go run . send …         the operation is completed; or, with a comment behind it,
//	  # answered with: TEXT   is not, and the answer that is printed contains TEXT
//	go run ./examples/go    says where the carousel stands then
//	mosquitto_sub …         runs beside it, and prints what the device has said
//	mosquitto_pub …         the operation is completed; or, with a comment behind it,
//	  # answered with: TEXT   is not, and the answer's message contains TEXT
//	python3 …               succeeds, with a Python that has paho-mqtt
//	make TARGET             the Makefile has the target
func TestReadme(t *testing.T) {
	claimStandardPort(t)
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	r := readme{root: root, tried: make(map[string]int)}
	for _, line := range shLines(t, filepath.Join(root, "README.md")) {
		r.try(t, line)
	}
	for _, command := range []string{"go run . demo", "go run . watch", "go run . send", "go run ./examples/go", "mosquitto_sub", "mosquitto_pub", "python3", "make"} {
		if r.tried[command] == 0 {
			t.Errorf("no sh block of the README has a line with %s", command)
		}
	}
	if r.demo == nil {
		return
	}
	// Ctrl-C, which go run and the demo both get from a terminal.
	if err := syscall.Kill(-r.demo.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	r.demo.status(t) // that of go run, which is 1 after any Ctrl-C; it prints that of the demo unless it is 0
	if n := r.demo.count("exit status"); n > 0 {
		t.Error("the demo failed when it was ended")
	}
}

// shLines returns the lines of the README's fenced sh blocks.
func shLines(t *testing.T, path string) (lines []string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	inside := false
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		switch line := scanner.Text(); {
		case strings.HasPrefix(line, "```"):
			inside = line == "```sh"
		case inside && strings.TrimSpace(line) != "":
			lines = append(lines, line)
		}
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

type readme struct {
	root  string
	demo  *process
	watch *watch
	tried map[string]int // lines by kind
}

// try runs one line.
func (r *readme) try(t *testing.T, line string) {
	t.Helper()
	command, comment, _ := strings.Cut(line, " #")
	answer, refused := strings.CutPrefix(strings.TrimSpace(comment), "answered with:")
	word, rest, _ := strings.Cut(strings.TrimSpace(command), " ")
	if word == "go" {
		words := strings.Fields(command)
		word = strings.Join(words[:min(4, len(words))], " ")
	}
	r.tried[word]++
	switch word {
	case "go run . demo":
		r.startDemo(t, line)
	case "go run . watch":
		r.demoRuns(t, line)
		p := r.start(t, line)
		p.awaitText(t, "  demo  online")
		p.awaitText(t, "  demo  ready, ")
	case "go run . send":
		r.demoRuns(t, line)
		r.send(t, command, refused, strings.TrimSpace(answer))
	case "go run ./examples/go":
		r.demoRuns(t, line)
		r.send(t, command, false, "hotel B, ")
	case "mosquitto_sub":
		r.demoRuns(t, line)
		sub := start(t, line, nil, "sh", "-c", "cd '"+r.root+"' && exec "+line)
		sub.awaitText(t, "plate-resort/demo/availability online")
		sub.awaitText(t, "plate-resort/demo/state {")
	case "mosquitto_pub":
		r.demoRuns(t, line)
		r.publish(t, line, refused, strings.TrimSpace(answer))
	case "python3":
		r.demoRuns(t, line)
		command := findPython(t) + " -B " + rest
		if p := start(t, line, nil, "sh", "-c", "cd '"+r.root+"' && exec "+command); p.status(t) != 0 {
			t.Errorf("%s failed", line)
		}
		for range 4 { // its moves, and what it reads
			r.watch.event(t)
		}
	case "make":
		makefile, err := os.ReadFile(filepath.Join(r.root, "Makefile"))
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(rest) + `:`).Match(makefile) {
			t.Errorf("%s: the Makefile has no target %q", line, rest)
		}
	default:
		t.Errorf("%s: this test does not know how to try it", line)
	}
}

func (r *readme) demoRuns(t *testing.T, line string) {
	t.Helper()
	if r.demo == nil {
		t.Fatalf("%s: the README must have `go run . demo` before it", line)
	}
}

// start runs a line that goes on.
func (r *readme) start(t *testing.T, line string) *process {
	t.Helper()
	p := start(t, line, nil, "sh", "-c", "cd '"+r.root+"' && exec "+line)
	t.Cleanup(func() { // before that of start, which knows of go run only, not of what go run has started
		if p.running() {
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
		}
	})
	return p
}

// send runs a send, which waits for the end of its operation.
func (r *readme) send(t *testing.T, line string, refused bool, answer string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "sh", "-c", line)
	c.Dir = r.root
	c.Env = cleanEnvironment()
	out, err := c.CombinedOutput()
	if refused != (err != nil) || answer == "" && refused || !strings.Contains(string(out), answer) {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
	r.watch.event(t)
}

func (r *readme) startDemo(t *testing.T, line string) {
	t.Helper()
	if r.demo != nil {
		t.Fatalf("%s: the demo runs already", line)
	}
	r.demo = r.start(t, line)
	// Compiling can take longer than anything else here.
	for end := time.Now().Add(4 * patience); r.demo.count("Ctrl-C ends it") == 0; {
		_, grew := r.demo.transcript()
		select {
		case <-grew:
		case <-r.demo.exited:
			t.Fatalf("%s has ended", line)
		case <-time.After(time.Until(end)):
			t.Fatalf("%s: no demo within %v", line, 4*patience)
		}
	}
	b := &broker{port: "1883"}
	t.Cleanup(func() { b.validate(t) })
	b.publish(t, subscribedTopic, "yes", "-r")
	b.observe(t)
	r.watch = b.watch(t, "plate-resort/demo/availability", "plate-resort/demo/state", "plate-resort/demo/operation")
	r.watch.availability(t, "online")
	r.watch.status(t, "ready")
}

// publish runs a mosquitto_pub and waits for the end of the operation that it asks for.
func (r *readme) publish(t *testing.T, line string, refused bool, answer string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "sh", "-c", line)
	c.Dir = r.root
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	op := r.watch.event(t)
	switch {
	case !refused && op.State != "completed":
		t.Errorf("%s: the operation was %s, %s; the README does not say so", line, op.State, op.Error.Message)
	case refused && (answer == "" || !strings.Contains(op.Error.Message, answer)):
		t.Errorf("%s: the answer was %s, %q", line, op.State, op.Error.Message)
	}
}
