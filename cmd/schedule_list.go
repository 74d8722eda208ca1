package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/scheduler"
)

func newScheduleList() *cobra.Command {
	var flags remoteFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "Show the schedules of a device",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := flags.connect(c.Context())
			if err != nil {
				return err
			}
			defer r.Close()
			schedules, text, err := r.schedules(c.Context(), anySchedules)
			if err != nil {
				return err
			}
			if asJSON {
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", text)
				return err
			}
			return printSchedules(c.OutOrStdout(), schedules)
		},
	}
	flags.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print them as the device publishes them")
	return c
}

// schedules returns those of the device once they are as wanted, and how it publishes them.
func (r *remote) schedules(ctx context.Context, wanted func(scheduler.View) bool) (schedules scheduler.View, text []byte, err error) {
	err = r.await(ctx, "its schedules", func(m client.Message) (bool, error) {
		if m.Topic != client.Schedules {
			return schedules != nil && wanted(schedules), nil
		}
		schedules, text = nil, m.Payload
		err := json.Unmarshal(m.Payload, &schedules)
		return err == nil && wanted(schedules), err
	})
	return schedules, text, err
}

// anySchedules wants them as they are.
func anySchedules(scheduler.View) bool { return true }

func printSchedules(out io.Writer, schedules scheduler.View) error {
	if len(schedules) == 0 {
		_, err := fmt.Fprintln(out, "there are no schedules")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tWHEN\tOPERATION\tNEXT RUN\tLAST RUN\tIT WAS\tMISSED\tSKIPPED")
	for _, name := range slices.Sorted(maps.Keys(schedules)) {
		s := schedules[name]
		last := "-"
		if o := s.LastOperation; o != nil {
			last = string(o.State)
		}
		next := "-"
		if !s.Enabled {
			next = "paused"
		}
		if s.Over {
			next = "over"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\n", name, describeTimes(s.Schedule), describe(s.Operation, s.Parameters),
			describeTime(s.Schedule, s.NextRun, next), describeTime(s.Schedule, s.LastRun, "-"), last, s.MissedRuns, s.SkippedRuns)
	}
	return table.Flush()
}

func describeTimes(s scheduler.Schedule) string {
	switch {
	case s.EverySeconds != nil:
		return "every " + (time.Duration(*s.EverySeconds) * time.Second).String()
	case s.At != nil:
		return "once"
	}
	return s.Cron + " " + s.Timezone
}

func describeTime(s scheduler.Schedule, at *time.Time, none string) string {
	if at == nil {
		return none
	}
	return inZone(s, *at)
}
