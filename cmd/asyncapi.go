package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/mqtt"
)

func newAsyncAPI() *cobra.Command {
	return &cobra.Command{
		Use:   "asyncapi",
		Short: "Print the AsyncAPI document of all topics and payloads",
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(c.OutOrStdout(), mqtt.AsyncAPI)
			return err
		},
	}
}
