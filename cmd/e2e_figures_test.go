//go:build e2e && figures

package cmd_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	figuresFile = flag.String("figures.json", "", "the file that TestFigures writes what it has measured to, as JSON")
	figuresSize = flag.Int("figures.size", 1000, "how often TestFigures measures what takes a moment, such as the way of a command")
	figuresRest = flag.Duration("figures.rest", time.Minute, "for how long TestFigures looks at a device that has nothing to do")
)

// A figure is one line of the table.
type figure struct {
	Name     string   `json:"figure"`
	Unit     string   `json:"unit"`
	Limit    *float64 `json:"limit"`    // the goal: no more than this; null is there to compare with
	Measured *float64 `json:"measured"` // null is what could not be measured
	Result   string   `json:"result"`   // held, MISSED, or nothing without a goal
	Beside   string   `json:"beside"`   // what the figure was made of
}

func (f figure) String() string {
	goal, measured := "", ""
	if f.Limit != nil {
		goal = fmt.Sprintf("≤ %.4g %s", *f.Limit, f.Unit)
	}
	if f.Measured != nil {
		measured = fmt.Sprintf("%.3g %s", *f.Measured, f.Unit)
	}
	return pad(f.Result, 8) + pad(f.Name, 64) + pad(goal, 14) + pad(measured, 14) + f.Beside
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(1, width-len([]rune(text))))
}

// Figures are what has been measured so far.
type figures struct {
	rows   []figure
	missed bool // a goal
}

// goal prints a figure. One that misses its goal fails the test, when all have been measured.
func (f *figures) goal(name, unit string, limit, measured float64, beside string, args ...any) {
	result := "held"
	if !(measured <= limit) {
		result = "MISSED"
	}
	f.add(figure{name, unit, &limit, &measured, result, fmt.Sprintf(beside, args...)})
}

// compare prints a figure that has no goal.
func (f *figures) compare(name, unit string, measured float64, beside string, args ...any) {
	f.add(figure{Name: name, Unit: unit, Measured: &measured, Beside: fmt.Sprintf(beside, args...)})
}

func (f *figures) add(row figure) {
	f.rows = append(f.rows, row)
	fmt.Println(row)
	f.missed = f.missed || row.Result == "MISSED"
}

// part measures some of them.
func (f *figures) part(t *testing.T, name string, measure func(t *testing.T)) {
	if !t.Run(name, measure) {
		f.add(figure{Name: name + ": not all could be measured", Result: "MISSED"})
	}
}

// TestFigures measures what PERFORMANCE.md promises, and prints a table. Times are compared with others of the same
// run, as machines differ and have other things to do.
func TestFigures(t *testing.T) {
	f := new(figures)
	t.Cleanup(func() { // the programs, which end before, print what they have logged if the test has failed by then
		if f.missed {
			t.Fail()
		}
	})
	fmt.Println(pad("result", 8) + pad("figure", 64) + pad("goal", 14) + pad("measured", 14) + "beside")
	program := buildPlain(t)
	tuned := newRig(t, program, true)
	f.part(t, "size", func(t *testing.T) { f.size(t, program) })
	f.part(t, "start", func(t *testing.T) { f.starts(t, tuned) })
	f.part(t, "rest", func(t *testing.T) { f.rest(t, tuned) })
	f.part(t, "command", func(t *testing.T) { f.commands(t, tuned) })
	f.part(t, "nagle", func(t *testing.T) { f.untuned(t, tuned, newRig(t, program, false)) })
	f.part(t, "settled", func(t *testing.T) { f.settled(t, tuned) })
	f.part(t, "settling", func(t *testing.T) { f.settlingStops(t, tuned) })
	f.part(t, "stop", func(t *testing.T) { f.stops(t, newRig(t, program, true, "PLATE_RESORT_SPEED=3")) })
	f.part(t, "queue", func(t *testing.T) { f.queue(t, newRig(t, program, true, "PLATE_RESORT_QUEUE_SIZE=10000")) })
	f.part(t, "many", func(t *testing.T) { f.manyCommands(t, tuned) })
	f.part(t, "fleet", func(t *testing.T) { f.fleet(t) })
	f.part(t, "allocations", func(t *testing.T) { f.allocations(t) })
	if *figuresFile == "" {
		return
	}
	text, err := json.MarshalIndent(f.rows, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(*figuresFile, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// percentile returns the least of the times that so many in a hundred of them do not exceed.
func percentile(times []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[(len(sorted)*percent+99)/100-1]
}

// spread is how the times are told beside a figure.
func spread(times []time.Duration) string {
	micros := func(percent int) int64 { return percentile(times, percent).Microseconds() }
	return fmt.Sprintf("%d µs, p99 %d", micros(50), micros(99))
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }
