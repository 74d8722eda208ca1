package cmd

import (
	"io/fs"
	"os"
	"path/filepath"
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

// RELIABILITY.md names tests that there are.
func TestReliabilityNamesTests(t *testing.T) {
	text, err := os.ReadFile("../RELIABILITY.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := make(map[string]bool)
	err = filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		code, err := os.ReadFile(path)
		for _, name := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllSubmatch(code, -1) {
			tests[string(name[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllSubmatch(text, -1)
	if len(named) == 0 {
		t.Error("RELIABILITY.md names no test")
	}
	for _, name := range named {
		if !tests[string(name[1])] {
			t.Errorf("there is no %s", name[1])
		}
	}
}
