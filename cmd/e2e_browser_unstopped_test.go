//go:build e2e

package cmd_test

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"
)

// What is known not to reach the device is not called a stop, not for a moment. What gets through later is.
func TestBrowserStopWithoutABroker(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	_, page := startDashboard(t, "--broker", d.broker.url())
	b := openTab(t, page, "/", laptop)
	b.refusals(http.StatusServiceUnavailable, http.StatusGatewayTimeout)
	b.status(t, "ready")
	const unstopped = `says('[data-banner=stop-failed]', /^not stopped: the broker is gone, at \d\d:\d\d:\d\d\. Use the power switch\./i) && says('#stop', /^not stopped$/i)`
	d.broker.process.kill(t)
	b.status(t, "gone")

	// Its requests wait, so that the first is answered when the broker is back.
	if err := b.evaluate(`(() => {
		window.said = [];
		new MutationObserver(() => window.said.push($('#stop').dataset.state)).observe($('#stop'), { attributes: true });
		const fetch = window.fetch, free = new Promise((done) => { window.release = done; });
		window.fetch = (...request) => free.then(() => fetch(...request));
	})()`, nil); err != nil {
		t.Fatal(err)
	}
	b.press(t, escape, chromedp.ModifierShift)
	b.until(t, "that it is not stopped", unstopped)
	if said := get[[]string](t, b, `window.said`); len(said) != 1 || said[0] != "failed" {
		t.Errorf("the stop was said to be %q, want failed at once", said)
	}
	b.until(t, "it told to a screen reader", `/^lab is not stopped: the broker is gone\. Use the power switch\.$/.test($('#alarm').textContent)`)
	d.broker.start(t)
	b.status(t, "ready")
	if !get[bool](t, b, `seen('[data-banner=stop-failed]')`) {
		t.Error("nothing is said any more of a stop that has failed")
	}
	if err := b.evaluate(`window.release()`, nil); err != nil {
		t.Fatal(err)
	}
	b.status(t, "e_stop")
	b.until(t, "that it has stopped after all", `says('#stop', /^stopped \d\d:\d\d:\d\d$/i) && !seen('[data-banner=stop-failed]') && !$('#alarm').textContent`)
}

// That a stop has failed is said until there is another, or until the device is seen to have stopped.
func TestBrowserFailedStop(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	_, page := startDashboard(t, "--broker", d.broker.url())
	b := openTab(t, page, "/", laptop)
	b.status(t, "ready")
	const failed = `seen('[data-banner=stop-failed]')`

	// Without its motor a device latches, but has stopped nothing.
	d.servo.kill(t)
	b.status(t, "requires_init")
	b.click(t, "#stop")
	b.until(t, "that the stop has failed", failed+` && $('#stop').dataset.state === 'failed'`)
	b.until(t, "a stop that is latched", `seen('[data-banner=e_stop]') && `+failed)
	d.startServo(t)
	b.until(t, "that it has stopped", `!`+failed+` && !$('#stop').dataset.state && seen('[data-banner=e_stop]')`)
	d.send(t, "reset", "PRESS")
	b.status(t, "ready")

	// The old failure is not told of a new stop.
	b.expect(`^network: Failed to load resource`)
	if err := b.evaluate(`(() => { window.whole = window.fetch; window.fetch = () => Promise.reject(new Error()); })()`, nil); err != nil {
		t.Fatal(err)
	}
	b.click(t, "#stop")
	b.until(t, "that the stop has failed", failed)
	if err := b.evaluate(`(() => { window.fetch = (...request) => new Promise((done) => { window.release = () => done(window.whole(...request)); }); })()`, nil); err != nil {
		t.Fatal(err)
	}
	b.press(t, escape, chromedp.ModifierShift)
	b.until(t, "a stop that is under way, and no other", `$('#stop').dataset.state === 'busy' && !`+failed)
	if err := b.evaluate(`window.release()`, nil); err != nil {
		t.Fatal(err)
	}
	b.status(t, "e_stop")
	b.until(t, "what has stopped", `$('#stop').dataset.state === 'done' && !`+failed)
}
