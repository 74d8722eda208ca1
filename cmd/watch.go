package cmd

import (
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/client"
)

func newWatch() *cobra.Command {
	var (
		flags  remoteFlags
		all    bool
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "watch",
		Short: "Follow what devices do and say",
		Long: "Follow the state, the operations and the warnings of a device until Ctrl-C, over every loss of the broker: of\n" +
			"the device of --device, or of PLATE_RESORT_DEVICE_ID where that is set; otherwise of all.\n\n" +
			"With --json it prints every message as a line {\"device\", \"topic\", \"received_at\", \"payload\"}; the topic\n" +
			"broker is the connection to it.",
		RunE: func(c *cobra.Command, _ []string) error {
			if all && flags.device != "" {
				return usageError{errors.New("--all and --device contradict each other; give one of them")}
			}
			_, set := os.LookupEnv(settingsPrefix + "_DEVICE_ID")
			config, err := flags.config(all || flags.device == "" && !set)
			if err != nil {
				return err
			}
			messages, err := dial(c.Context(), config)
			if err != nil {
				return err
			}
			defer messages.Close()
			if asJSON {
				return watchJSON(messages.Watch(c.Context()), json.NewEncoder(c.OutOrStdout()))
			}
			return follow(messages.Watch(c.Context()), newScreen(c.OutOrStdout()), config.Devices...)
		},
	}
	flags.add(c)
	c.Flags().BoolVar(&all, "all", false, "follow all devices")
	c.Flags().BoolVar(&asJSON, "json", false, "print every message as a JSON line, each new angle too")
	return c
}

// A messageLine is a message in JSON.
type messageLine struct {
	Device     string          `json:"device"`
	Topic      client.Topic    `json:"topic"`
	ReceivedAt time.Time       `json:"received_at"`
	Payload    json.RawMessage `json:"payload"`
}

func watchJSON(messages <-chan client.Message, out *json.Encoder) error {
	for m := range messages {
		line := messageLine{m.Device, m.Topic, m.Received.UTC(), inJSON(m.Payload)}
		if err := out.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// inJSON is a payload as it is, if that is JSON; otherwise as a string, and null if it is empty.
func inJSON(payload []byte) json.RawMessage {
	if json.Valid(payload) {
		return payload
	}
	if len(payload) == 0 {
		return nil
	}
	text, _ := json.Marshal(string(payload)) // a string can be
	return text
}
