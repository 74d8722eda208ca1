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

	"github.com/plate-resort/plate-resort/mqtt"
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
			schedules, text, err := flags.schedules(c.Context(), func(scheduler.View) bool { return true })
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
func (f *remoteFlags) schedules(ctx context.Context, wanted func(scheduler.View) bool) (scheduler.View, []byte, error) {
	r, err := f.connect(ctx, func(t mqtt.Topics) []string { return []string{t.Availability(), t.Schedules()} })
	if err != nil {
		return nil, nil, err
	}
	defer r.close()
	ctx, cancel := context.WithTimeoutCause(ctx, checkTimeout, r.unknown())
	defer cancel()
	online := false
	for text := []byte(nil); ; {
		m, err := r.next(ctx)
		if err != nil {
			return nil, nil, err
		}
		switch m.Topic() {
		case r.topics.Schedules():
			text = m.Payload()
		case r.topics.Availability():
			if string(m.Payload()) != mqtt.Online {
				return nil, nil, fmt.Errorf("device %s is offline", r.device)
			}
			online = true
		}
		if online && text != nil {
			var view scheduler.View
			if err := json.Unmarshal(text, &view); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", r.topics.Schedules(), err)
			}
			if wanted(view) {
				return view, text, nil
			}
		}
	}
}

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
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\n", name, describeTimes(s.Schedule), describeOperation(s.Schedule),
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

func describeOperation(s scheduler.Schedule) string {
	switch p := s.Parameters; {
	case p.Hotel != nil:
		return fmt.Sprintf("%s %s", s.Operation, *p.Hotel)
	case p.Angle != nil:
		return fmt.Sprintf("%s %v", s.Operation, float64(*p.Angle))
	case p.Speed != nil:
		return fmt.Sprintf("%s %d", s.Operation, *p.Speed)
	}
	return string(s.Operation)
}

func describeTime(s scheduler.Schedule, at *time.Time, none string) string {
	if at == nil {
		return none
	}
	return inZone(s, *at)
}
