//go:build e2e

package cmd_test

import (
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// An instruction of a Dockerfile, and what is behind its name.
type instruction struct{ name, rest string }

// readDockerfile returns the instructions of each stage.
func readDockerfile(t *testing.T) (stages [][]instruction) {
	t.Helper()
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case name == "" || strings.HasPrefix(name, "#"):
		case name == "FROM":
			stages = append(stages, []instruction{{name, rest}})
		default:
			stages[len(stages)-1] = append(stages[len(stages)-1], instruction{name, strings.TrimSpace(rest)})
		}
	}
	return stages
}

// There is no Docker here: this does what the instructions say, in a directory that has the machine's system
// instead of the image golang, and then in one that has nothing.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	stages := readDockerfile(t)
	if len(stages) != 2 || stages[0][0].rest != "--platform=$BUILDPLATFORM golang:1.26 AS build" || stages[1][0].rest != "scratch" {
		t.Fatalf("the stages are %q", stages)
	}
	for arch, want := range map[string]elf.Machine{"arm": elf.EM_ARM, "arm64": elf.EM_AARCH64, "amd64": elf.EM_X86_64} {
		if arch == runtime.GOARCH {
			continue
		}
		binary, err := elf.Open(filepath.Join(buildStage(t, stages[0], arch), "plate-resort"))
		if err != nil {
			t.Fatal(err)
		}
		if binary.Close(); binary.Machine != want {
			t.Errorf("with TARGETARCH=%s the program is for %v", arch, binary.Machine)
		}
	}
	image := finalStage(t, stages[1], buildStage(t, stages[0], runtime.GOARCH))

	d := prepareDevice(t, newBroker(t), brisk)
	environment := append(image.environment, "PLATE_RESORT_DEVICE_ID=lab", "PLATE_RESORT_MOTOR_PORT=simulated",
		"PLATE_RESORT_MQTT_BROKER="+d.broker.url(), brisk)
	contain := func(command []string) *process {
		return start(t, strings.Join(command, " "), environment, "chroot", append([]string{"--userspec=" + image.user, image.dir}, command...)...)
	}
	d.program = contain(append(image.entrypoint, image.command...))
	d.watch.status(t, "ready")
	d.watch.availability(t, "online")
	d.do(t, "hotel", `{"hotel": "B", "id": "move"}`, "move")
	check := contain(image.health)
	if status := check.status(t); status != 0 {
		t.Errorf("of a device in order the health check says %d", status)
	}
	check.awaitText(t, "lab: ready")
	if _, err := os.Stat(filepath.Join(image.dir, "state/lab/journal.db")); err != nil {
		t.Error(err)
	}
	if warned := d.program.count("level=WARN") + d.program.count("level=ERROR"); warned > 0 {
		t.Errorf("%d complaints", warned)
	}
	d.program.end(syscall.SIGTERM)
	d.watch.availability(t, "offline")
	if status := contain(image.health).status(t); status != 1 {
		t.Errorf("of a device that is gone the health check says %d", status)
	}
}

// buildStage does the instructions of the first stage, and returns the root directory they have worked in.
func buildStage(t *testing.T, instructions []instruction, arch string) (root string) {
	t.Helper()
	compiling.Lock()
	defer compiling.Unlock()
	root = t.TempDir()
	sources := copySources(t)
	workdir := "/"
	var declared []string
	for _, i := range instructions[1:] {
		switch i.name {
		case "WORKDIR":
			workdir = i.rest
			runTool(t, "mkdir", "-p", filepath.Join(root, workdir))
		case "COPY": // from the repository
			words := strings.Fields(i.rest)
			to := filepath.Join(root, workdir, words[len(words)-1])
			for _, from := range words[:len(words)-1] {
				runTool(t, "cp", "-r", filepath.Join(sources, from)+map[bool]string{true: "/."}[from == "."], to)
			}
		case "ARG":
			declared = append(declared, i.rest)
		case "RUN":
			environment := cleanEnvironment()
			if slices.Contains(declared, "TARGETARCH") {
				environment = append(environment, "TARGETARCH="+arch)
			}
			runIn(t, root, workdir, environment, i.rest)
		default:
			t.Fatalf("this test does not know how to do %s %s", i.name, i.rest)
		}
	}
	return root
}

// runIn runs a line of shell in a root directory that has also the directories of this machine's.
func runIn(t *testing.T, root, workdir string, environment []string, line string) {
	t.Helper()
	const script = `
		set -e
		cd /
		for d in *; do
			if [ -L "$d" ]; then [ -L "$1/$d" ] || cp -P "$d" "$1"
			elif [ -d "$d" ] && [ "$d" != src ]; then mkdir -p "$1/$d" && mount --rbind "$d" "$1/$d"; fi
		done
		exec chroot "$1" sh -c 'cd "$1" && exec sh -ec "$2"' sh "$2" "$3"`
	c := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-c", script, "sh", root, workdir, line)
	c.Env = environment
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("RUN %s: %v\n%s", line, err, out)
	}
}

// An image is what the last stage makes, without what Docker adds to it, such as /proc.
type image struct {
	dir                         string
	user                        string
	environment                 []string
	entrypoint, command, health []string
}

func finalStage(t *testing.T, instructions []instruction, build string) image {
	t.Helper()
	m := image{dir: t.TempDir()}
	if err := os.Chmod(m.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	words := func(list string) (words []string) {
		t.Helper()
		if err := json.Unmarshal([]byte(list), &words); err != nil {
			t.Fatalf("%s is not in exec form, and there is no shell: %v", list, err)
		}
		return words
	}
	for _, i := range instructions[1:] {
		switch i.name {
		case "COPY":
			w := strings.Fields(i.rest)
			from, to := w[len(w)-2], m.dir+w[len(w)-1]
			if w[0] != "--from=build" {
				t.Fatalf("COPY %s is not from the first stage", i.rest)
			}
			root := build
			if _, err := os.Stat(filepath.Join(build, from)); err != nil {
				root = "/" // what is the image's there is the machine's here
			}
			runTool(t, "mkdir", "-p", filepath.Dir(to+"x")) // to itself, if it ends with /
			runTool(t, "cp", "-rL", filepath.Join(root, from), to)
			if owner, chown := strings.CutPrefix(w[1], "--chown="); chown {
				runTool(t, "chown", "-R", owner, to)
			}
		case "ENV":
			m.environment = append(m.environment, i.rest)
		case "USER":
			m.user = i.rest
		case "ENTRYPOINT":
			m.entrypoint = words(i.rest)
		case "CMD":
			m.command = words(i.rest)
		case "HEALTHCHECK":
			_, command, _ := strings.Cut(i.rest, " CMD ")
			m.health = words(command)
		case "VOLUME":
		default:
			t.Fatalf("this test does not know how to do %s %s", i.name, i.rest)
		}
	}
	return m
}
