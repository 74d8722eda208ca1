package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

func newScan() *cobra.Command {
	var (
		ports  []string
		bauds  []int
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "scan",
		Short: "Find servos: their ports, baud rates and ids",
		Long: "Ask on each port, at each rate, which servos are there, and print them. Nothing moves, and nothing is\n" +
			"changed in a servo. Exit status 0 when one was found, 1 when none was.",
		RunE: func(c *cobra.Command, _ []string) error {
			for _, baud := range bauds {
				if !slices.Contains(dynamixel.Bauds[:], baud) {
					return usageError{fmt.Errorf("--baud is %d; it must be one of %v", baud, dynamixel.Bauds)}
				}
			}
			if slices.Contains(ports, "") {
				return usageError{errors.New("--port is empty; give the name of a port")}
			}
			if len(ports) == 0 {
				ports = listPorts("/dev")
			}
			if len(ports) == 0 {
				return errors.New("there is no USB serial port; plug the adapter in, or name another port with --port")
			}
			if len(bauds) == 0 {
				bauds = likelyBauds()
			}
			s := scan{open: motor.Serial(slog.New(slog.DiscardHandler)), out: c.OutOrStdout(), progress: c.ErrOrStderr(), asJSON: asJSON}
			s.run(c.Context(), distinct(ports), bauds)
			switch {
			case len(s.found) == 0 && c.Context().Err() != nil:
				return errors.New("interrupted before a servo has answered")
			case !s.tried:
				return errors.New("no port could be scanned")
			case len(s.found) == 0:
				return errors.New("no servo has answered; does it have power, and is its cable plugged in at both ends?")
			case asJSON:
				return nil
			}
			return s.report()
		},
	}
	c.Flags().StringArrayVar(&ports, "port", nil, "the `port` to scan; may be given several times (default all USB serial ports)")
	c.Flags().IntSliceVar(&bauds, "baud", nil, "the `rate` in bits a second; may be given several times (default all that servos have)")
	c.Flags().BoolVar(&asJSON, "json", false, "print the servos as JSON lines")
	return c
}

// A foundServo is a servo and where it is.
type foundServo struct {
	Port        string `json:"port"`
	Baud        int    `json:"baud"` // bits a second
	ID          byte   `json:"id"`
	Model       string `json:"model"`
	ModelNumber int    `json:"model_number"`
	Firmware    int    `json:"firmware"`
}

// A scan finds servos.
type scan struct {
	open          openFunc
	out, progress io.Writer
	asJSON        bool // print each servo when it is found
	tried         bool // a port could be opened
	found         []foundServo
}

// run scans each port at each rate, until ctx ends. A port that cannot be opened, or fails, is said so.
func (s *scan) run(ctx context.Context, ports []string, bauds []int) {
	for _, name := range ports {
		told := ""
		for _, baud := range bauds {
			if ctx.Err() != nil {
				return
			}
			port, err := s.open(name, baud)
			if err != nil {
				if err.Error() != told { // a port may not have that rate, or be in use at any
					told = err.Error()
					fmt.Fprintln(s.progress, told)
				}
				continue
			}
			s.tried = true
			fmt.Fprintf(s.progress, "trying %s at %d baud\n", name, baud)
			found, err := motor.Scan(ctx, port, baud)
			for _, f := range found {
				s.add(foundServo{name, baud, f.ID, f.Model, f.ModelNumber, f.Firmware})
			}
			if err != nil {
				go port.Close() // which may hang
				if ctx.Err() == nil {
					fmt.Fprintf(s.progress, "%s: %v\n", name, err)
				}
				break
			}
			port.Close()
		}
	}
}

func (s *scan) add(servo foundServo) {
	s.found = append(s.found, servo)
	if s.asJSON {
		_ = json.NewEncoder(s.out).Encode(servo) // if nobody reads it, the exit status is still right
	}
}

// report prints what was found, and the settings for the first.
func (s *scan) report() error {
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PORT\tBAUD\tID\tMODEL\tFIRMWARE")
	for _, f := range s.found {
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%d\n", f.Port, f.Baud, f.ID, f.Model, f.Firmware)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	first, which := s.found[0], "it"
	if len(s.found) > 1 {
		which = "the first of them"
	}
	_, err := fmt.Fprintf(s.out, "\nThe settings for %[1]s:\n%[2]s_MOTOR_PORT=%[3]s\n%[2]s_MOTOR_BAUD=%[4]d\n%[2]s_MOTOR_ID=%[5]d\n",
		which, settingsPrefix, first.Port, first.Baud, first.ID)
	return err
}

// likelyBauds returns all rates that servos have, those first that most servos are at.
func likelyBauds() []int {
	bauds := []int{57600, 1000000}
	for _, baud := range dynamixel.Bauds {
		if !slices.Contains(bauds, baud) {
			bauds = append(bauds, baud)
		}
	}
	return bauds
}

// listPorts returns the USB serial ports in the directory of devices, by the names that stay when there are
// such. It leaves out the others, as of ttyS0 and the like, which can hang when they are opened.
func listPorts(dev string) []string {
	var ports []string
	for _, pattern := range []string{"serial/by-id/*", "ttyUSB*", "ttyACM*", "cu.usb*"} {
		found, _ := filepath.Glob(filepath.Join(dev, pattern)) // fails only for a malformed pattern
		ports = append(ports, found...)
	}
	return distinct(ports)
}

// distinct leaves out the further names of a port.
func distinct(ports []string) []string {
	known := make(map[string]bool)
	return slices.DeleteFunc(slices.Clone(ports), func(port string) bool {
		target := port
		if path, err := filepath.EvalSymlinks(port); err == nil {
			target = path
		}
		seen := known[target]
		known[target] = true
		return seen
	})
}
