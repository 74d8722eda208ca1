package dashboard

import (
	"net/http"
	"strings"
	"testing"
)

func TestThePage(t *testing.T) {
	r := newResort(t, "")
	files, err := page.ReadDir("page")
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{"/"}
	for _, file := range files {
		paths = append(paths, "/"+file.Name())
	}
	total := 0
	for _, path := range paths {
		got := r.get(path)
		tag := got.header.Get("ETag")
		if got.status != http.StatusOK || got.text == "" || tag == "" || got.header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s is answered with %d, %d bytes, %v", path, got.status, len(got.text), got.header)
		}
		if again := r.get(path, "If-None-Match", tag); again.status != http.StatusNotModified || again.text != "" {
			t.Errorf("%s is answered with %d when it is known", path, again.status)
		}
		if path != "/" {
			total += len(got.text)
		}
	}
	if total > 150_000 {
		t.Errorf("the page has %d bytes", total)
	}
	if kind := r.get("/").header.Get("Content-Type"); kind != "text/html; charset=utf-8" {
		t.Errorf("the page is %s", kind)
	}
	for _, path := range []string{"/nothing", "/page", "/page/", "/page/index.html", "/../dashboard.go", "/devices", "/devices/"} {
		if got := r.get(path); got.status != http.StatusNotFound {
			t.Errorf("%s is answered with %d", path, got.status)
		}
	}
}

// Whatever the answer is, a browser is told what it may do with it.
func TestHeaders(t *testing.T) {
	r := newResort(t, "")
	for _, path := range []string{"/", "/events", "/devices/nobody", "/nothing"} {
		request := r.request(http.MethodGet, path, "")
		answer, err := r.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		header := answer.Header
		if policy := header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s has the policy %q", path, policy)
		}
		if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Referrer-Policy") != "no-referrer" || header.Get("Cache-Control") == "" {
			t.Errorf("%s has %v", path, header)
		}
		if header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s may be read by others", path)
		}
	}
}
