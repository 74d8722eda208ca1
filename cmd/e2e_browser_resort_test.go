//go:build e2e

package cmd_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"
)

// Of two devices each is commanded alone, from its page and from its card.
func TestBrowserTwoDevices(t *testing.T) {
	t.Parallel()
	p := start(t, "demo", nil, plateResort, "demo", "--mqtt-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--devices", "2")
	page := page{url: pageURL(t, p)}
	b := openTab(t, page, "/", laptop)
	b.until(t, "the list of both", `document.body.dataset.view === 'list' && says('.masthead [data-field=count]', /^2 devices$/)`)
	for _, id := range []string{"demo", "demo-2"} {
		b.until(t, id+" in it, which is ready", `seen('.card[data-device=`+id+`][data-status=ready]') && says('.card[data-device=`+id+`] [data-field=name]', /^`+id+`$/)`)
	}
	b.until(t, "that they are there", `[...document.querySelectorAll('.card [data-field=age]')].every((age) => age.innerText === 'live')`)
	if shown := get[[]string](t, b, `[...document.querySelectorAll('.card')].map((card) => card.dataset.device)`); len(shown) != 2 || shown[0] != "demo" {
		t.Errorf("the list has %q", shown)
	}
	if get[bool](t, b, `Boolean($('article'))`) {
		t.Error("a device is opened that nobody has chosen")
	}

	b.click(t, `.card[data-device=demo-2] a`)
	b.until(t, "the one that was chosen", `document.body.dataset.view === 'both' && seen('article[data-device=demo-2][data-status=ready]') && says('article h2', /^demo-2$/)`)
	b.until(t, "its card as the current one", `$('.card[data-device=demo-2] a').getAttribute('aria-current') === 'page' && !$('.card[data-device=demo] a').hasAttribute('aria-current')`)
	b.click(t, `[data-action=hotel][data-value=B]`)
	b.until(t, "hotel B at its opening", `$('#carousel').dataset.hotel === 'B' && $('article').dataset.status === 'ready'`)
	b.until(t, "it in the list as well", `says('.card[data-device=demo-2] .where', /^B 10[89]\.\d°$/)`)
	if angle := get[string](t, b, `$('.card[data-device=demo]').dataset.angle`); angle != "0" {
		t.Errorf("demo stands at %s°, and nobody has told it to move", angle)
	}

	// Both move, and the stop of a card is that of its device, whatever is opened.
	b.click(t, `[data-action=hotel][data-value=D]`)
	b.status(t, "busy")
	b.click(t, `.card[data-device=demo] a`)
	b.until(t, "the other one", `seen('article[data-device=demo]')`)
	b.write(t, "#speed", "2")
	b.press(t, enter)
	b.until(t, "its speed", `says('.commands [data-field=answer]', /Speed 2: done/)`)
	b.click(t, `[data-action=hotel][data-value=D]`)
	b.status(t, "busy")
	b.look(t, panel) // which has no room for the list beside it
	b.click(t, `[data-action=back]`)
	b.until(t, "the list alone", `document.body.dataset.view === 'list' && !$('article')`)
	b.until(t, "that demo-2 has moved", `seen('.card[data-device=demo-2][data-status=ready]') && Number($('.card[data-device=demo-2]').dataset.angle) > 288`)
	b.click(t, `.card[data-device=demo] [data-action=stop]`)
	b.until(t, "a stopped one", `seen('.card[data-device=demo][data-status=e_stop]') && says('.card[data-device=demo] [data-field=status]', /^Emergency stop$/)`)
	b.until(t, "that the card's button has done it", `says('.card[data-device=demo] [data-action=stop]', /^Stopped/)`)
	if !get[bool](t, b, `seen('.card[data-device=demo-2][data-status=ready]')`) {
		t.Error("demo-2 has been stopped as well")
	}
	if ops := page.operations(t, "demo-2"); len(ops) != 2 {
		t.Errorf("demo-2 has done %v, want two turns", ops)
	}

	// And the keyboard's is that of the one that is opened.
	b.click(t, `.card[data-device=demo-2] a`)
	b.until(t, "demo-2", `seen('article[data-device=demo-2][data-status=ready]')`)
	b.press(t, escape, chromedp.ModifierShift)
	b.status(t, "e_stop")
}

// operations returns what operations of a device have ended, as the dashboard remembers it.
func (p page) operations(t *testing.T, device string) (names []string) {
	t.Helper()
	var details struct{ Operations []operation }
	if err := json.NewDecoder(p.do(t, http.MethodGet, "/devices/"+device, "").Body).Decode(&details); err != nil {
		t.Fatal(err)
	}
	for _, op := range details.Operations {
		names = append(names, op.Operation)
	}
	return names
}

// The list has a stop for all that are in it, on a button and on the keys that stop the one that is opened.
func TestBrowserStopAll(t *testing.T) {
	t.Parallel()
	p := start(t, "demo", nil, plateResort, "demo", "--mqtt-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--devices", "2")
	page := page{url: pageURL(t, p)}
	b := openTab(t, page, "/", laptop)
	devices := []string{"demo", "demo-2"}
	for _, stop := range []struct {
		by    string
		press func()
	}{
		{"the keys", func() { b.press(t, escape, chromedp.ModifierShift) }},
		{"the button", func() { b.click(t, `[data-action=stop-all]`) }},
	} {
		b.until(t, "two devices that are ready", `document.querySelectorAll('.card[data-status=ready]').length === 2`)
		b.until(t, "what the keys do", `says('[data-action=stop-all]', /^stop all$/i) && says('#stop-all-hint', /Shift \+ Escape$/)`)
		stop.press()
		for _, id := range devices {
			b.until(t, id+" stopped by "+stop.by, `seen('.card[data-device=`+id+`][data-status=e_stop]') && says('.card[data-device=`+id+`] [data-action=stop]', /^Stopped$/)`)
		}
		b.until(t, "that all have stopped", `says('[data-action=stop-all]', /^all stopped$/i)`)
		b.until(t, "it told to a screen reader", `/^All 2 devices stopped$/.test($('#announce').textContent)`)
		for _, id := range devices {
			page.post(t, "/devices/"+id+"/reset", "{}")
		}
	}
	b.until(t, "two devices that are ready", `document.querySelectorAll('.card[data-status=ready]').length === 2`)
	b.click(t, `.card[data-device=demo] a`)
	b.status(t, "ready")
	if get[bool](t, b, `seen('[data-action=stop-all]')`) {
		t.Error("there is a stop for all beside the one that is opened, and keys for one")
	}
	b.press(t, escape, chromedp.ModifierShift)
	b.status(t, "e_stop")
	if !get[bool](t, b, `seen('.card[data-device=demo-2][data-status=ready]')`) {
		t.Error("demo-2 has been stopped as well")
	}

	b.look(t, panel)
	b.click(t, `[data-action=back]`)
	p.kill(t)
	b.expect(`^network: Failed to load resource: net::ERR_`)
	b.until(t, "that the dashboard is gone", `seen('#page-banners [data-banner=server]')`)
	b.until(t, "how old what they show is", `[...document.querySelectorAll('.card [data-field=age]')].every((age) => /^as of \d+ s ago$/.test(age.innerText))`)
	b.click(t, `[data-action=stop-all]`)
	b.until(t, "that none has stopped", `[...document.querySelectorAll('.card [data-action=stop]')].every((stop) => /^not stopped$/i.test(stop.innerText))`)
	b.until(t, "how many have not", `says('[data-action=stop-all]', /^2 not stopped$/i)`)
	b.until(t, "it told to a screen reader", `/^Not stopped: demo, demo-2: the dashboard .*Use the power switch\.$/.test($('#alarm').textContent)`)
}
