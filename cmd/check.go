package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/device"
)

// maxHealthAge is how old the health of a device in order may be: it comes once a minute at least.
const maxHealthAge = 3 * time.Minute

func newCheck() *cobra.Command {
	var flags remoteFlags
	c := &cobra.Command{
		Use:   "check",
		Short: "Say whether a device is in order",
		Long: "Say whether a device is in order: exit status 0, unless it is offline, its health is older than 3\n" +
			"minutes, or its status is error. For container health checks and scripts.",
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := flags.connect(c.Context())
			if err != nil {
				return err
			}
			defer r.Close()
			message, err := r.check(c.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", r.device, message)
			return err
		},
	}
	flags.add(c)
	return c
}

// check returns what the device says of itself, or what is wrong with it.
func (r *remote) check(ctx context.Context) (string, error) {
	var state device.Snapshot
	var health device.Health
	err := r.await(ctx, "its state and health", func(m client.Message) (enough bool, err error) {
		switch m.Topic {
		case client.State:
			err = json.Unmarshal(m.Payload, &state)
		case client.Health:
			err = json.Unmarshal(m.Payload, &health)
		}
		return !state.UpdatedAt.IsZero() && !health.UpdatedAt.IsZero(), err
	})
	age := time.Since(health.UpdatedAt).Round(time.Second)
	switch {
	case err != nil:
		return "", err
	case state.Status == device.StatusError:
		return "", errors.New(state.Message)
	case age > maxHealthAge:
		return "", fmt.Errorf("the health of device %s is %v old", r.device, age)
	}
	return fmt.Sprintf("%s, %s", state.Status, state.Message), nil
}
