package scheduler

import (
	"time"

	"github.com/plate-resort/plate-resort/device/payload"
)

const (
	// maxEvery is the longest period, in seconds: a year.
	maxEvery = 366 * 24 * 3600
	// firstYear and lastYear are those of an at. They can be written in any time zone.
	firstYear, lastYear = 2000, 9998
	// maxMissed is how many times of a cron expression are counted for one outage, and maxCounted of all together
	// in one look at the clock. After a jump of years there would be no end of them.
	maxMissed, maxCounted = 1_000, 10_000
)

// times say when a schedule is due. One of cron, every and at is set.
type times struct {
	cron  *cronTimes
	every time.Duration
	since time.Time // every counts from it
	at    time.Time
}

// newTimes are those of a schedule whose period counts from since.
func newTimes(s Schedule, since time.Time) (t times, err error) {
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil || s.Timezone == "" || s.Timezone == "Local" {
		return t, payload.Invalid("timezone is %q; it must be a name of the IANA time zone database, as in America/Toronto or UTC", payload.Shorten(s.Timezone))
	}
	switch {
	case s.At != nil:
		t.at = *s.At
		if year := t.at.UTC().Year(); year < firstYear || year > lastYear {
			return t, payload.Invalid("at is in the year %d; it must be from %d to %d", year, firstYear, lastYear)
		}
	case s.EverySeconds != nil:
		if *s.EverySeconds < 1 || *s.EverySeconds > maxEvery {
			return t, payload.Invalid("every_seconds is %d; it must be from 1 to %d", *s.EverySeconds, maxEvery)
		}
		t.every, t.since = seconds(*s.EverySeconds), since
	default:
		t.cron, err = parseCron(s.Cron, zone)
	}
	return t, err
}

// next returns the first time after now, or the zero time when there is none.
func (t times) next(now time.Time) time.Time {
	switch {
	case t.cron != nil:
		return t.cron.next(now)
	case t.every == 0 && t.at.After(now):
		return t.at
	case t.every == 0:
		return time.Time{}
	case now.Before(t.since):
		return t.since.Add(t.every)
	}
	return t.since.Add((now.Sub(t.since)/t.every + 1) * t.every)
}

// count returns how many times there are from one of them, due, to now: at least 1. Those of a cron expression
// must be looked for, which takes from the budget.
func (t times) count(due, now time.Time, budget *int) (n int) {
	switch {
	case t.every > 0:
		return int(now.Sub(due)/t.every) + 1
	case t.cron == nil:
		return 1
	}
	for n = 1; n < maxMissed && *budget > 0; n++ {
		*budget--
		if due = t.next(due); due.IsZero() || due.After(now) {
			break
		}
	}
	return n
}
