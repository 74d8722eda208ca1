//go:build e2e

package cmd_test

import (
	"bytes"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// scenes shows the dashboard of one device, and then of two, as it is at different times, and calls visit at each, by its
// name.
func scenes(t *testing.T, visit func(b *tab, name string)) {
	t.Helper()
	lab := newDevice(t, slow)
	_, page := startDashboard(t, "--broker", lab.broker.url())
	b := openTab(t, page, "/", laptop)
	b.status(t, "ready")
	visit(b, "alone")

	annex := prepareDevice(t, lab.broker, "PLATE_RESORT_DEVICE_ID=annex", brisk)
	annex.startServo(t)
	annex.run(t)
	b.until(t, "two devices that are ready", `document.querySelectorAll('.card[data-status=ready]').length === 2`)
	for path, body := range map[string]string{
		"/devices/lab/schedules/morning": `{"operation": "hotel", "parameters": {"hotel": "A"}, "cron": "0 8 * * 1-5", "timezone": "Europe/Berlin"}`,
		"/devices/lab/schedules/paused":  `{"operation": "home", "every_seconds": 3600, "enabled": false}`,
		"/devices/lab/hotel":             `{"hotel": "Z"}`, // is rejected
	} {
		page.post(t, path, body)
	}
	visit(b, "overview")

	b.click(t, `.card[data-device=lab] a`)
	b.status(t, "ready")
	b.until(t, "what has been and will be", `$('#history tr') && $('[data-schedule=paused]')`)
	visit(b, "rest")

	for _, hotel := range []string{"D", "B", "C"} {
		page.post(t, "/devices/lab/hotel", `{"hotel": "`+hotel+`"}`)
	}
	b.until(t, "a move and two that wait", `$('.device').dataset.status === 'busy' && $('#carousel').dataset.target === '289' && document.querySelectorAll('#queue li').length === 2`)
	b.until(t, "some of the way", `Number($('#carousel [data-angle]').dataset.angle) > 3`)
	visit(b, "move")

	b.click(t, `[data-action=edit-schedule][data-value=morning]`)
	b.until(t, "the form", `seen('#schedule-form [name=cron]')`)
	visit(b, "schedule")
	b.click(t, `[data-action=close-schedule]`)

	page.post(t, "/devices/lab/stop", "")
	b.status(t, "e_stop")
	b.until(t, "the stop's banner", `seen('[data-banner=e_stop]')`)
	visit(b, "stop")

	lab.program.kill(t)
	b.status(t, "gone")
	b.until(t, "the device's banner", `seen('[data-banner=device]')`)
	visit(b, "offline")
}

// axe is an accessibility checker, https://github.com/dequelabs/axe-core.
const axe = "../.ci/npm/node_modules/axe-core/axe.min.js"

func TestBrowserAccessible(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(axe)
	if err != nil {
		t.Fatalf("this test needs axe-core, which make install gets: %v", err)
	}
	injected := false
	scenes(t, func(b *tab, name string) {
		if !injected {
			b.do(t, chromedp.Evaluate[chromedp.Void](string(source)))
			injected = true
		}
		for _, on := range both(laptop, phone) {
			b.look(t, on)
			var violations []struct {
				ID, Impact, Help, HelpURL string
				Nodes                     []struct {
					Target         []any
					FailureSummary string
				}
			}
			if err := b.evaluate(`axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)`, &violations); err != nil {
				t.Fatal(err)
			}
			for _, v := range violations {
				for _, node := range v.Nodes {
					t.Errorf("%s, %v: %s (%s): %s\n\tat %v\n\t%s\n\t%s", name, on, v.ID, v.Impact, v.Help, node.Target,
						strings.ReplaceAll(node.FailureSummary, "\n", "\n\t"), v.HelpURL)
				}
			}
		}
	})
}

// The stop is in reach wherever somebody has scrolled to, and nobody has to scroll sideways.
func TestBrowserLayout(t *testing.T) {
	t.Parallel()
	scenes(t, func(b *tab, name string) {
		for _, on := range []screen{laptop, panel, phone} {
			b.look(t, on)
			stops := "#stop"
			if name == "overview" {
				stops = ".card [data-action=stop]"
			}
			for _, to := range []string{"0", "document.documentElement.scrollHeight"} {
				box := get[struct{ Left, Top, Right, Bottom, Width, Height, Scrolls, Scrolled float64 }](t, b, fmt.Sprintf(`new Promise((done) => {
					scrollTo({ top: %s, behavior: 'instant' });
					requestAnimationFrame(() => requestAnimationFrame(() => {
						const box = $(%q).getBoundingClientRect().toJSON(), root = document.documentElement;
						done({ ...box, scrolls: root.scrollWidth, scrolled: root.scrollHeight - innerHeight - scrollY });
					}));
				})`, to, stops))
				where := fmt.Sprintf("%s, %v, scrolled to %s", name, on, to)
				if box.Scrolls > float64(on.width) {
					t.Errorf("%s: the document is %v px wide", where, box.Scrolls)
				}
				if to != "0" && box.Scrolled > 1 {
					t.Errorf("%s: the end is %v px away", where, box.Scrolled)
				}
				if box.Height < 44 || box.Width < 44 {
					t.Errorf("%s: the stop is %v × %v px, want at least 44", where, box.Width, box.Height)
				}
				if box.Left < 0 || box.Top < 0 || box.Right > float64(on.width) || box.Bottom > float64(on.height) {
					t.Errorf("%s: the stop is not all in view: %+v", where, box)
				}
			}
		}
	})
}

// The screenshots are for people to look at.
func TestBrowserScreenshots(t *testing.T) {
	t.Parallel()
	dir, err := filepath.Abs("../dist/screenshots")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Logf("the screenshots are in %s", dir)
	scenes(t, func(b *tab, name string) {
		for _, on := range both(laptop, panel, phone) {
			b.look(t, on)
			if err := b.evaluate(`seen('#schedule-form') ? $('#schedule-form').scrollIntoView({ block: 'center' }) : scrollTo(0, 0)`, nil); err != nil {
				t.Fatal(err)
			}
			picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			header, err := png.DecodeConfig(bytes.NewReader(picture))
			if err != nil || header.Width != int(on.width) || header.Height != int(on.height) || len(picture) < 5000 {
				t.Errorf("%s, %v: the screenshot is %d × %d, %d bytes, %v", name, on, header.Width, header.Height, len(picture), err)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%v.png", name, on)), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// both returns each of the screens in light and in dark.
func both(screens ...screen) (all []screen) {
	for _, s := range screens {
		for _, dark := range []bool{false, true} {
			s.dark = dark
			all = append(all, s)
		}
	}
	return all
}
