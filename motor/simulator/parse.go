package simulator

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A fault is one that has a name on the command line.
type fault struct {
	name, value string // "" where there is none
	meaning     string
	set         func(f *Faults, value string) error
}

var faults = []fault{
	{"drop", "0…1", "so many of the replies are lost", rate(func(f *Faults) *float64 { return &f.DropRate })},
	{"late", "0…1", "so many of the replies arrive 60 ms late", rate(func(f *Faults) *float64 { return &f.LateRate })},
	{"corrupt", "0…1", "so many of the replies have a wrong bit", rate(func(f *Faults) *float64 { return &f.CorruptRate })},
	{"truncate", "0…1", "so many of the replies end too early", rate(func(f *Faults) *float64 { return &f.TruncateRate })},
	{"noise", "0…1", "so many of the replies come behind random bytes", rate(func(f *Faults) *float64 { return &f.NoiseRate })},
	{"echo", "", "the host hears itself", flag(func(f *Faults) *bool { return &f.Echo })},
	{"mute", "", "the servo obeys and says nothing", flag(func(f *Faults) *bool { return &f.Mute })},
	{"jam", "", "while torque is on the horn does not move", flag(func(f *Faults) *bool { return &f.Jam })},
	{"friction", "degrees", "a move stops so far from its goal, with the initial gains",
		number(0, 90, func(f *Faults) *float64 { return &f.Friction })},
	{"inertia", "times", "so many times the moment of inertia of a bare horn",
		number(0.1, 1000, func(f *Faults) *float64 { return &f.Inertia })},
	{"voltage", "V", "the input voltage", number(1, 30, func(f *Faults) *float64 { return &f.Voltage })},
	{"unplug", "time", "every so long, as in 30s, the port is gone for 2 s", every(func(f *Faults) *time.Duration { return &f.Unplug })},
	{"power", "time", "every so long the servo has no power for 2 s", every(func(f *Faults) *time.Duration { return &f.Power })},
	{"seed", "number", "where the random numbers begin", setSeed},
}

// ParseFaults reads faults as they are written on the command line, separated by commas:
//
//	friction=2.5,drop=0.02,jam
//
// The error says all that is wrong.
func ParseFaults(text string) (Faults, error) {
	var f Faults
	var problems []error
	seen := map[string]bool{}
	for _, word := range strings.Split(text, ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			continue
		}
		name, value, _ := strings.Cut(word, "=")
		i := slices.IndexFunc(faults, func(f fault) bool { return f.name == name })
		var err error
		switch {
		case i < 0:
			err = fmt.Errorf("there is no fault %q; there are %s", name, strings.Join(names(), ", "))
		case seen[name]:
			err = fmt.Errorf("the fault %s is there twice", name)
		default:
			if err = faults[i].set(&f, value); err != nil {
				err = fmt.Errorf("fault %q: %w", word, err)
			}
		}
		seen[name] = true
		if err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) > 0 {
		return Faults{}, errors.Join(problems...)
	}
	return f, nil
}

// FaultNames describes the faults that [ParseFaults] knows, one in a line.
func FaultNames() string {
	var b strings.Builder
	for _, f := range faults {
		name := f.name
		if f.value != "" {
			name += "=" + f.value
		}
		fmt.Fprintf(&b, "  %-18s%s\n", name, f.meaning)
	}
	return b.String()
}

func names() []string {
	var all []string
	for _, f := range faults {
		all = append(all, f.name)
	}
	return all
}

func rate(field func(*Faults) *float64) func(*Faults, string) error { return number(0, 1, field) }

func number(low, high float64, field func(*Faults) *float64) func(*Faults, string) error {
	return func(f *Faults, value string) error {
		x, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(x) || x < low || x > high {
			return fmt.Errorf("%q is not a number from %v to %v", value, low, high)
		}
		*field(f) = x
		return nil
	}
}

func flag(field func(*Faults) *bool) func(*Faults, string) error {
	return func(f *Faults, value string) error {
		if value != "" {
			return fmt.Errorf("it takes no value")
		}
		*field(f) = true
		return nil
	}
}

func every(field func(*Faults) *time.Duration) func(*Faults, string) error {
	return func(f *Faults, value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d < 2*outage {
			return fmt.Errorf("%q is not a time of at least %v, as in 30s", value, 2*outage)
		}
		*field(f) = d
		return nil
	}
}

func setSeed(f *Faults, value string) error {
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", value)
	}
	f.Seed = n
	return nil
}
