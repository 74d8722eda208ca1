//go:build e2e

package cmd_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A browser is the one Chromium in which the tests open the dashboard. It is started by the first that does.
type browser struct {
	dir  string // for its profile, which is new each time
	once sync.Once
	ctx  context.Context // nil before it is started
	err  error
}

var chromium browser

// browsers are the names that Chromium goes by.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

func (b *browser) start() {
	i := slices.IndexFunc(browsers, func(name string) bool { _, err := exec.LookPath(name); return err == nil })
	if i < 0 {
		b.err = fmt.Errorf("none of %s is here; make install gets chromium on Debian, elsewhere install Chromium or Chrome by hand", strings.Join(browsers, ", "))
		return
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(browsers[i]), chromedp.Env("HOME=" + b.dir), chromedp.UserDataDir(filepath.Join(b.dir, "profile")),
		chromedp.Headless, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.DisableGPU,
	}
	for _, flag := range []string{
		"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage",
		// Pages of several tests are open at a time, and none of them is in the background.
		"disable-background-timer-throttling", "disable-backgrounding-occluded-windows", "disable-renderer-backgrounding",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which it cannot have as root
	}
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	b.ctx, _ = chromedp.NewContext(allocator)
	b.err = chromedp.Do(b.ctx)
}

// end ends the browser, if it has been started.
func (b *browser) end() {
	if b.ctx == nil {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	_ = chromedp.Cancel(ctx) // the tests are over
}

// A screen is what the page is looked at on.
type screen struct {
	width, height int64 // CSS px
	phone         bool
	dark          bool
}

func (s screen) String() string {
	scheme := "light"
	if s.dark {
		scheme = "dark"
	}
	return fmt.Sprintf("%dx%d-%s", s.width, s.height, scheme)
}

var (
	laptop = screen{width: 1280, height: 800}
	panel  = screen{width: 800, height: 480} // the Pi's touch screen
	phone  = screen{width: 390, height: 844, phone: true}
)

// A tab is the dashboard in a browser: a person sees it, clicks and types there.
type tab struct {
	ctx context.Context
	url string

	mu         sync.Mutex
	complaints []string         // of the browser: errors on the console, exceptions, requests to somewhere else
	expected   []*regexp.Regexp // complaints that are none
}

// openTab opens a page of the dashboard, such as "/" or "/#/lab". It closes with the test, which fails if the browser has
// had to complain.
func openTab(t testing.TB, p page, path string, on screen) *tab {
	t.Helper()
	chromium.once.Do(chromium.start)
	if chromium.err != nil {
		t.Fatalf("this test needs Chromium: %v", chromium.err)
	}
	return newTab(t, chromium.ctx, p.url, path, on, chromedp.WithNewBrowserContext())
}

// another opens the page once more, in the same window.
func (b *tab) another(t testing.TB, on screen) *tab {
	t.Helper()
	return newTab(t, b.ctx, b.url, "/", on)
}

func newTab(t testing.TB, parent context.Context, url, path string, on screen, options ...chromedp.ContextOption) *tab {
	t.Helper()
	b := &tab{url: url}
	ctx, cancel := chromedp.NewContext(parent, append(options, chromedp.WithListener(b.hear))...)
	b.ctx = ctx
	t.Cleanup(func() {
		if t.Failed() {
			var text string
			if err := b.evaluate(`document.body.innerText`, &text); err == nil {
				t.Logf("the page at %s says:\n%s", b.url, shorten(text))
			}
		}
		cancel()
		for _, complaint := range b.unexpected() {
			t.Errorf("the browser complains: %s", complaint)
		}
	})
	if err := chromedp.Do(ctx); err != nil { // not with a timeout, which would be the tab's
		t.Fatalf("no tab: %v", err)
	}
	for _, domain := range []func() error{
		func() error { _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); return err },
		func() error { _, err := chromedp.Call(ctx, log.Enable, struct{}{}); return err },
		func() error {
			_, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
			return err
		},
	} {
		if err := domain(); err != nil {
			t.Fatal(err)
		}
	}
	b.look(t, on)
	b.do(t, chromedp.Navigate(url+path))
	return b
}

// hear is called with all that the browser tells of the tab.
func (b *tab) hear(event any) {
	complaint := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			complaint = fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *runtime.EventConsoleAPICalled:
		complaint = fmt.Sprintf("console.%s", e.Type)
		for _, arg := range e.Args {
			complaint += fmt.Sprintf(" %s%s", arg.Value, arg.Description)
		}
	case *runtime.EventExceptionThrown:
		complaint = "exception: " + e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			complaint += " " + e.ExceptionDetails.Exception.Description
		}
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, b.url+"/") {
			complaint = "a request to " + e.Request.URL
		}
	case *network.EventWebSocketCreated:
		complaint = "a socket to " + e.URL
	}
	if complaint != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.complaints = append(b.complaints, complaint)
	}
}

// refusals says that the dashboard will answer with these statuses, which Chromium writes to its console as errors. It is
// right HTTP to refuse a command with one.
func (b *tab) refusals(statuses ...int) {
	for _, status := range statuses {
		b.expect(fmt.Sprintf("^network: Failed to load resource: the server responded with a status of %d ", status))
	}
}

// expect says what complaints will be none.
func (b *tab) expect(pattern string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, regexp.MustCompile(pattern))
}

func (b *tab) unexpected() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.complaints), func(complaint string) bool {
		return slices.ContainsFunc(b.expected, func(pattern *regexp.Regexp) bool { return pattern.MatchString(complaint) })
	})
}

func (b *tab) do(t testing.TB, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// look puts the page on a screen.
func (b *tab) look(t testing.TB, on screen) {
	t.Helper()
	options := []chromedp.EmulateViewportOption{}
	if on.phone {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	b.do(t, chromedp.EmulateViewport(on.width, on.height, options...))
	scheme := "light"
	if on.dark {
		scheme = "dark"
	}
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err != nil {
		t.Fatal(err)
	}
}
