package cmd

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/plate-resort/plate-resort/device"
)

// MIGRATION.md names settings that there are, and all those of precise moves.
func TestMigrationNamesSettings(t *testing.T) {
	text, err := os.ReadFile("../MIGRATION.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "Settings of `defaults.yaml`")
	table, _, end := strings.Cut(rest, "As `overrides`")
	if !found || !end {
		t.Fatal("MIGRATION.md has no table of settings")
	}
	settings := settingNames()
	for _, name := range regexp.MustCompile("`([A-Z][A-Z_0-9]+)[`=]").FindAllStringSubmatch(table, -1) {
		if name[1] != "PLATE_RESORT_" && name[1] != "PLATE_RESORT_POOL" && !slices.Contains(settings, settingsPrefix+"_"+name[1]) {
			t.Errorf("there is no setting %s", name[1])
		}
	}
	for _, o := range device.Overrides {
		if !strings.Contains(table, "`"+o.Name+"`") || !strings.Contains(table, "`PRECISE_"+strings.ToUpper(o.Name)+"`") {
			t.Errorf("the table does not have %s", o.Name)
		}
	}
}

// The README shows the example in Go as it is.
func TestReadmeShowsTheExample(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("../examples/go/main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(readme), "```go\n")
	code, _, _ = strings.Cut(code, "```")
	if !strings.HasPrefix(code, "package main") || !strings.HasSuffix(string(example), "\n"+code) {
		t.Error("examples/go/main.go is not what the README shows")
	}
}
