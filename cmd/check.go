package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt"
)

const (
	// checkTimeout is how long the broker has for the retained messages of a device.
	checkTimeout = 3 * time.Second
	// maxHealthAge is how old the health of a device in order may be: it comes once a minute at least.
	maxHealthAge = 3 * time.Minute
)

func newCheck() *cobra.Command {
	var flags remoteFlags
	c := &cobra.Command{
		Use:   "check",
		Short: "Say whether a device is in order",
		Long: "Say whether a device is in order: exit status 0, unless it is offline, its health is older than 3\n" +
			"minutes, or its status is error. For container health checks and scripts.",
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := flags.connect(c.Context(), func(t mqtt.Topics) []string {
				return []string{t.Availability(), t.State(), t.Health()}
			})
			if err != nil {
				return err
			}
			defer r.close()
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
	ctx, cancel := context.WithTimeoutCause(ctx, checkTimeout, r.unknown())
	defer cancel()
	var state device.Snapshot
	var health device.Health
	for state.UpdatedAt.IsZero() || health.UpdatedAt.IsZero() {
		m, err := r.next(ctx)
		if err != nil {
			return "", err
		}
		switch m.Topic() {
		case r.topics.Availability():
			if string(m.Payload()) != mqtt.Online {
				return "", fmt.Errorf("device %s is offline", r.device)
			}
		case r.topics.State():
			err = json.Unmarshal(m.Payload(), &state)
		case r.topics.Health():
			err = json.Unmarshal(m.Payload(), &health)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", m.Topic(), err)
		}
	}
	age := time.Since(health.UpdatedAt).Round(time.Second)
	switch {
	case state.Status == device.StatusError:
		return "", errors.New(state.Message)
	case age > maxHealthAge:
		return "", fmt.Errorf("the health of device %s is %v old", r.device, age)
	}
	return fmt.Sprintf("%s, %s", state.Status, state.Message), nil
}
