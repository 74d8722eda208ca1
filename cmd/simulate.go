package cmd

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

func newSimulate() *cobra.Command {
	var (
		link string
		id   uint8
		baud int
	)
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Run a simulated servo on a pseudo-terminal",
		Long: "Run a simulated XC330-T288 on a pseudo-terminal, which any Dynamixel program can open like a\n" +
			"serial port, until SIGINT or SIGTERM. A servo that is started again begins as after power-on.",
		RunE: func(c *cobra.Command, _ []string) error {
			if id < 1 || id > dynamixel.MaxID {
				return usageError{fmt.Errorf("--id is %d; it must be from 1 to %d", id, dynamixel.MaxID)}
			}
			if !slices.Contains(dynamixel.Bauds[:], baud) {
				return usageError{fmt.Errorf("--baud is %d; it must be one of %v", baud, dynamixel.Bauds)}
			}
			line, err := simulator.OpenPTY(link)
			if err != nil {
				return err
			}
			port := line.Path()
			if link != "" {
				port = link
			}
			fmt.Fprintf(c.OutOrStdout(), "A servo with id %d at %d baud is on %s\n", id, baud, port)
			return simulator.New(simulator.Config{ID: &id, Baud: baud}).Serve(c.Context(), line)
		},
	}
	c.Flags().StringVar(&link, "link", "", "make a symbolic link of this name to the terminal")
	c.Flags().Uint8Var(&id, "id", 1, "the servo's id, 1 to 252")
	c.Flags().IntVar(&baud, "baud", 57600, "the line's rate in bits a second")
	return c
}
