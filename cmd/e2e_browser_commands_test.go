//go:build e2e

package cmd_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// Angle and speed are typed. What is wrong with one, and what would be right, is said where it was typed.
func TestBrowserTyping(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	_, page := startDashboard(t, "--broker", d.broker.url())
	b := openTab(t, page, "/", laptop)
	b.refusals(http.StatusConflict)
	b.status(t, "ready")

	b.write(t, "#angle", "42.5")
	b.press(t, enter)
	b.until(t, "that it is accepted", `says('.commands [data-field=answer]', /^.?Angle 42\.5°: (accepted|done)$/)`)
	b.until(t, "that it is done", `says('.commands [data-field=answer][data-kind=ok]', /^.?Angle 42\.5°: done$/)`)
	b.until(t, "the carousel there", `$('article').dataset.status === 'ready' && Math.abs(Number($('#carousel [data-angle]').dataset.angle) - 42.5) < 0.5`)
	b.until(t, "it in the history", `says('#history tr[data-state=completed] th', /^Angle 42\.5°$/)`)

	for angle, right := range map[string]string{
		"400": `angle is 400; it must be .*0.* less than 360`,
		"-3":  `angle is -3; it must be .*0.* less than 360`,
	} {
		b.write(t, "#angle", angle)
		b.press(t, enter)
		b.until(t, "what is wrong with "+angle, `says('.commands [data-field=answer][data-kind=refused]', /Angle `+angle+`°: `+right+`/)`)
		b.until(t, "it in the history", `says('#history tr[data-state=rejected] th', /^Angle `+angle+`°$/)`)
	}
	for angle, wrong := range map[string]string{
		"12,5": `, not “12,5”`, "1.2.3": `, not “1.2.3”`, "1e2": `, not “1e2”`, "12.5°": `, not “12.5°”`, "\b": "",
	} {
		b.write(t, "#angle", angle)
		b.press(t, enter)
		b.until(t, "what is wrong with "+angle, `says('.commands [data-field=answer][data-kind=refused]', /^.?An angle is a number such as 12\.5`+regexp.QuoteMeta(wrong)+`$/)`)
	}

	b.write(t, "#speed", "77")
	b.press(t, enter)
	b.until(t, "the new speed", `says('.commands [data-field=answer][data-kind=ok]', /Speed 77: done/) && says('[data-field=rpm]', /^17\.6 rpm$/i)`)
	b.write(t, "#speed", "9999")
	b.press(t, enter)
	b.until(t, "what is wrong with its range", `says('.commands [data-field=answer][data-kind=refused]', /Speed 9999: speed is 9999; it must be from 1 to 320/)`)
	b.write(t, "#speed", "7.5")
	b.press(t, enter)
	b.until(t, "what is wrong with the speed", `says('.commands [data-field=answer][data-kind=refused]', /^.?A speed is a whole number such as 50, not “7\.5”$/)`)

	var sent []string
	for _, op := range d.watch.events(t, func(op operation) bool { return op.State == "completed" || op.State == "rejected" }) {
		sent = append(sent, op.Operation+" "+op.State)
	}
	if got, want := strings.Join(sent, ", "), "angle completed, angle rejected, angle rejected, speed completed, speed rejected"; got != want {
		t.Errorf("the device was told %s, want %s", got, want)
	}
}

// What waits can be given up, one by one, or all and what runs with it.
func TestBrowserQueue(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	_, page := startDashboard(t, "--broker", d.broker.url())
	b := openTab(t, page, "/", phone)
	b.status(t, "ready")
	for _, hotel := range []string{"D", "B", "C"} {
		b.click(t, `[data-action=hotel][data-value=`+hotel+`]`)
		b.until(t, "that it is accepted", `says('.commands [data-field=answer]', /Hotel `+hotel+`: accepted/)`)
	}
	b.until(t, "one that runs", `says('[data-field=running]', /^Hotel D \d+\.\d° to go/)`)
	b.until(t, "two that wait, in their order", `[...document.querySelectorAll('#queue li b')].map((b) => b.innerText).join() === 'Hotel B,Hotel C'`)
	b.until(t, "how many they are", `says('[data-field=queue-length]', /^2$/)`)

	b.click(t, `#queue li:first-child [data-action=cancel]`)
	b.until(t, "one that waits", `[...document.querySelectorAll('#queue li b')].map((b) => b.innerText).join() === 'Hotel C'`)
	b.until(t, "the other one in the history", `says('#history tr[data-state=cancelled] th', /^Hotel B$/)`)
	b.click(t, `[data-action=cancel][data-value=all]`)
	b.until(t, "what became of the last one", `says('.commands [data-field=answer][data-kind=ended]', /^Hotel C: cancelled/)`)
	b.until(t, "an empty queue", `says('[data-field=queue-empty]', /^Nothing runs, nothing waits\.$/) && !$('#queue li') && !seen('[data-field=running]')`)
	b.status(t, "ready")
	b.until(t, "three that were cancelled", `document.querySelectorAll('#history tr[data-state=cancelled]').length === 3`)
	d.watch.state(t, "torque at rest", func(s state) bool { return s.Status == "ready" && s.Torque && s.QueueLength == 0 })
}

// What would end something that runs is asked for first, for a few seconds.
func TestBrowserQuestions(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	_, page := startDashboard(t, "--broker", d.broker.url())
	b := openTab(t, page, "/", panel)
	b.status(t, "ready")
	b.click(t, `[data-action=hotel][data-value=D]`)
	b.status(t, "busy")
	labels := func(connection, reboot string) string {
		return `$('[data-action=connection]').innerText === '` + connection + `' && $('[data-action=reboot]').innerText === '` + reboot + `'`
	}
	b.click(t, `[data-action=connection]`)
	b.until(t, "the question", `$('[data-action=connection]').innerText === 'Really release?'`)
	b.click(t, `[data-action=reboot]`)
	b.until(t, "the question", `$('[data-action=reboot]').innerText === 'Really reboot?'`)
	b.until(t, "no question any more", labels("Release motor", "Reboot servo"))
	if sent := d.watch.events(t, func(op operation) bool { return op.Operation != "hotel" }); len(sent) > 0 {
		t.Errorf("a question has sent %+v", sent)
	}
	b.click(t, `[data-action=connection]`)
	b.until(t, "the question", labels("Really release?", "Reboot servo"))
	b.click(t, `[data-action=connection]`)
	b.status(t, "requires_init")
	b.until(t, "the way back", labels("Connect motor", "Reboot servo"))
}

// Schedules are added, paused, resumed, edited and deleted.
func TestBrowserSchedules(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	_, page := startDashboard(t, "--broker", d.broker.url())
	b := openTab(t, page, "/", laptop)
	b.refusals(http.StatusConflict)
	b.status(t, "ready")
	b.expect(`^a request to data:image/svg\+xml;`) // Chromium's calendar, in its field for a time
	b.click(t, `[data-action=add-schedule]`)
	b.write(t, `#schedule-form [name=name]`, "morning")
	b.choose(t, `#schedule-form [name=operation]`, "angle")
	b.write(t, `#schedule-form [name=cron]`, "30 8 * * *")
	b.write(t, `#schedule-form [name=angle]`, "12,5")
	b.press(t, enter)
	b.until(t, "what is wrong with the angle", `says('[data-field=form-answer][data-kind=refused]', /^.?An angle is a number such as 12\.5, not “12,5”$/)`)
	b.choose(t, `#schedule-form [name=operation]`, "hotel")
	const says = `says('[data-field=form-answer][data-kind=refused]', `
	for _, when := range []struct{ kind, typed, wrong string }{
		{"at", "", `Choose a date and a time`},
		{"every", "", `Say every how many seconds \(a whole number from 1 on\)`},
		{"every", "0", `Say every how many seconds \(a whole number from 1 on\), not “0”`},
		{"cron", "\b", `Say at what times, such as 0 8 \* \* 1-5`},
	} {
		b.choose(t, `#schedule-form [name=when]`, when.kind)
		b.until(t, "nothing of another kind of time", `!$('[data-field=form-answer]').textContent`)
		if when.typed != "" {
			b.write(t, `#schedule-form [name=`+when.kind+`]`, when.typed)
		}
		b.click(t, `[data-action=save-schedule]`)
		b.until(t, "what is wrong with when", says+`/^.?`+when.wrong+`$/)`)
	}
	for cron, words := range map[string]string{
		"99 8 * * 1-5": "99 is no minute: those are 0 to 59", "0 8 * * 7": "7 is no weekday: those are 0 to 6", "0 8 * * 5-1": "5-1 ends before it begins",
		"*/0 * * * *": "", "*/7 * * * *": "", "*/15 * * * *": "every 15 minutes", "5 8 * * 1-5": "Monday to Friday at 08:05",
	} {
		b.write(t, `#schedule-form [name=cron]`, cron)
		b.until(t, "what "+cron+" says", `$('[data-field=cron-words]').textContent === '`+words+`'`)
	}
	b.write(t, `#schedule-form [name=cron]`, "61 8 * * 1-5")
	b.press(t, enter)
	b.until(t, "what is wrong with the minute", `says('[data-field=form-answer][data-kind=refused]', /Schedule morning: .*61/)`)
	b.write(t, `#schedule-form [name=cron]`, "30 8 * * 1-5")
	b.write(t, `#schedule-form [name=timezone]`, "Europe/Berlin")
	b.click(t, `[data-action=save-schedule]`)
	const row = `#schedules [data-schedule=morning]`
	b.until(t, "the schedule", `seen('`+row+`[data-enabled=true]') && says('`+row+` .what', /^morning Hotel A, .*08:30.*Europe\/Berlin/)`)
	b.until(t, "its next run", `says('`+row+` .next', /^Next (Mon|Tue|Wed|Thu|Fri).* 08:30, (in|now)/)`)
	b.until(t, "no form", `!seen('#schedule-form')`)

	b.click(t, row+` [data-action=pause-schedule]`)
	b.until(t, "it paused", `seen('`+row+`[data-enabled=false]') && says('`+row+` .next', /^Paused$/)`)
	b.click(t, row+` [data-action=pause-schedule]`)
	b.until(t, "it resumed", `seen('`+row+`[data-enabled=true]') && says('`+row+` .next', /^Next /)`)

	b.click(t, row+` [data-action=edit-schedule]`)
	b.write(t, `#schedule-form [name=cron]`, "45 9 * * *")
	b.press(t, enter)
	b.until(t, "another time", `says('`+row+` .next', / 09:45, (in|now)/)`)
	b.until(t, "no form again", `!seen('#schedule-form')`)

	b.click(t, row+` [data-action=delete-schedule]`)
	b.until(t, "the question", `says('`+row+` [data-action=delete-schedule]', /^Really delete\?$/)`)
	b.click(t, row+` [data-action=delete-schedule]`)
	b.until(t, "none", `!$('`+row+`') && seen('[data-field=schedules-empty]')`)
}

// A value is in the range that is beside it, though it is newer than the points of the chart.
func TestBrowserHealth(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	_, page := startDashboard(t, "--broker", d.broker.url())
	b := openTab(t, page, "/", laptop)
	b.status(t, "ready")
	b.click(t, `[data-action=hotel][data-value=D]`)
	const ranges = `(() => {
		const [value, range] = ['b', 'small'].map((part) => $('[data-chart=current] ' + part).innerText);
		const [, low, high] = range.match(/^(-?\d+) to (-?\d+) mA$/).map(Number);
		return low <= parseFloat(value) && parseFloat(value) <= high;
	})()`
	b.until(t, "a current that moves the carousel", `parseFloat($('[data-chart=current] b').innerText) > 5 && `+ranges)
	b.click(t, `[data-action=cancel][data-value=all]`)
	b.until(t, "no current", `parseFloat($('[data-chart=current] b').innerText) < 3 && `+ranges)
}
