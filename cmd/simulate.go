package cmd

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

func newSimulate() *cobra.Command {
	var (
		link, model  string
		id, firmware uint8
		baud         int
		named        []string // faults
	)
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Run a simulated servo on a pseudo-terminal",
		Long: "Run a simulated servo on a pseudo-terminal, which any Dynamixel program can open like a serial\n" +
			"port, until SIGINT or SIGTERM. A servo that is started again begins as after power-on.\n\n" +
			"The faults, with commas between them, as in --fault friction=2.5,drop=0.02:\n\n" + simulator.FaultNames(),
		RunE: func(c *cobra.Command, _ []string) error {
			var problems []error
			m, err := parseModel(model)
			if err != nil {
				problems = append(problems, err)
			} else if bauds := rates(m); !slices.Contains(bauds, baud) {
				problems = append(problems, fmt.Errorf("--baud is %d; of an %s it must be one of %v", baud, m.Name, bauds))
			}
			if id > dynamixel.MaxID {
				problems = append(problems, fmt.Errorf("--id is %d; it must be from 0 to %d", id, dynamixel.MaxID))
			}
			if firmware == 0 {
				problems = append(problems, errors.New("--firmware is 0; it must be from 1 to 255"))
			}
			wrong := strings.Join(named, ",")
			faults, err := simulator.ParseFaults(wrong)
			if err != nil {
				problems = append(problems, fmt.Errorf("--fault: %w", err))
			}
			if len(problems) > 0 {
				return usageError{errors.Join(problems...)}
			}
			line, err := simulator.OpenPTY(link)
			if err != nil {
				return err
			}
			port := line.Path()
			if link != "" {
				port = link
			}
			with := ""
			if wrong != "" {
				with = ", with the faults " + wrong
			}
			fmt.Fprintf(c.OutOrStdout(), "An %s with firmware %d and id %d at %d baud is on %s%s\n", m.Name, firmware, id, baud, port, with)
			servo := simulator.New(simulator.Config{ID: &id, Model: m.Number, Firmware: firmware, Baud: baud, Faults: faults})
			return servo.Serve(c.Context(), line)
		},
	}
	c.Flags().StringVar(&link, "link", "", "make a symbolic link of this name to the terminal")
	c.Flags().Uint8Var(&id, "id", 1, "the servo's id, 0 to 252")
	c.Flags().IntVar(&baud, "baud", 57600, "the servo's rate in bits a second")
	c.Flags().StringVar(&model, "model", "XC330-T288", "the servo's model, by its name or number")
	c.Flags().Uint8Var(&firmware, "firmware", 52, "the version of the servo's firmware")
	c.Flags().StringSliceVar(&named, "fault", nil, "what is wrong with the servo and its line: see above")
	return c
}

// parseModel finds a model by its name or number.
func parseModel(text string) (dynamixel.Model, error) {
	var known []string
	for _, m := range dynamixel.Models() {
		if strings.EqualFold(text, m.Name) || text == strconv.Itoa(int(m.Number)) {
			return m, nil
		}
		known = append(known, fmt.Sprintf("%s (%d)", m.Name, m.Number))
	}
	return dynamixel.Model{}, fmt.Errorf("--model is %q; it must be one of %s", text, strings.Join(known, ", "))
}

// rates are the baud rates that a model knows.
func rates(m dynamixel.Model) []int {
	e, _ := m.Entry(dynamixel.BaudRate)
	return dynamixel.Bauds[:e.Max+1]
}
