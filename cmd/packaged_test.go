package cmd

import (
	"bufio"
	"os"
	"reflect"
	"slices"
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
