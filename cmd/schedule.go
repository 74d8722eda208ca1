package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/payload"
	"github.com/plate-resort/plate-resort/scheduler"
)

// shownRuns is how many of its next runs a schedule is shown with before it is sent.
const shownRuns = 5

func newSchedule() *cobra.Command {
	c := &cobra.Command{
		Use:   "schedule",
		Short: "Show, set and delete what a device does at set times",
		Long: "Show, set and delete what a device does at set times. The schedules are kept on the device, and run\n" +
			"there whether the broker is reached or not.",
		Args: noSubcommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newScheduleList(), newScheduleSet(), newScheduleDelete(), newScheduleEnable(false), newScheduleEnable(true))
	return c
}

func newScheduleSet() *cobra.Command {
	var (
		flags      remoteFlags
		when       whenFlags
		parameters map[string]string
		asJSON     bool
	)
	c := &cobra.Command{
		Use:   "set NAME OPERATION [VALUE]",
		Short: "Set a schedule, in place of the one of that name",
		Long: "Set a schedule, in place of the one of that name, after showing its next runs by this machine's clock.\n" +
			"The same again changes nothing. Where the device goes on with a period that it has, it is asked for its\n" +
			"next runs, after its answer.\n\n" +
			"Operations: " + payload.Join(scheduler.Operations),
		Example: "  plate-resort schedule set morning --cron '0 8 * * 1-5' --timezone America/Toronto hotel A\n" +
			"  plate-resort schedule set look --every 10m refresh\n" +
			"  plate-resort schedule set tonight --at 2026-11-23T20:00:00-05:00 home",
		Args:              argumentCount(2, 3, "give a name, an operation and, where it takes one, a value"),
		ValidArgsFunction: flags.completeScheduleSet,
		RunE: func(c *cobra.Command, args []string) error {
			operation := device.Name(args[1])
			content, err := when.schedule(operation, strings.Join(args[2:], ""), parameters)
			if err == nil {
				err = scheduler.CheckName(args[0])
			}
			if err != nil {
				return usageError{err}
			}
			s, err := decodeFields(content)
			if err == nil {
				_, err = nextRuns(s)
			}
			if err != nil {
				return usageError{err}
			}
			r, err := flags.connect(c.Context())
			if err != nil {
				return err
			}
			defer r.Close()
			keeps := false
			if s.EverySeconds != nil {
				schedules, _, err := r.schedules(c.Context(), anySchedules)
				if err != nil {
					return err
				}
				keeps = hasPeriod(schedules[args[0]], s)
			}
			return newSender(c, &flags, asJSON).setAndShow(c.Context(), r, args[0], content, s, keeps)
		},
	}
	flags.add(c)
	c.Flags().StringVar(&when.cron, "cron", "", "five fields, minute, hour, day of the month, month and day of the week, or @daily and its like")
	c.Flags().DurationVar(&when.every, "every", 0, "a period, such as 90s or 12h")
	c.Flags().StringVar(&when.at, "at", "", "a time, such as 2026-11-23T08:00:00Z: once")
	c.Flags().StringVar(&when.timezone, "timezone", "UTC", "the time zone of --cron, such as America/Toronto")
	c.Flags().StringVar((*string)(&when.overlap), "overlap", string(scheduler.Skip), "skip or queue: what becomes of a run while the last one has not ended")
	addParameters(c, &parameters, "parameter of the operation", 1)
	for _, flag := range []string{"cron", "every", "at", "timezone"} {
		complete(c, flag, cobra.NoFileCompletions)
	}
	complete(c, "overlap", cobra.FixedCompletions([]cobra.Completion{string(scheduler.Skip), string(scheduler.Queue)}, cobra.ShellCompDirectiveNoFileComp))
	c.Flags().BoolVar(&asJSON, "json", false, "print the next runs and the events as JSON lines")
	return c
}

func newScheduleDelete() *cobra.Command {
	var flags remoteFlags
	var asJSON bool
	c := &cobra.Command{
		Use:               "delete NAME",
		Short:             "Delete a schedule; what it has begun goes on",
		Args:              argumentCount(1, 1, "give the name of a schedule"),
		ValidArgsFunction: flags.completeSchedule,
		RunE: func(c *cobra.Command, args []string) error {
			if err := scheduler.CheckName(args[0]); err != nil {
				return usageError{err}
			}
			r, err := flags.connect(c.Context())
			if err != nil {
				return err
			}
			defer r.Close()
			return newSender(c, &flags, asJSON).setSchedule(c.Context(), r, args[0], map[string]any{"delete": true})
		},
	}
	flags.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the events as JSON lines")
	return c
}

// newScheduleEnable makes pause and resume.
func newScheduleEnable(enabled bool) *cobra.Command {
	var flags remoteFlags
	var asJSON bool
	c := &cobra.Command{
		Use:               "pause NAME",
		Short:             "Keep a schedule, and do not run it",
		Args:              argumentCount(1, 1, "give the name of a schedule"),
		ValidArgsFunction: flags.completeSchedule,
		RunE: func(c *cobra.Command, args []string) error {
			r, err := flags.connect(c.Context())
			if err != nil {
				return err
			}
			defer r.Close()
			schedules, _, err := r.schedules(c.Context(), anySchedules)
			if err != nil {
				return err
			}
			status := schedules[args[0]]
			if status == nil {
				return fmt.Errorf("there is no schedule %q", args[0])
			}
			s := status.Schedule
			s.Enabled = enabled
			content, err := fieldsOf(s)
			if err != nil {
				return err
			}
			sender := newSender(c, &flags, asJSON)
			if !enabled {
				return sender.setSchedule(c.Context(), r, args[0], content)
			}
			return sender.setAndShow(c.Context(), r, args[0], content, s, s.EverySeconds != nil)
		},
	}
	if enabled {
		c.Use, c.Short = "resume NAME", "Run a schedule again that was paused"
	}
	flags.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the next runs and the events as JSON lines")
	return c
}

// whenFlags are the flags of a schedule.
type whenFlags struct {
	cron, at, timezone string
	every              time.Duration
	overlap            scheduler.Overlap
}

// schedule returns the fields of a schedule.
func (w whenFlags) schedule(operation device.Name, value string, parameters map[string]string) (map[string]any, error) {
	command, err := newCommand(operation, value, parameters)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{
		"timezone": w.timezone, "overlap": w.overlap, "operation": operation, "parameters": command.Fields,
	}
	if w.cron != "" {
		fields["cron"] = w.cron
	}
	if w.at != "" {
		fields["at"] = w.at
	}
	if w.every != 0 {
		if w.every%time.Second != 0 {
			return nil, fmt.Errorf("--every is %v; it must be whole seconds", w.every)
		}
		fields["every_seconds"] = int(w.every.Seconds())
	}
	if len(fields) == 4 {
		return nil, fmt.Errorf("say when: --cron, --every or --at")
	}
	return fields, nil
}

// fieldsOf returns the fields of a schedule as it is sent.
func fieldsOf(s scheduler.Schedule) (fields map[string]any, err error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return fields, json.Unmarshal(text, &fields)
}

// decodeFields refuses a schedule that no device would take.
func decodeFields(fields map[string]any) (scheduler.Schedule, error) {
	text, err := json.Marshal(fields)
	if err != nil {
		return scheduler.Schedule{}, err
	}
	return scheduler.Decode(text)
}

// nextRuns returns the next runs if the schedule is set now. It refuses one that would never run.
func nextRuns(s scheduler.Schedule) ([]time.Time, error) {
	runs := s.Runs(time.Now(), shownRuns)
	if len(runs) == 0 {
		return nil, fmt.Errorf("it would never run: %s has passed", s.At.Format(time.RFC3339))
	}
	return runs, nil
}

// hasPeriod reports whether a schedule of the device has the period of another one, which then goes on.
func hasPeriod(status *scheduler.Status, s scheduler.Schedule) bool {
	return status != nil && status.EverySeconds != nil && *status.EverySeconds == *s.EverySeconds
}

// setAndShow shows the next runs by this machine's clock, and sends the schedule. Where the device keeps the period
// it alone knows them: then it is asked after the answer.
func (s *sender) setAndShow(ctx context.Context, r *remote, name string, fields map[string]any, set scheduler.Schedule, keeps bool) error {
	if !keeps {
		runs, err := nextRuns(set)
		if err != nil {
			return err
		}
		if err := s.showRuns(set, runs); err != nil {
			return err
		}
	}
	if err := s.setSchedule(ctx, r, name, fields); err != nil || !keeps {
		return err
	}
	schedules, _, err := r.schedules(ctx, func(v scheduler.View) bool {
		return hasPeriod(v[name], set) && v[name].NextRun != nil
	})
	if err != nil {
		return err
	}
	next := *schedules[name].NextRun
	return s.showRuns(set, append([]time.Time{next}, set.Runs(next, shownRuns-1)...))
}

// setSchedule sends the fields of a schedule, and waits for the answer.
func (s *sender) setSchedule(ctx context.Context, r *remote, name string, fields map[string]any) error {
	return s.send(ctx, r, client.Command{Input: "schedules/" + name, Fields: fields})
}

// showRuns prints the next runs.
func (s *sender) showRuns(set scheduler.Schedule, runs []time.Time) error {
	if s.asJSON {
		return json.NewEncoder(s.screen.out).Encode(map[string]any{"next_runs": runs})
	}
	lines := []string{"Next runs:"}
	for _, at := range runs {
		lines = append(lines, "  "+inZone(set, at))
	}
	return s.screen.println(strings.Join(lines, "\n"))
}

// inZone writes a time for people, in the time zone of the schedule.
func inZone(s scheduler.Schedule, at time.Time) string {
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil { // one that this machine does not know
		zone = time.UTC
	}
	return at.In(zone).Format("Mon 2006-01-02 15:04:05 MST")
}
