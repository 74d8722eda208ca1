package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/scheduler"
)

// completionTimeout bounds the look at the broker while somebody waits for a name to be completed.
const completionTimeout = 800 * time.Millisecond

// completions are what a cobra command has for them.
type completions = func(c *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective)

// complete has the values of a flag completed.
func complete(c *cobra.Command, flag string, values completions) {
	if err := c.RegisterFlagCompletionFunc(flag, values); err != nil {
		panic(err) // there is no such flag, or it has them already
	}
}

func newCompletion() *cobra.Command {
	scripts := map[string]func(*cobra.Command) error{
		"bash": func(c *cobra.Command) error { return c.Root().GenBashCompletionV2(c.OutOrStdout(), true) },
		"zsh":  func(c *cobra.Command) error { return c.Root().GenZshCompletion(c.OutOrStdout()) },
		"fish": func(c *cobra.Command) error { return c.Root().GenFishCompletion(c.OutOrStdout(), true) },
	}
	shells := slices.Sorted(maps.Keys(scripts))
	return &cobra.Command{
		Use:   "completion bash|fish|zsh",
		Short: "Print what has a shell complete names",
		Long: "Print a script that has a shell complete commands and flags, and of the device, if it is there: hotels,\n" +
			"operations that run or wait, schedules and devices.\n\n" +
			"  bash, with its package bash-completion:\n" +
			"    echo 'source <(plate-resort completion bash)' >> ~/.bashrc\n" +
			"  zsh, after its compinit:\n" +
			"    echo 'source <(plate-resort completion zsh)' >> ~/.zshrc\n" +
			"  fish:\n" +
			"    echo 'plate-resort completion fish | source' >> ~/.config/fish/config.fish",
		ValidArgs: shells,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return usageError{fmt.Errorf("give one of the shells %s\nSee: %s --help", strings.Join(shells, ", "), c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return scripts[args[0]](c) },
	}
}

// retained returns what the broker retains of the device on these topics, as far as it has come in time.
func (f *remoteFlags) retained(ctx context.Context, topics ...client.Topic) map[client.Topic]client.Message {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	r, err := f.connect(ctx)
	if err != nil {
		return nil
	}
	defer r.Close()
	found := make(map[client.Topic]client.Message)
	for m := range r.Watch(ctx) {
		if slices.Contains(topics, m.Topic) {
			found[m.Topic] = m
		}
		if len(found) == len(topics) {
			break
		}
	}
	return found
}

// completeSend completes an operation and its value.
func (f *remoteFlags) completeSend(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return completeOperations(device.Names)
	case 1:
		return f.completeValue(c.Context(), device.Name(args[0])), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeScheduleSet completes the name of a schedule, its operation, and its value.
func (f *remoteFlags) completeScheduleSet(c *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return f.completeSchedule(c, args, toComplete)
	case 1:
		return completeOperations(scheduler.Operations)
	}
	return f.completeSend(c, args[1:], toComplete)
}

func completeOperations(names []device.Name) (found []cobra.Completion, _ cobra.ShellCompDirective) {
	for _, name := range names {
		found = append(found, cobra.CompletionWithDesc(string(name), operationTexts[name]))
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// completeValue completes the value of an operation.
func (f *remoteFlags) completeValue(ctx context.Context, name device.Name) (values []cobra.Completion) {
	switch name {
	case device.ConnectionOperation:
		return []cobra.Completion{"ON", "OFF"}
	case device.HotelOperation:
		var s device.Snapshot
		_ = json.Unmarshal(f.retained(ctx, client.State)[client.State].Payload, &s) // none, if the device is not there
		return s.Hotels
	case device.CancelOperation:
		found := f.retained(ctx, client.State, client.Queue)
		var s device.Snapshot
		var operations []device.Operation
		_ = json.Unmarshal(found[client.Queue].Payload, &operations)
		_ = json.Unmarshal(found[client.State].Payload, &s)
		if s.Operation != nil {
			operations = append([]device.Operation{*s.Operation}, operations...)
		}
		for _, op := range operations {
			values = append(values, cobra.CompletionWithDesc(op.ID, describe(op.Name, op.Parameters)+", "+string(op.State)))
		}
		return append(values, cobra.CompletionWithDesc("all", "whatever runs or waits"))
	}
	return nil
}

// completeSchedule completes the name of a schedule.
func (f *remoteFlags) completeSchedule(c *cobra.Command, args []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var schedules scheduler.View
	_ = json.Unmarshal(f.retained(c.Context(), client.Schedules)[client.Schedules].Payload, &schedules)
	for _, name := range slices.Sorted(maps.Keys(schedules)) {
		s := schedules[name].Schedule
		names = append(names, cobra.CompletionWithDesc(name, describeTimes(s)+", "+describe(s.Operation, s.Parameters)))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeDevices completes the id of a device.
func (f *remoteFlags) completeDevices(c *cobra.Command, _ []string, _ string) (ids []cobra.Completion, _ cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(c.Context(), completionTimeout)
	defer cancel()
	devices, _ := f.collect(ctx)
	for _, id := range slices.Sorted(maps.Keys(devices)) {
		ids = append(ids, cobra.CompletionWithDesc(id, string(devices[id].availability())))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// completeParameters completes what an operation takes besides its value; it is the argument with this index.
func completeParameters(args []string, operation int) (names []cobra.Completion, _ cobra.ShellCompDirective) {
	if len(args) > operation {
		for _, name := range parameterNames(device.Name(args[operation])) {
			names = append(names, name+"=")
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
