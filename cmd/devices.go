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
	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt"
)

// The broker does not say when it has sent all that it retains. It begins at once, and goes on without a pause.
const (
	// firstPatience is how long the first retained message may take.
	firstPatience = time.Second
	// nextPatience is how long each other one may take after the one before.
	nextPatience = 300 * time.Millisecond
)

func newDevices() *cobra.Command {
	var flags remoteFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "devices",
		Short: "List the devices on the broker",
		Long: "List the devices that the broker knows, with what they last said. It takes what the broker has retained,\n" +
			"until nothing more has come for 0.3 s; that there are none it says after a second.",
		RunE: func(c *cobra.Command, _ []string) error {
			devices, err := flags.collect(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printDevicesJSON(c.OutOrStdout(), devices)
			}
			return printDevices(c.OutOrStdout(), devices)
		},
	}
	flags.addBroker(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print them as JSON lines, with state and health as the device publishes them")
	return c
}

// A listed device is what the broker retains of it.
type listed map[client.Topic]client.Message

// collect returns what the broker retains, by device.
func (f *remoteFlags) collect(ctx context.Context) (map[string]listed, error) {
	config, err := f.config(true)
	if err != nil {
		return nil, err
	}
	c, err := dial(ctx, config)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return listDevices(ctx, c.Watch), nil
}

// listDevices takes messages until no more retained ones come.
func listDevices(ctx context.Context, watch func(context.Context) <-chan client.Message) map[string]listed {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(firstPatience, cancel)
	defer quiet.Stop()
	devices := make(map[string]listed)
	for m := range watch(ctx) {
		if m.Device == "" {
			continue
		}
		if m.Retained {
			quiet.Reset(nextPatience)
		}
		if devices[m.Device] == nil {
			devices[m.Device] = make(listed)
		}
		devices[m.Device][m.Topic] = m
	}
	return devices
}

func (l listed) availability() string { return printable(string(l[client.Availability].Payload)) }

func printDevices(out io.Writer, devices map[string]listed) error {
	if len(devices) == 0 {
		_, err := fmt.Fprintln(out, "no devices")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DEVICE\tIS\tSTATUS\tANGLE\tHOTEL\tHEARD\tVERSION\tMESSAGE")
	for _, id := range slices.Sorted(maps.Keys(devices)) {
		l := devices[id]
		var state device.Snapshot
		var health device.Health
		_ = json.Unmarshal(l[client.State].Payload, &state) // what cannot be read shows as unknown
		_ = json.Unmarshal(l[client.Health].Payload, &health)
		status, message, angle, hotel := "-", "-", "-", "-"
		if l.availability() == mqtt.Online { // otherwise it may be different by now
			status, message = orNone(string(state.Status)), orNone(state.Message)
			if state.Angle != nil {
				angle = state.Angle.String()
			}
			if state.Hotel != nil {
				hotel = orNone(*state.Hotel)
			}
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(id), orNone(l.availability()), status, angle, hotel,
			age(latest(state.UpdatedAt, health.UpdatedAt)), orNone(health.Version), message)
	}
	return table.Flush()
}

func orNone(text string) string {
	if text == "" {
		return "-"
	}
	return printable(text)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// age says how long ago a time was, in its largest unit.
func age(at time.Time) string {
	d := max(time.Since(at), 0)
	switch {
	case at.IsZero():
		return "-"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

// A deviceLine is a device in JSON.
type deviceLine struct {
	Device       string          `json:"device"`
	Availability json.RawMessage `json:"availability"` // a string; these three are null where nothing is retained
	State        json.RawMessage `json:"state"`
	Health       json.RawMessage `json:"health"`
}

func printDevicesJSON(out io.Writer, devices map[string]listed) error {
	encoder := json.NewEncoder(out)
	for _, id := range slices.Sorted(maps.Keys(devices)) {
		l := devices[id]
		line := deviceLine{id, inJSON(l[client.Availability].Payload), inJSON(l[client.State].Payload), inJSON(l[client.Health].Payload)}
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
