package cmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt"
)

func newSend() *cobra.Command {
	var (
		flags      remoteFlags
		parameters map[string]string
		noWait     bool
		asJSON     bool
	)
	c := &cobra.Command{
		Use:   "send OPERATION [VALUE]",
		Short: "Send a device an operation and wait for its result",
		Long: "Send a device an operation over the broker, print each change of its state, and exit with status 0\n" +
			"when it has completed, with 1 when it has not. It waits for a broker that goes away, and 10 s for a\n" +
			"device.\n\n" +
			"Operations:\n" + operationTable(),
		Example: "  plate-resort send hotel B\n" +
			"  plate-resort send angle 90 --param tolerance=0.3 --param timeout_seconds=60\n" +
			"  plate-resort send stop",
		Args:              argumentCount(1, 2, "give an operation and, where it takes one, a value"),
		ValidArgsFunction: flags.completeSend,
		RunE: func(c *cobra.Command, args []string) error {
			command, err := newCommand(device.Name(args[0]), strings.Join(args[1:], ""), parameters)
			if err != nil {
				return usageError{err}
			}
			r, err := flags.connect(c.Context())
			if err != nil {
				return err
			}
			defer r.Close()
			s := newSender(c, &flags, asJSON)
			s.noWait = noWait
			return s.send(c.Context(), r, command)
		},
	}
	flags.add(c)
	addParameters(c, &parameters, "field of the command", 0)
	c.Flags().BoolVar(&noWait, "no-wait", false, "return when the device has accepted the operation")
	c.Flags().BoolVar(&asJSON, "json", false, "print the events as JSON lines")
	return c
}

// addParameters adds the flag --param, for the operation that is the argument with this index.
func addParameters(c *cobra.Command, parameters *map[string]string, what string, operation int) {
	c.Flags().StringToStringVar(parameters, "param", nil, "a further "+what+", `name=value`; may be given several times")
	complete(c, "param", func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return completeParameters(args, operation)
	})
}

// newCommand makes the command that asks for an operation. The error says what is wrong with it.
func newCommand(name device.Name, value string, parameters map[string]string) (client.Command, error) {
	fields, err := mqtt.Fields(name, value, parameters)
	if err != nil && !name.Known() {
		err = fmt.Errorf("%w%s", err, suggest(string(name), device.Names))
	}
	command := client.Command{Input: string(name), Fields: fields}
	if name != device.CancelOperation { // whose id is the operation to cancel
		command.ID, _ = fields["id"].(string)
	}
	return command, err
}

// suggest says which of the words could have been meant by one that is none of them, as cobra does for commands.
func suggest[S ~string](word string, words []S) string {
	parent := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, w := range words {
		parent.AddCommand(&cobra.Command{Use: string(w), Run: func(*cobra.Command, []string) {}})
	}
	return didYouMean(parent, word)
}

func didYouMean(parent *cobra.Command, word string) string {
	similar := parent.SuggestionsFor(word)
	if len(similar) == 0 {
		return ""
	}
	return "\nDid you mean " + strings.Join(similar, " or ") + "?"
}

// operationTexts say for people what each operation does.
var operationTexts = map[device.Name]string{
	device.HotelOperation:      "turn until this hotel faces the opening",
	device.AngleOperation:      "turn to this angle, in degrees",
	device.HomeOperation:       "turn to 0°",
	device.SpeedOperation:      "set the profile velocity, in 0.229 rpm",
	device.StopOperation:       "emergency stop: torque off at once, nothing moves until a reset",
	device.ResetOperation:      "release the emergency stop: torque on, no motion",
	device.ConnectionOperation: "connect the motor, ON; or release it, OFF",
	device.RebootOperation:     "reboot the servo, which clears its hardware errors",
	device.RefreshOperation:    "read the motor now",
	device.CancelOperation:     "give up the operation with this id, or all",
}

func operationTable() string {
	var table strings.Builder
	for _, name := range device.Names {
		fmt.Fprintf(&table, "  %-11s %-6s %s\n", name, strings.ToUpper(name.Value()), operationTexts[name])
	}
	return strings.TrimSuffix(table.String(), "\n")
}

// parameterNames lists what an operation takes besides its value.
func parameterNames(name device.Name) []string {
	names := slices.Concat(name.Fields(), name.Options())
	if name != device.CancelOperation {
		names = append(names, "id")
	}
	return slices.DeleteFunc(names, func(field string) bool { return field == name.Value() })
}
