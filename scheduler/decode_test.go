package scheduler_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/scheduler"
)

func TestDecode(t *testing.T) {
	hotelA := device.Parameters{Hotel: new("A")}
	for _, test := range []struct {
		text string
		want scheduler.Schedule
	}{
		{`{"cron":"0 8 * * 1-5","timezone":"America/Toronto","operation":"hotel","parameters":{"hotel":"A"},"enabled":true,"overlap":"skip"}`,
			scheduler.Schedule{Cron: "0 8 * * 1-5", Timezone: "America/Toronto", Operation: "hotel", Parameters: hotelA, Enabled: true, Overlap: "skip"}},
		{`{"every_seconds":5,"operation":"home"}`,
			scheduler.Schedule{EverySeconds: new(5), Timezone: "UTC", Operation: "home", Enabled: true, Overlap: "skip"}},
		{`{"at":"2026-11-23T09:00:00+01:00","operation":"stop","enabled":false,"overlap":"queue"}`,
			scheduler.Schedule{At: new(time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)), Timezone: "UTC", Operation: "stop", Overlap: "queue"}},
		{`{"cron":"@daily","operation":"angle","parameters":{"angle":90,"timeout_seconds":60,"retries":2,"retry_delay_seconds":1,"precise":false}}`,
			scheduler.Schedule{Cron: "@daily", Timezone: "UTC", Operation: "angle", Enabled: true, Overlap: "skip", Parameters: device.Parameters{
				Angle: new(device.Degrees(90)), TimeoutSeconds: new(60.0), Retries: new(2), RetryDelaySeconds: new(1.0), Precise: new(false)}}},
	} {
		got, err := scheduler.Decode([]byte(test.text))
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v, (-want +got)\n%s", test.text, err, diff)
		}
	}
}

// Everything that is wrong is answered with what would be right.
func TestDecodeRefusesWhatIsNotExactlyASchedule(t *testing.T) {
	with := func(fields string) string { return `{"operation":"home",` + fields + `}` }
	cron := func(text string) string { return with(`"cron":"` + text + `"`) }
	for _, test := range []struct{ text, part string }{
		{`{"operation":"home"}`, "give exactly one of cron, every_seconds, at; there is none"},
		{with(`"cron":"@daily","every_seconds":5`), "give exactly one of cron, every_seconds, at; there is cron, every_seconds"},
		{with(`"cron":null`), `cron must be a string, as in "0 8 * * 1-5", not null`},
		{with(`"every_seconds":0`), "every_seconds is 0; it must be from 1 to 31622400"},
		{with(`"every_seconds":-5`), "every_seconds is -5; it must be from 1"},
		{with(`"every_seconds":1e99`), "every_seconds must be a whole number"},
		{with(`"every_seconds":1.5`), "every_seconds must be a whole number, not 1.5"},
		{with(`"every_seconds":"5"`), `every_seconds must be a whole number, not "5"`},
		{with(`"at":"tomorrow"`), "at must be a time as in"},
		{with(`"at":"2026-11-23 08:00"`), "at must be a time as in"},
		{with(`"at":"9999-12-31T23:59:59-01:00"`), "at is in the year 10000; it must be from 2000 to 9998"},
		{with(`"at":"9999-01-01T00:00:00Z"`), "at is in the year 9999"},
		{with(`"at":"0000-01-01T00:00:00+01:00","enabled":false`), "at is in the year -1; it must be from 2000"},
		{with(`"at":"1999-12-31T23:59:59Z","enabled":false`), "at is in the year 1999"},
		{with(`"cron":"@daily","timezone":"Toronto"`), `timezone is "Toronto"; it must be a name of the IANA time zone database`},
		{with(`"cron":"@daily","timezone":"Local"`), `timezone is "Local"; it must be`},
		{with(`"cron":"@daily","timezone":""`), `timezone is ""; it must be`},
		{with(`"cron":"@daily","timezone":"../UTC"`), `timezone is "../UTC"; it must be`},
		{with(`"cron":"@daily","enabled":"yes"`), `enabled must be true or false, not "yes"`},
		{with(`"cron":"@daily","overlap":"kill"`), `overlap is "kill"; it must be skip or queue`},
		{with(`"cron":"@daily","overlap":1`), `overlap must be a string, "skip" or "queue", not 1`},
		{with(`"Cron":"@daily"`), `unknown field "Cron"; a schedule takes cron, every_seconds, at, timezone, operation, parameters, enabled, overlap`},
		{with(`"cron":"@daily","cron":"@daily"`), `the field "cron" is given twice`},
		{`{"cron":"@daily"}`, `the field "operation" is missing; it must be one of hotel, angle, home, speed, refresh, reboot, stop`},
		{`{"cron":"@daily","operation":"reset"}`, `operation is "reset"; it must be one of`},
		{`{"cron":"@daily","operation":"connection"}`, `operation is "connection"; it must be one of`},
		{`{"cron":"@daily","operation":"schedule"}`, `operation is "schedule"; it must be one of`},
		{`{"cron":"@daily","operation":"hotel"}`, `parameters: the field "hotel" is missing`},
		{`{"cron":"@daily","operation":"hotel","parameters":"A"}`, `parameters must be an object, as in {"hotel": "A"}, not "A"`},
		{`{"cron":"@daily","operation":"hotel","parameters":{"hotel":1}}`, `parameters: hotel must be a string`},
		{`{"cron":"@daily","operation":"hotel","parameters":{"hotel":"A","hotel":"B"}}`, `parameters: the field "hotel" is given twice`},
		{`{"cron":"@daily","operation":"home","parameters":{"expires_at":"2026-11-23T08:00:00Z"}}`,
			`parameters: unknown field "expires_at"; home takes timeout_seconds, retries, retry_delay_seconds`},
		{`{"cron":"@daily","operation":"speed","parameters":{"speed":50,"retries":1}}`, `parameters: unknown field "retries"; speed takes speed, timeout_seconds`},
		{cron(""), `cron is "", which has 0 fields; it must have five`},
		{cron("0 8 * *"), `cron is "0 8 * *", which has 4 fields; it must have five, minute, hour, day of the month, month, day of the week`},
		{cron("0 0 8 * * *"), "which has 6 fields"},
		{cron("60 8 * * *"), `the minute of cron is "60"; it must be 0 to 59`},
		{cron("0 24 * * *"), `the hour of cron is "24"; it must be 0 to 23, or * for all`},
		{cron("0 8 0 * *"), `the day of the month of cron is "0"; it must be 1 to 31`},
		{cron("0 8 * 13 *"), `the month of cron is "13"; it must be 1 to 12 or jan to dec`},
		{cron("0 8 * * 7"), `the day of the week of cron is "7"; it must be 0 to 6, where 0 is Sunday`},
		{cron("*-5 8 * * *"), `the minute of cron is "*-5"`},
		{cron("*/0 8 * * *"), `the minute of cron is "*/0"`},
		{cron(", 8 * * *"), `the minute of cron is ","`},
		{cron("1,,2 8 * * *"), `the minute of cron is "1,,2"`},
		{cron("? 8 * * *"), `the minute of cron is "?"`},
		{cron("@every 5s"), "for a period, give every_seconds instead"},
		{cron("@reboot"), `cron is "@reboot"; it must be one of @hourly, @daily`},
		{cron("CRON_TZ=UTC"), "give the time zone in the field timezone"},
		{cron("CRON_TZ=UTC 0 8 * * *"), "give the time zone in the field timezone"},
		{cron("TZ=UTC 0 8 * * *"), "give the time zone in the field timezone"},
		{cron(" TZ=UTC 0 8 * *"), "give the time zone in the field timezone"},
		{cron("0 TZ=UTC * * *"), "give the time zone in the field timezone"},
		{cron("0 8 * * CRON_TZ=UTC"), "give the time zone in the field timezone"},
		{cron("0 8 * * TZ"), `the day of the week of cron is "TZ"`},
		{cron("0 0 30 2 *"), `cron is "0 0 30 2 *", which is never`},
	} {
		_, err := scheduler.Decode([]byte(test.text))
		var refusal *device.Error
		if !errors.As(err, &refusal) || refusal.Code != device.CodeInvalidPayload || !strings.Contains(refusal.Message, test.part) {
			t.Errorf("%s:\n got %v\nwant …%s…", test.text, err, test.part)
		}
	}
}
