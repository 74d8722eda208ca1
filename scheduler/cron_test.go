package scheduler_test

import (
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/scheduler"
)

// A year in which somebody in Toronto has a plate brought out at eight on workdays: the runner makes exactly
// the runs of a calendar, which is another way to count.
func TestAYearOfWeekdays(t *testing.T) {
	toronto := zone(t, "America/Toronto")
	inBubble(t, func(t *testing.T, r *rig) {
		r.set("morning", `{"cron":"0 8 * * 1-5","timezone":"America/Toronto","operation":"hotel","parameters":{"hotel":"A"}}`)
		r.sleepUntil("2027-01-01T00:00:00Z")
		var want []string
		for day := 1; day <= 365; day++ {
			at := time.Date(2026, 1, day, 8, 0, 0, 0, toronto)
			if at.Weekday() != time.Saturday && at.Weekday() != time.Sunday {
				want = append(want, at.UTC().Format(time.RFC3339))
			}
		}
		if len(want) != 261 {
			t.Fatalf("the calendar has %d workdays", len(want))
		}
		r.expect(want...)
		r.counted("morning", 0, 0)
	})
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// The README's table is this one.
func TestNightsOnWhichTheClockIsChanged(t *testing.T) {
	for _, test := range []struct {
		zone, cron, from string
		want             []string // with the offset of the zone
	}{
		{"America/Toronto", "30 2 * * *", "2026-03-07T12:00:00-05:00", []string{
			"2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"}},
		{"America/Toronto", "30 2 * * *", "2026-10-31T12:00:00-04:00", []string{
			"2026-11-01T02:30:00-05:00", "2026-11-02T02:30:00-05:00"}},
		{"America/Toronto", "30 1 * * *", "2026-10-31T12:00:00-04:00", []string{
			"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"}},
		{"Europe/Berlin", "30 2 * * *", "2026-03-28T12:00:00+01:00", []string{
			"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"Europe/Berlin", "30 2 * * *", "2026-10-24T12:00:00+02:00", []string{
			"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}},
		// Set, or started, in the hour that comes twice, the second time.
		{"Europe/Berlin", "30 2 * * *", "2026-10-25T02:10:00+01:00", []string{"2026-10-26T02:30:00+01:00"}},
		{"Europe/Berlin", "0 3 * * *", "2026-10-25T02:10:00+01:00", []string{"2026-10-25T03:00:00+01:00"}},
		// What is due every hour, or every few minutes, goes on through the night.
		{"Europe/Berlin", "30 * * * *", "2026-03-29T01:00:00+01:00", []string{
			"2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"}},
		{"Europe/Berlin", "@hourly", "2026-10-25T01:30:00+02:00", []string{
			"2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"}},
		{"America/Toronto", "*/30 1 * * *", "2026-11-01T00:59:00-04:00", []string{
			"2026-11-01T01:00:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T01:30:00-05:00",
			"2026-11-02T01:00:00-05:00"}},
		// Several in the hour that is skipped are one, and the one at its end is that one.
		{"America/Toronto", "0,20,40 2 * * *", "2026-03-08T01:00:00-05:00", []string{
			"2026-03-08T03:00:00-04:00", "2026-03-09T02:00:00-04:00"}},
		{"America/Toronto", "30 2,3 * * *", "2026-03-08T01:00:00-05:00", []string{
			"2026-03-08T03:00:00-04:00", "2026-03-08T03:30:00-04:00", "2026-03-09T02:30:00-04:00"}},
		{"America/Toronto", "0 2-3 * * *", "2026-03-08T01:00:00-05:00", []string{
			"2026-03-08T03:00:00-04:00", "2026-03-09T02:00:00-04:00"}},
		// Where the clock is changed by half an hour, and at midnight.
		{"Australia/Lord_Howe", "0 2 * * *", "2026-04-04T12:00:00+11:00", []string{
			"2026-04-05T02:00:00+10:30", "2026-04-06T02:00:00+10:30"}},
		{"America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00:00-03:00", []string{
			"2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"}},
		// Where Go does not know the bounds of a zone.
		{"America/Toronto", "30 22 * * *", "2040-12-30T12:00:00-05:00", []string{
			"2040-12-30T22:30:00-05:00", "2040-12-31T22:30:00-05:00", "2041-01-01T22:30:00-05:00"}},
		// Where a leap year is left out.
		{"UTC", "0 0 29 2 *", "2096-03-01T00:00:00Z", []string{"2104-02-29T00:00:00Z", "2108-02-29T00:00:00Z"}},
		{"America/Toronto", "30 2 29 2 *", "2096-03-01T00:00:00-05:00", []string{"2104-02-29T02:30:00-05:00"}},
		{"Australia/Sydney", "*/30 0 29 feb *", "2096-03-01T00:00:00+11:00", []string{
			"2104-02-29T00:00:00+11:00", "2104-02-29T00:30:00+11:00", "2108-02-29T00:00:00+11:00"}},
		{"UTC", "30 2 * * *", "2026-03-28T12:00:00Z", []string{"2026-03-29T02:30:00Z", "2026-03-30T02:30:00Z"}},
	} {
		s, err := scheduler.Decode([]byte(`{"cron":"` + test.cron + `","timezone":"` + test.zone + `","operation":"home"}`))
		if err != nil {
			t.Errorf("%s: %v", test.cron, err)
			continue
		}
		runs := s.Runs(date(test.from), len(test.want))
		if len(runs) != len(test.want) {
			t.Errorf("%s in %s has %d runs after %s, want %d", test.cron, test.zone, len(runs), test.from, len(test.want))
		}
		for i, at := range runs {
			if got := at.In(zone(t, test.zone)).Format(time.RFC3339); got != test.want[i] {
				t.Errorf("%s in %s, run %d after %s is at %s, want %s", test.cron, test.zone, i+1, test.from, got, test.want[i])
			}
		}
	}
}

// The runner, on one of those nights.
func TestANightOnWhichAnHourComesTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.step(date("2026-10-24T22:00:00Z").Sub(r.now()))
		r.set("night", `{"cron":"30 2 * * *","timezone":"Europe/Berlin","operation":"home"}`)
		r.set("hourly", `{"cron":"30 * * * *","timezone":"Europe/Berlin","operation":"refresh"}`)
		r.sleepUntil("2026-10-25T02:00:00Z")
		r.expect("2026-10-24T22:30:00Z", "2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z")
		r.sleepUntil("2026-10-26T02:00:00Z")
		n := 0
		for _, run := range r.runs() {
			if run.Source == "schedule:night" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d runs on the next night, want one", n)
		}
	})
}
