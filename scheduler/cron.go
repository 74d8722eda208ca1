package scheduler

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/plate-resort/plate-resort/device/payload"
)

const (
	// searchYears is how far a time is searched for. Around 2100, which is no leap year, 29 February comes after
	// eight years.
	searchYears = 9
	// parserYears is how far the parser searches from where it begins.
	parserYears = 5
)

// descriptors stand for five fields.
var descriptors = []string{"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}

// cronFields are the five fields, and what may be in them.
var cronFields = [5]struct {
	name, values string
	parser       cron.Parser
}{
	{"minute", "0 to 59", cron.NewParser(cron.Minute)},
	{"hour", "0 to 23", cron.NewParser(cron.Hour)},
	{"day of the month", "1 to 31", cron.NewParser(cron.Dom)},
	{"month", "1 to 12 or jan to dec", cron.NewParser(cron.Month)},
	{"day of the week", "0 to 6, where 0 is Sunday, or sun to sat", cron.NewParser(cron.Dow)},
}

// cronField is what a field looks like. The parser alone would take more, *-5 as *, for example, and it panics
// on a TZ= that nothing follows.
var cronField = regexp.MustCompile(`^(\*|\w+(-\w+)?)(/\d+)?(,(\*|\w+(-\w+)?)(/\d+)?)*$`)

// cronParser takes what has been looked at.
var cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// A cronTimes are the times of a cron expression in a time zone.
type cronTimes struct {
	spec cron.SpecSchedule
	zone *time.Location
	// fixed is for an expression of times of the day, with * neither in the minute nor in the hour.
	fixed bool
}

// parseCron reads a cron expression: five fields, or a descriptor.
func parseCron(text string, zone *time.Location) (*cronTimes, error) {
	fields := strings.Fields(text)
	switch {
	case strings.Contains(text, "TZ="):
		return nil, payload.Invalid("cron is %q; give the time zone in the field timezone", payload.Shorten(text))
	case strings.HasPrefix(text, "@every"):
		return nil, payload.Invalid("cron is %q; for a period, give every_seconds instead", payload.Shorten(text))
	case strings.HasPrefix(text, "@") && !slices.Contains(descriptors, text):
		return nil, payload.Invalid("cron is %q; it must be one of %s, or five fields", payload.Shorten(text), payload.Join(descriptors))
	case strings.HasPrefix(text, "@"):
	case len(fields) != len(cronFields):
		return nil, payload.Invalid(`cron is %q, which has %d fields; it must have five, minute, hour, day of the month, month, day of the week, as in "0 8 * * 1-5"`,
			payload.Shorten(text), len(fields))
	default:
		for i, f := range cronFields {
			valid := cronField.MatchString(fields[i])
			if valid {
				_, err := parseSpec(f.parser, fields[i])
				valid = err == nil
			}
			if !valid {
				return nil, payload.Invalid("the %s of cron is %q; it must be %s, or * for all, and may be a list as in 1,2, a range as in 1-5 or steps as in */2",
					f.name, payload.Shorten(fields[i]), f.values)
			}
		}
	}
	spec, err := parseSpec(cronParser, strings.Join(fields, " "))
	if err != nil {
		return nil, payload.Invalid("cron is %q: %w", payload.Shorten(text), err)
	}
	c := &cronTimes{spec: *spec, zone: zone}
	c.fixed = text != "@hourly" && (len(fields) == 1 || !strings.Contains(fields[0]+fields[1], "*"))
	return c, nil
}

// parseSpec has the parser read a text. A panic of the parser, which has had some, is an error.
func parseSpec(parser cron.Parser, text string) (spec *cron.SpecSchedule, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it cannot be read: %v", p)
		}
	}()
	schedule, err := parser.Parse(text)
	if err != nil {
		return nil, err
	}
	return schedule.(*cron.SpecSchedule), nil
}

// next returns the first time after t, or the zero time when there is none for years.
//
// Between two changes of the clock in the zone, the expression is looked up as if there were none. At a
// change it is as with cron(8): what is fixed to a time of the day that the clock skips comes right after,
// and comes once where the clock shows that time twice.
func (c *cronTimes) next(t time.Time) time.Time {
	from := t.Add(1) // the first moment that counts
	for from.Year() < t.Year()+searchYears {
		from = from.In(c.zone)
		start, end := from.ZoneBounds()
		if !end.IsZero() && !end.After(from) {
			end = from.AddDate(0, 0, 1) // on a day at the end of leap years after 2037, Go's bounds are before it
		}
		_, offset := from.Zone()
		if c.fixed && !start.IsZero() {
			_, before := start.Add(-1).Zone()
			if again := start.Add(seconds(before - offset)); from.Before(again) {
				from = again // the clock has shown what is before that already
				continue
			}
		}
		spec := c.spec
		spec.Location = time.FixedZone("", offset)
		due := spec.Next(from.Add(-1))
		switch {
		case due.IsZero():
			from = from.AddDate(parserYears, 0, -1)
			continue
		case end.IsZero(), due.Before(end):
			return due
		case c.fixed:
			if _, after := end.Zone(); due.Before(end.Add(seconds(after - offset))) {
				return end
			}
		}
		from = end
	}
	return time.Time{}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
