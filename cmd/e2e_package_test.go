//go:build e2e

package cmd_test

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// compiling is for one test at a time: what it has compiled, the next one finds in Go's cache.
var compiling sync.Mutex

// makePackages makes packages in a copy of the repository, and returns the directory that they are in.
func makePackages(t *testing.T, environment []string, umask, version string, architectures ...string) string {
	t.Helper()
	dir := copySources(t)
	c := exec.CommandContext(t.Context(), "sh", "-c", `umask "$1" && shift && exec deploy/packages.sh "$@"`, "sh", umask)
	c.Args = append(c.Args, architectures...)
	c.Dir = dir
	c.Env = append(cleanEnvironment(), append(environment, "SOURCE_DATE_EPOCH=1795000000", "VERSION="+version)...)
	compiling.Lock()
	defer compiling.Unlock()
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("deploy/packages.sh: %v\n%s", err, out)
	}
	return filepath.Join(dir, "dist")
}

var architectures = map[string]struct {
	machine elf.Machine
	setting string // of the build
}{
	"amd64": {elf.EM_X86_64, "GOARCH=amd64"},
	"arm64": {elf.EM_AARCH64, "GOARCH=arm64"},
	"armhf": {elf.EM_ARM, "GOARM=6"}, // which the first Raspberry Pi is
}

func TestPackagesOfEachArchitecture(t *testing.T) {
	t.Parallel()
	first := makePackages(t, []string{"TZ=UTC"}, "022", "1.2.0")
	second := makePackages(t, []string{"TZ=Asia/Tokyo"}, "077", "1.2.0")
	for name, want := range architectures {
		file := "plate-resort_1.2.0_" + name + ".deb"
		deb, err := os.ReadFile(filepath.Join(first, file))
		if err != nil {
			t.Error(err)
			continue
		}
		if again, err := os.ReadFile(filepath.Join(second, file)); err != nil || !bytes.Equal(deb, again) {
			t.Errorf("%s is another one when it is made again (%v)", file, err)
		}
		if got := runTool(t, "dpkg-deb", "-f", filepath.Join(first, file), "Package", "Version", "Architecture"); got !=
			"Package: plate-resort\nVersion: 1.2.0\nArchitecture: "+name+"\n" {
			t.Errorf("%s says of itself:\n%s", file, got)
		}
		dir := t.TempDir()
		runTool(t, "dpkg-deb", "-x", filepath.Join(first, file), dir)
		program := filepath.Join(dir, "usr/bin/plate-resort")
		binary, err := elf.Open(program)
		if err != nil {
			t.Error(err)
			continue
		}
		defer binary.Close()
		if binary.Machine != want.machine {
			t.Errorf("%s is for %v, want %v", file, binary.Machine, want.machine)
		}
		if slices.ContainsFunc(binary.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC }) {
			t.Errorf("the program in %s is not linked statically", file)
		}
		info, err := buildinfo.ReadFile(program)
		if err != nil {
			t.Error(err)
			continue
		}
		if !slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key+"="+s.Value == want.setting }) {
			t.Errorf("the program in %s is not built with %s", file, want.setting)
		}
	}
}

// The package in its life on a Debian: installed, used, upgraded, removed, purged.
func TestPackage(t *testing.T) {
	t.Parallel()
	arch := strings.TrimSpace(runTool(t, "dpkg", "--print-architecture"))
	debian := newChroot(t)
	before := debian.find(t)
	install := func(version string) string {
		t.Helper()
		file := "plate-resort_" + version + "_" + arch + ".deb"
		runTool(t, "cp", filepath.Join(makePackages(t, nil, "022", version, arch), file), debian.path("root"))
		return debian.run(t, "apt-get", "install", "-y", "--no-install-recommends", "/root/"+file)
	}
	const settings, unit = "/etc/plate-resort/plate-resort.env", "/usr/lib/systemd/system/plate-resort.service"

	// Of systemd there is only who listens to what the package wants of it.
	const systemctl = "#!/bin/sh\necho \"$@\" >>/root/systemctl\n" +
		"case $* in *is-enabled*) [ ! -e /root/disabled ] || { echo disabled; exit 1; }; echo enabled ;; *is-active*) exit 3 ;; esac\n"
	if err := os.WriteFile(debian.path("usr/bin/systemctl"), []byte(systemctl), 0o755); err != nil {
		t.Fatal(err)
	}
	debian.run(t, "mkdir", "-p", "/run/systemd/system")
	expect := func(when string, want ...string) {
		t.Helper()
		var got []string
		for line := range strings.Lines(debian.run(t, "cat", "/root/systemctl")) {
			for _, action := range []string{"preset", "start", "restart", "try-restart", "stop"} {
				if slices.Contains(strings.Fields(line), action) {
					got = append(got, action)
				}
			}
		}
		debian.run(t, "rm", "/root/systemctl")
		if !slices.Equal(got, want) {
			t.Errorf("%s, the service is to %q, want %q", when, got, want)
		}
	}

	said := install("1.2.0")
	expect("installed", "preset", "try-restart") // which enables it, unless somebody has told systemd otherwise
	for _, text := range []string{"does not run yet", "sudo nano " + settings, "sudo systemctl start plate-resort"} {
		if !strings.Contains(said, text) {
			t.Errorf("at its installation it does not say %q:\n%s", text, said)
		}
	}
	for name, want := range map[string]string{
		"/usr/bin/plate-resort": "-rwxr-xr-x root root",
		settings:                "-rw-r----- root plate-resort",
		"/etc/plate-resort":     "drwxr-xr-x root root",
		unit:                    "-rw-r--r-- root root",
		"/usr/lib/udev/rules.d/70-plate-resort.rules":            "-rw-r--r-- root root",
		"/usr/share/bash-completion/completions/plate-resort":    "-rw-r--r-- root root",
		"/usr/share/zsh/vendor-completions/_plate-resort":        "-rw-r--r-- root root",
		"/usr/share/fish/vendor_completions.d/plate-resort.fish": "-rw-r--r-- root root",
		"/usr/share/doc/plate-resort/copyright":                  "-rw-r--r-- root root",
		"/usr/share/doc/plate-resort/licenses":                   "-rw-r--r-- root root",
		"/usr/share/plate-resort/mosquitto/setup":                "-rwxr-xr-x root root",
		"/usr/share/plate-resort/mosquitto/hardened.conf":        "-rw-r--r-- root root",
		"/usr/share/plate-resort/mosquitto/acl":                  "-rw-r--r-- root root",
	} {
		debian.has(t, name, want)
	}
	if got := strings.Fields(debian.run(t, "dpkg-query", "-W", "-f", "${Conffiles}", "plate-resort")); len(got) != 2 || got[0] != settings {
		t.Errorf("the conffiles are %q, want the settings", got)
	}
	if got := debian.run(t, "id", "-Gn", "plate-resort"); got != "plate-resort dialout\n" {
		t.Errorf("the user's groups are %q", got)
	}
	if got := debian.run(t, "getent", "passwd", "plate-resort"); !strings.HasSuffix(got, ":/var/lib/plate-resort:/usr/sbin/nologin\n") {
		t.Errorf("the user is %q", got)
	}
	if got := debian.run(t, "plate-resort", "--version"); got != "plate-resort version 1.2.0\n" {
		t.Errorf("it says that it is %q", got)
	}

	s := newService(t, debian)
	mine := s.configure(t, settings)
	s.run(t)
	s.watch.status(t, "ready")
	s.do(t, "hotel", `{"hotel": "B", "id": "move"}`, "move")
	s.end(t)
	debian.has(t, "/var/lib/plate-resort/lab", "drwx------ plate-resort plate-resort")
	debian.has(t, "/var/lib/plate-resort/lab/journal.db", "-rw------- plate-resort plate-resort")

	// What the README does with the settings for a broker.
	debian.run(t, "mkdir", "-p", "/etc/plate-resort/broker")
	for name, text := range map[string]string{"etc/plate-resort/broker/settings": "# of the broker\n", "usr/bin/sudo": "#!/bin/sh\nexec \"$@\"\n"} {
		if err := os.WriteFile(debian.path(name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	debian.run(t, "sh", "-ec", section(t, "../README.md", "## A broker that others can reach")[3])
	debian.has(t, "/etc/plate-resort/broker/settings", "-rwx------ plate-resort plate-resort")
	expect("given settings", "restart")
	if mine += "# of the broker\n"; readFile(t, debian.path(settings)) != mine {
		t.Errorf("with those for the broker, the settings are %q", readFile(t, debian.path(settings)))
	}

	if said := install("1.10.0"); strings.Contains(said, "does not run yet") {
		t.Error("an upgrade says what an installation has to say")
	}
	expect("upgraded", "restart")
	if got := debian.run(t, "plate-resort", "--version"); got != "plate-resort version 1.10.0\n" {
		t.Errorf("after the upgrade it says that it is %q", got)
	}
	if now, err := os.ReadFile(debian.path(settings)); err != nil || string(now) != mine {
		t.Errorf("after the upgrade the settings are %q (%v)", now, err)
	}
	debian.has(t, settings, "-rw-r----- root plate-resort")
	s.run(t)
	s.program.awaitText(t, "motor connected")
	s.watch.availability(t, "online")
	s.do(t, "home", `{"id": "second"}`, "second")
	s.watch.state(t, "what it has done before", func(s state) bool { return s.OperationsTotal == 2 })
	s.end(t)

	debian.run(t, "touch", "/root/disabled")
	install("1.11.0")
	expect("upgraded while it is disabled")
	debian.run(t, "rm", "/root/disabled")

	debian.run(t, "apt-get", "remove", "-y", "plate-resort")
	expect("removed", "stop")
	for _, name := range []string{"/usr/bin/plate-resort", unit} {
		if _, err := os.Lstat(debian.path(name)); !os.IsNotExist(err) {
			t.Errorf("%s is there when the package is removed", name)
		}
	}
	for _, name := range []string{settings, "/var/lib/plate-resort/lab/journal.db"} {
		if _, err := os.Lstat(debian.path(name)); err != nil {
			t.Errorf("when the package is removed: %v", err)
		}
	}
	if said := install("1.10.0"); strings.Contains(said, "does not run yet") { // its settings are still there
		t.Error("installed again with settings, it asks for them")
	}
	expect("installed again", "restart")
	debian.run(t, "apt-get", "purge", "-y", "plate-resort")
	expect("purged", "stop")
	debian.run(t, "sh", "-c", "rm -r /usr/bin/sudo /root/plate-resort_*.deb /dev/plate-resort /run/plate-resort") // of this test
	if after := debian.find(t); !slices.Equal(before, after) {
		t.Errorf("when the package is purged, there are still %q, and were %q before it came", after, before)
	}
	debian.run(t, "id", "plate-resort") // is still there
}

// A service is the program of the package, as the unit has it run: as its user, without any capability, on a
// disk that it can write to only where its state is. Of the unit's other fences there is nothing here.
type service struct {
	*device
	debian chroot
}

func newService(t *testing.T, debian chroot) *service {
	t.Helper()
	s := &service{prepareDevice(t, newBroker(t)), debian}
	s.startServo(t)
	terminal, err := filepath.EvalSymlinks(s.terminal)
	if err != nil {
		t.Fatal(err)
	}
	s.terminal = terminal
	const dialout = 20 // on every Debian
	if err := os.Chown(terminal, 0, dialout); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(terminal, 0o660); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/var/lib/plate-resort", "/run/plate-resort"} { // as systemd does
		debian.run(t, "install", "-d", "-o", "plate-resort", "-g", "plate-resort", "-m", "0700", dir)
	}
	return s
}

// configure edits the settings, as a user does, and returns what they are then.
func (s *service) configure(t *testing.T, file string) string {
	t.Helper()
	settings, err := os.ReadFile(s.debian.path(file))
	if err != nil {
		t.Fatal(err)
	}
	text := string(settings)
	for name, value := range map[string]string{"DEVICE_ID=": "lab", "MQTT_BROKER=tcp://localhost:1883": s.broker.url(), "SPEED=50": "200"} {
		line := "\n#PLATE_RESORT_" + name + "\n"
		if strings.Count(text, line) != 1 {
			t.Fatalf("the settings do not have the line %q once", line)
		}
		name, _, _ = strings.Cut(name, "=")
		text = strings.Replace(text, line, "\nPLATE_RESORT_"+name+"="+value+"\n", 1)
	}
	if err := os.WriteFile(s.debian.path(file), []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	return text
}

// run starts the program, with the servo where the udev rule would have it.
func (s *service) run(t *testing.T) {
	t.Helper()
	const script = `
		set -e
		cd "$1"
		mount --bind . .
		cd "$1"
		touch dev/plate-resort
		mount --bind "$2" dev/plate-resort
		mount -t proc proc proc
		mount --bind var/lib/plate-resort var/lib/plate-resort
		mount --bind run/plate-resort run/plate-resort
		mount -o remount,bind,ro .
		exec chroot . sh -c 'set -a; . /etc/plate-resort/plate-resort.env
			exec setpriv --reuid plate-resort --regid plate-resort --init-groups --bounding-set -all --inh-caps -all \
				--no-new-privs plate-resort run'`
	env := append(unitSettings(t, "Environment"), "STATE_DIRECTORY=/var/lib/plate-resort", "RUNTIME_DIRECTORY=/run/plate-resort")
	s.program = start(t, "run", env, "unshare", "--mount", "sh", "-c", script, "sh", s.debian.dir, s.terminal)
}

func (s *service) end(t *testing.T) {
	t.Helper()
	s.program.end(syscall.SIGTERM)
	if status := s.program.status(t); status != 0 {
		t.Errorf("it ended with status %d", status)
	}
	for _, complaint := range []string{"level=WARN", "level=ERROR"} {
		if n := s.program.count(complaint); n > 0 {
			t.Errorf("%d lines with %s", n, complaint)
		}
	}
	s.rewatch(t)
}
