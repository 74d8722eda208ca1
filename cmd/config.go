package cmd

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newConfig() *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Show the effective settings, and where each comes from",
		RunE: func(c *cobra.Command, _ []string) error {
			env, err := readEnvironment()
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "SETTING\tVALUE\tFROM")
			value := reflect.ValueOf(env)
			for i, name := range settingNames() {
				fmt.Fprintf(table, "%s\t%s\t%s\n", name, shown(name, value.Field(i).String()), origin(name))
			}
			if err := table.Flush(); err != nil {
				return err
			}
			s, err := env.settings()
			for _, warning := range s.warnings {
				fmt.Fprintln(c.ErrOrStderr(), "warning:", warning)
			}
			return err
		},
	}
}

// secrets are the settings that are never shown.
var secrets = []string{settingsPrefix + "_MQTT_PASSWORD"}

func shown(name, value string) string {
	switch {
	case value == "":
		return "-"
	case slices.Contains(secrets, name):
		return "(hidden)"
	case strings.ContainsAny(value, "\n\t"):
		return fmt.Sprintf("%q", value)
	}
	return hideUser(value)
}

func origin(name string) string {
	if _, set := os.LookupEnv(name); set {
		return "environment"
	}
	switch {
	case name == settingsPrefix+"_DEVICE_ID":
		return "host's name"
	case name == settingsPrefix+"_STATE_DIR" && os.Getenv(systemdStateDir) != "":
		return systemdStateDir
	}
	return "default"
}
