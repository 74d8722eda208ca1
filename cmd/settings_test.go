package cmd

import (
	"slices"
	"strings"
	"testing"

	"github.com/kelseyhightower/envconfig"
)

// The settings have the names under which envconfig looks for them.
func TestSettingNames(t *testing.T) {
	var names strings.Builder
	if err := envconfig.Usagef(settingsPrefix, new(environment), &names, "{{range .}}{{usage_key .}}\n{{end}}"); err != nil {
		t.Fatal(err)
	}
	if got, want := settingNames(), strings.Fields(names.String()); !slices.Equal(got, want) {
		t.Errorf("they are %v, want %v", got, want)
	}
}
