//go:build e2e

package cmd_test

import (
	"regexp"
	"testing"
)

// Whatever goes away, the page says that, and how old is what it shows. When it is back, so is the page, by itself.
func TestBrowserOutages(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	listen := "127.0.0.1:" + freePort(t)
	dashboard, page := startDashboard(t, "--broker", d.broker.url(), "--listen", listen)
	b := openTab(t, page, "/", laptop)
	const (
		old   = `says('[data-field=heard]', /^as of \d\d:\d\d:\d\d, ([2-9]|\d\d) s ago$/)`
		fresh = `says('[data-field=heard]', /^live(, last news \d+ s ago)?$/) && !$('article').dataset.stale`
	)
	well := func(after string) {
		t.Helper()
		b.status(t, "ready")
		b.until(t, "no banner after "+after, `[...document.querySelectorAll('[data-banner]')].every((banner) => banner.hidden)`)
		b.until(t, "what is new after "+after, fresh)
	}
	gone := func(who, banner, stale string) {
		t.Helper()
		b.until(t, "that "+who+" is gone, and for how long", `says('article [data-banner=`+banner+`]', /is (gone|offline|out of reach) since \d\d:\d\d:\d\d, \d+ s ago/)`)
		b.until(t, "only that", `[...document.querySelectorAll('article [data-banner]')].filter((banner) => !banner.hidden).length === 1`)
		b.until(t, "how old what it shows is", old)
		b.until(t, "it as old", `$('article').dataset.stale === '`+stale+`'`)
		b.until(t, "hotels that cannot be reached", `$('[data-action=hotel]').getAttribute('aria-disabled') === 'true'`)
	}
	well("the start")
	b.until(t, "that old news of what is at rest is no loss", `says('[data-field=heard]', /^live, last news \d+ s ago$/)`)

	d.servo.kill(t)
	b.status(t, "requires_init")
	gone("the motor", "motor", "motor")
	b.until(t, "it in the status", `says('.status [data-field=status]', /^(Motor not connected|Looking for the motor)$/)`)
	d.startServo(t)
	well("the servo")

	d.program.kill(t)
	b.status(t, "gone")
	b.until(t, "it in the status", `says('.status [data-field=status]', /^Offline$/)`)
	gone("the device", "device", "all")
	d.run(t)
	well("the device")

	d.broker.process.kill(t)
	b.status(t, "gone")
	gone("the broker", "broker", "all")
	b.until(t, "which broker", `says('article [data-banner=broker]', /`+d.broker.port+`/)`)
	d.broker.start(t)
	well("the broker")

	// A browser says on its console that it does not get what it asks for.
	b.expect(`^network: Failed to load resource: net::ERR_[A-Z_]+ ` + regexp.QuoteMeta(page.url) + `/events$`)
	dashboard.kill(t)
	b.status(t, "gone")
	gone("the dashboard", "server", "all")
	startDashboard(t, "--broker", d.broker.url(), "--listen", listen)
	well("the dashboard")

	// And it is all of use.
	b.click(t, `[data-action=hotel][data-value=B]`)
	b.until(t, "hotel B facing the opening", `$('#carousel').dataset.hotel === 'B' && $('article').dataset.status === 'ready'`)
}
