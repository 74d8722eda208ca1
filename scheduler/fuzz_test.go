package scheduler

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/plate-resort/plate-resort/device"
)

// FuzzDecode reads whatever comes as a schedule. What is accepted is the same schedule when it is read again as it
// is kept, for one kind of times alone and with parameters of its operation alone; what is refused is answered with
// what is wrong, on one line that can be shown.
func FuzzDecode(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Decode(text)
		if err != nil {
			var refusal *device.Error
			if !errors.As(err, &refusal) || refusal.Code != device.CodeInvalidPayload || !isLine(refusal.Message) {
				t.Errorf("the answer to %q is %v", text, err)
			}
			return
		}
		content := s.content()
		again, err := Decode(content)
		tooLong := err != nil && len(content) > 1000 // written out, a field may be longer than what is read
		if !tooLong && (err != nil || !again.same(s)) {
			t.Errorf("%s is kept as %s, which is read as %s, %v", text, content, again.content(), err)
		}
		kinds := 0
		for _, given := range []bool{s.Cron != "", s.EverySeconds != nil, s.At != nil} {
			if given {
				kinds++
			}
		}
		if kinds != 1 || !slices.Contains(Operations, s.Operation) || s.Parameters.ExpiresAt != nil || s.Parameters.Target != nil {
			t.Errorf("%s is accepted as %s", text, content)
		}
		now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
		runs := s.Runs(now, 3)
		for i, at := range runs {
			if before := slices.Concat([]time.Time{now}, runs)[i]; !at.After(before) {
				t.Errorf("%s is due at %v after %v", content, at, before)
			}
		}
		switch {
		case s.At == nil && len(runs) != 3:
			t.Errorf("%s has the runs %v", content, runs)
		case s.EverySeconds != nil && runs[2].Sub(now) != 3*seconds(*s.EverySeconds):
			t.Errorf("%s has the runs %v", content, runs)
		case s.At != nil && (len(runs) > 1 || len(runs) == 1 != s.At.After(now)):
			t.Errorf("%s has the runs %v", content, runs)
		}
	})
}

func isLine(text string) bool {
	return text != "" && len(text) < 2000 && utf8.ValidString(text) &&
		!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// fuzzZones have their clocks changed by an hour, at midnight, by half an hour, not any more, and never.
var fuzzZones = func() (zones []*time.Location) {
	for _, name := range []string{"UTC", "America/Toronto", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			panic(err)
		}
		zones = append(zones, zone)
	}
	return zones
}()

// FuzzTimes looks for the times of a cron expression, and compares them with a calendar that reads the expression
// in its own way: each is one of the expression, and none is left out, but for what the change of a clock does to
// those that are fixed to times of the day.
func FuzzTimes(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string, zone uint8, from int64) {
		c, err := parseCron(text, fuzzZones[int(zone)%len(fuzzZones)])
		if err != nil {
			var refusal *device.Error
			if !errors.As(err, &refusal) || !isLine(refusal.Message) {
				t.Errorf("the answer to %q is %v", text, err)
			}
			return
		}
		const begin, length = 946684800, 100 * 366 * 24 * 3600 // 2000 to 2100
		now := time.Unix(begin+(from%length+length)%length, 0)
		wanted := readCron(text)
		for range 4 {
			due := c.next(now)
			if due.IsZero() {
				return // never, or not for years
			}
			local := due.In(c.zone)
			if !due.After(now) || local.Second() != 0 || local.Nanosecond() != 0 {
				t.Fatalf("%q is due at %v after %v", text, local, now.In(c.zone))
			}
			if !wanted.has(local) && !(c.fixed && putForward(c.zone, due)) {
				t.Fatalf("%q is due at %v", text, local)
			}
			if !c.fixed || !isChanged(c.zone, now.Add(-3*time.Hour), due) {
				const most = 100 // minutes that are looked at
				at := now.Truncate(time.Minute)
				for range most {
					if at = at.Add(time.Minute); !at.Before(due) {
						break
					}
					if wanted.has(at.In(c.zone)) && at.In(c.zone).Second() == 0 {
						t.Fatalf("%q is due at %v after %v, and not at %v", text, local, now.In(c.zone), at.In(c.zone))
					}
				}
			}
			now = due
		}
	})
}

// putForward reports whether the clocks of a zone are put forward at a time.
func putForward(zone *time.Location, at time.Time) bool {
	_, after := at.In(zone).Zone()
	_, before := at.Add(-1).In(zone).Zone()
	return after > before
}

// isChanged reports whether the clocks of a zone are changed between two times.
func isChanged(zone *time.Location, from, to time.Time) bool {
	_, end := from.In(zone).ZoneBounds()
	return !end.IsZero() && !end.After(to)
}

// A calendar is a cron expression: for each field whether a value is one of it.
type calendar struct {
	fields [5][60]bool
	anyDay bool // the day of the month or that of the week is *
}

func (c *calendar) has(at time.Time) bool {
	day, weekday := c.fields[2][at.Day()], c.fields[4][at.Weekday()]
	return c.fields[0][at.Minute()] && c.fields[1][at.Hour()] && c.fields[3][at.Month()] &&
		(day && weekday || !c.anyDay && (day || weekday))
}

// readCron reads an expression that is valid.
func readCron(text string) *calendar {
	text = map[string]string{
		"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
		"@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
	}[text] + text
	if i := strings.IndexByte(text, '@'); i >= 0 {
		text = text[:i]
	}
	c := new(calendar)
	least, most := [5]int{0, 0, 1, 1, 0}, [5]int{59, 23, 31, 12, 6}
	for i, field := range strings.Fields(text) {
		for _, part := range strings.Split(field, ",") {
			values, step, stepped := strings.Cut(part, "/")
			first, last, isRange := strings.Cut(values, "-")
			low, high := least[i], most[i]
			if values != "*" {
				low = value(first)
				switch {
				case isRange:
					high = value(last)
				case !stepped:
					high = low
				}
			}
			by := 1
			if stepped {
				by = value(step)
			}
			for v := low; v <= high; v += by {
				c.fields[i][v] = true
			}
			c.anyDay = c.anyDay || values == "*" && by == 1 && (i == 2 || i == 4)
		}
	}
	return c
}

// value is a number, or that of a month or a day of the week.
func value(text string) int {
	names := "sun mon tue wed thu fri sat" + " jan feb mar apr may jun jul aug sep oct nov dec"
	at := strings.Index(names, strings.ToLower(text))
	switch {
	case at >= 0 && at/4 < 7:
		return at / 4
	case at >= 0:
		return at/4 - 6
	}
	n, _ := strconv.Atoi(text)
	return n
}
