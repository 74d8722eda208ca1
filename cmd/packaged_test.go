package cmd

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The settings of the package are all that there are, each with a comment of its own before it; those that are
// commented out show their defaults.
func TestPackagedSettings(t *testing.T) {
	file, err := os.Open("../deploy/plate-resort.env")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, name := range settingNames() {
		t.Setenv(name, "") // puts it back at the end
		os.Unsetenv(name)
	}
	shows := make(map[string]string)
	var names, set []string
	previous := ""
	lines := bufio.NewScanner(file)
	for ; lines.Scan(); previous = lines.Text() {
		line, commented := strings.CutPrefix(lines.Text(), "#")
		if !strings.HasPrefix(line, settingsPrefix+"_") {
			if !commented && line != "" {
				t.Errorf("this is neither a comment nor a setting: %s", line)
			}
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		names = append(names, name)
		if !strings.HasPrefix(previous, "# ") {
			t.Errorf("%s has no comment of its own", name)
		}
		if commented {
			shows[name] = value
		} else {
			set = append(set, line)
		}
	}
	want := settingNames()
	slices.Sort(want)
	slices.Sort(names)
	if !slices.Equal(names, want) {
		t.Errorf("the file has the settings\n%q, and there are\n%q", names, want)
	}
	if !slices.Equal(set, []string{"PLATE_RESORT_MOTOR_PORT=/dev/plate-resort"}) {
		t.Errorf("set are %q, want the name alone that the udev rule gives to the adapter", set)
	}
	env, err := readEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	env.DeviceID, env.StateDir = "", "/var/lib/plate-resort" // of the host, and of the unit
	values := reflect.ValueOf(env)
	for i, name := range settingNames() {
		if shown, found := shows[name]; found && shown != values.Field(i).String() {
			t.Errorf("%s=%s is shown as the default, which is %q", name, shown, values.Field(i))
		}
	}
}

// The udev rule counts the adapters of which it names the only one.
func TestPackagedRuleCountsAdapters(t *testing.T) {
	rules, err := os.ReadFile("../deploy/70-plate-resort.rules")
	if err != nil {
		t.Fatal(err)
	}
	program := regexp.MustCompile(`PROGRAM=="/bin/sh -c '(.*)'", RESULT=="1", SYMLINK`).FindSubmatch(rules)
	if program == nil {
		t.Fatal("no rule counts")
	}
	const drivers = "/sys/bus/usb-serial/drivers"
	for _, adapters := range []string{"ttyUSB0", "ttyUSB3", "ttyUSB0 ttyUSB1", "ttyUSB1 ttyUSB2 ttyUSB10"} {
		dir := t.TempDir()
		names := strings.Fields(adapters)
		for _, name := range append(names, "bind", "module") {
			if err := os.MkdirAll(filepath.Join(dir, "ftdi_sio", name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		// udev makes $ of $$.
		script := strings.NewReplacer("$$", "$", drivers, dir).Replace(string(program[1]))
		out, err := exec.CommandContext(t.Context(), "sh", "-c", script).Output()
		if got := strings.TrimSpace(string(out)); err != nil || got != strconv.Itoa(len(names)) {
			t.Errorf("of the adapters %s it counts %q (%v)", adapters, got, err)
		}
	}
}

// What the README has for those without the package, the package has.
func TestPackagedRuleLowersTheLatency(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile("../deploy/70-plate-resort.rules")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile("`(ACTION==.*latency_timer.*)`").FindSubmatch(readme)
	if rule == nil || !strings.Contains(string(rules), "\n"+string(rule[1])+"\n") {
		t.Errorf("the package does not have the README's rule %q", rule)
	}
}
