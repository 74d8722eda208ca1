// Package cmd is the program's command line: a file for each subcommand. It reads the settings, and is
// the only place that wires the parts together.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage or configuration
)

// A usageError is the user's to mend, on the command line or in the settings.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Execute runs the program and returns its exit status.
func Execute() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(setApart(os.Args[1:]))
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, new(usageError)):
		fmt.Fprintln(os.Stderr, err)
		return exitUsage
	default:
		fmt.Fprintln(os.Stderr, "plate-resort:", err)
		return exitFailed
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:                        "plate-resort",
		Version:                    version(),
		SuggestionsMinimumDistance: 2,
		Short:                      "Turns a carousel of microplate hotels on command of an MQTT broker",
		Args:                       noSubcommand,
		RunE:                       func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceErrors:              true,
		SilenceUsage:               true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w\nSee: %s --help", err, c.CommandPath())}
	})
	root.AddCommand(newRun(), newDemo(), newSimulate(), newScan(), newSend(), newWatch(), newDevices(),
		newSchedule(), newDashboard(), newConfig(), newCheck(), newAsyncAPI(), newCompletion())
	for _, c := range root.Commands() {
		if c.Args == nil {
			c.Args = noArguments
		}
	}
	return root
}

// setApart puts negative numbers behind the flags, so that they are not taken for some: no flag takes one.
func setApart(args []string) []string {
	if len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd) || slices.Contains(args, "--") {
		return args
	}
	var others, numbers []string
	for _, arg := range args {
		if _, err := strconv.ParseFloat(arg, 64); err == nil && strings.HasPrefix(arg, "-") {
			numbers = append(numbers, arg)
		} else {
			others = append(others, arg)
		}
	}
	if len(numbers) == 0 {
		return args
	}
	return slices.Concat(others, []string{"--"}, numbers)
}

// noSubcommand refuses what is no command below this one.
func noSubcommand(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("there is no command %q%s\nSee: %s --help", args[0], didYouMean(c, args[0]), c.CommandPath())}
	}
	return nil
}

// argumentCount refuses fewer arguments than least, and more than most.
func argumentCount(least, most int, otherwise string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usageError{fmt.Errorf("%s\nSee: %s --help", otherwise, c.CommandPath())}
		}
		return nil
	}
}

func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument, so what is %q?\nSee: %s --help", c.CommandPath(), args[0], c.CommandPath())}
	}
	return nil
}
