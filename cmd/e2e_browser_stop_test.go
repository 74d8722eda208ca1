//go:build e2e

package cmd_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

const escape, enter = "\x1b", "\r"

// A move is stopped with the keyboard, from wherever the focus is, and with the mouse.
func TestBrowserStop(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	_, page := startDashboard(t, "--broker", d.broker.url())
	b := openTab(t, page, "/", panel)
	for _, stop := range []struct {
		by    string
		press func()
		reset func()
	}{
		{"Shift and Escape", func() {
			b.click(t, "#angle")
			b.press(t, escape, chromedp.ModifierShift)
		}, func() { b.click(t, `[data-banner=e_stop] [data-remedy=reset]`) }},
		{"Tab and Enter", func() {
			b.tabTo(t, "#stop")
			b.press(t, enter)
		}, func() {
			b.tabTo(t, `[data-banner=e_stop] [data-remedy=reset]`)
			b.press(t, enter)
		}},
		{"the mouse", func() { b.click(t, "#stop") }, func() {
			b.tabTo(t, `[data-action=reset]`)
			b.press(t, " ")
		}},
	} {
		b.status(t, "ready")
		b.until(t, "the stop as it was", `says('#stop', /^stop$/i) && !$('#stop').dataset.state`)
		b.click(t, `[data-action=hotel][data-value=D]`)
		b.status(t, "busy")
		d.watch.state(t, "the carousel turning", func(s state) bool { return s.Status == "busy" && s.TargetAngle != nil })

		stop.press()
		d.watch.state(t, "stop by "+stop.by, func(s state) bool { return s.Status == "e_stop" && s.EmergencyStop && !s.Torque })
		b.status(t, "e_stop")
		b.until(t, "the stop in words", `says('.status [data-field=status]', /^Emergency stop$/) && says('[data-banner=e_stop]', /^Stop latched/i)`)
		b.until(t, "that the button has done it", `$('#stop').dataset.state === 'done' && says('#stop', /^stopped \d\d:\d\d:\d\d$/i)`)
		b.until(t, "it told to a screen reader", `/Emergency stop|Stopped/.test($('#announce').textContent)`)
		b.until(t, "what became of the move", `says('.commands [data-field=answer][data-kind=ended]', /^Hotel D: cancelled, .*stop/)`)
		b.until(t, "the move in the history", `$('#history tr[data-state=cancelled]')`)
		b.until(t, "no torque", `says('[data-field=torque]', /^off$/)`)

		stop.reset()
		d.watch.state(t, "torque again", func(s state) bool { return s.Status == "ready" && s.Torque })
		b.status(t, "ready")
		b.until(t, "no banner", `!seen('[data-banner=e_stop]')`)
	}
}

// One that is stopped takes nothing but a reset. Its buttons say so, and why, and send nothing.
func TestBrowserButtonsFollowTheState(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	_, page := startDashboard(t, "--broker", d.broker.url())
	b := openTab(t, page, "/", laptop)
	b.status(t, "ready")
	const moves = `[data-action=hotel], [data-action=home], [data-action=angle]`
	usable := func(selector string) string {
		return `[...document.querySelectorAll('` + selector + `')].every((button) => button.getAttribute('aria-disabled') !== 'true')`
	}
	unusable := func(selector string) string {
		return `[...document.querySelectorAll('` + selector + `')].every((button) => button.getAttribute('aria-disabled') === 'true')`
	}
	b.until(t, "moves that can be made", usable(moves)+` && document.querySelectorAll('[data-action=hotel]').length === 4`)
	b.press(t, escape, chromedp.ModifierShift)
	b.status(t, "e_stop")
	b.until(t, "moves that cannot be made", unusable(moves))
	b.until(t, "a reset that can", usable(`[data-action=reset], [data-remedy=reset]`))
	b.until(t, "why", `says('[data-field=why]', /^Not now\. /)`)

	b.click(t, `[data-action=hotel][data-value=C]`)
	b.until(t, "why it is not done", `says('.commands [data-field=answer]', /Hotel C: Not now\. .*[Ss]top/)`)
	b.click(t, `#carousel g[data-hotel=B]`)
	b.until(t, "why the drawing does not do it either", `says('.commands [data-field=answer]', /Hotel B: Not now\. /)`)
	b.click(t, `[data-banner=e_stop] [data-remedy=reset]`)
	b.status(t, "ready")
	if refused := get[string](t, b, `$('.commands [data-field=answer]').textContent`); refused != "" {
		t.Errorf("of what is ready again it says %q", refused)
	}
	b.until(t, "moves that can be made again", usable(moves))
	if sent := d.watch.events(t, func(op operation) bool { return op.Operation == "hotel" }); len(sent) > 0 {
		t.Errorf("a button that cannot be used has sent %+v", sent)
	}

	b.click(t, `[data-action=refresh]`)
	b.until(t, "one name of one thing", `says('[data-action=refresh]', /^Read motor$/) && says('[data-field=service-answer]', /^.?Read motor: done$/) && says('#history tr th', /^Read motor$/)`)
	b.click(t, `[data-action=reboot]`)
	b.until(t, "a reboot, as nothing runs", `says('#history tr[data-state=completed] th', /^Reboot$/)`)
	b.status(t, "ready")

	// A motor that is released, and connected again.
	b.click(t, `[data-action=connection]`)
	b.status(t, "requires_init")
	b.until(t, "a released motor", `says('.status [data-field=status]', /^Motor released$/) && says('[data-banner=motor]', /^The motor is released/)`)
	b.until(t, "moves that cannot be made", unusable(moves))
	b.click(t, `[data-banner=motor] [data-remedy=connect]`)
	b.status(t, "ready")
	b.until(t, "moves that can be made again", usable(moves)+` && !seen('[data-banner=motor]')`)
}

// A browser has six connections to one server, and a stream holds one for good. Tabs that nobody looks at have none, so
// that a stop has its way. (Without windows Chromium shows all its tabs; so this hides them.)
func TestBrowserManyTabs(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	_, page := startDashboard(t, "--broker", d.broker.url())
	see := func(b *tab, hidden bool) {
		t.Helper()
		if err := b.evaluate(fmt.Sprintf(`(Object.defineProperty(document, 'hidden', { configurable: true, value: %t }),
			document.dispatchEvent(new Event('visibilitychange')))`, hidden), nil); err != nil {
			t.Fatal(err)
		}
	}
	tabs := []*tab{openTab(t, page, "/", laptop)}
	for len(tabs) < 8 {
		last := tabs[len(tabs)-1]
		last.status(t, "ready")
		see(last, true)
		tabs = append(tabs, last.another(t, laptop))
	}
	last := tabs[len(tabs)-1]
	last.status(t, "ready")
	last.press(t, escape, chromedp.ModifierShift)
	last.status(t, "e_stop")

	first := tabs[0]
	if status := get[string](t, first, `$('article.device').dataset.status`); status != "ready" {
		t.Errorf("what nobody looks at is %s, want it as it was", status)
	}
	see(first, false)
	first.status(t, "e_stop")
	first.until(t, "no loss", `!seen('[data-banner=server]')`)
}
