package scheduler_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/scheduler"
)

// readmeTable returns the cells of the README's table with that first cell in its head.
func readmeTable(t *testing.T, head string) (rows [][]string) {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(readme), "\n| "+head+" |")
	if !found {
		t.Fatalf("the README has no table of %s", head)
	}
	for _, line := range strings.Split(table, "\n")[2:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(cells[i], " `")
		}
		rows = append(rows, cells)
	}
	return rows
}

func TestReadmeListsEveryFieldOfASchedule(t *testing.T) {
	var names []string
	for _, row := range readmeTable(t, "field") {
		names = append(names, row[0])
		for _, text := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[2], -1) {
			if row[0] == "cron" {
				if _, err := scheduler.Decode([]byte(`{"cron":"` + text[1] + `","operation":"home"}`)); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if !slices.Equal(names, scheduler.Fields) {
		t.Errorf("the README lists %v, want %v", names, scheduler.Fields)
	}
}

func TestReadmeSaysWhatBecomesOfANight(t *testing.T) {
	rows := readmeTable(t, "time zone")
	if len(rows) != 4 {
		t.Errorf("the table has %d nights, want both of two zones", len(rows))
	}
	for _, row := range rows {
		night, err := time.ParseInLocation(time.DateOnly, row[1], zone(t, row[0]))
		if err != nil {
			t.Fatal(err)
		}
		s, err := scheduler.Decode([]byte(`{"cron":"30 2 * * *","timezone":"` + row[0] + `","operation":"home"}`))
		if err != nil {
			t.Fatal(err)
		}
		runs := s.Runs(night, 2)
		if want := "once, at " + runs[0].Format("15:04 MST"); !strings.HasPrefix(row[3], want) || runs[1].In(night.Location()).Day() == night.Day() {
			t.Errorf("in %s on %s it runs at %v; the README says: %s", row[0], row[1], runs, row[3])
		}
	}
}
