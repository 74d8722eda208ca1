package dashboard

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestOtherWebPages(t *testing.T) {
	r := newResort(t, "")
	r.ready()
	const path, body = "/devices/lab/hotel", `{"hotel": "B"}`
	for name, headers := range map[string][]string{
		"another site":     {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
		"another port":     {"Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:1"},
		"an old browser":   {"Origin", "https://evil.example"},
		"an opaque origin": {"Origin", "null"},
	} {
		for _, path := range []string{path, "/devices/lab/stop", "/devices/lab/schedules/x"} {
			if got := r.post(path, body, headers...); got.status != http.StatusForbidden || got.Error == nil {
				t.Errorf("%s: %s was answered with %d, %s", name, path, got.status, got.text)
			}
		}
		for _, path := range []string{"/events", "/devices/lab", "/", "/app.js"} {
			if got := r.get(path, headers...); got.status != http.StatusForbidden || got.Error == nil {
				t.Errorf("%s: %s was answered with %d, %.100s", name, path, got.status, got.text)
			}
		}
	}
	for path, want := range map[string]int{"/": http.StatusOK, "/events": http.StatusForbidden, "/devices/lab": http.StatusForbidden} {
		if got := r.get(path, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"); got.status != want {
			t.Errorf("a link to %s was answered with %d, want %d", path, got.status, want)
		}
	}
	if got := r.post("/", "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"); got.status != http.StatusForbidden {
		t.Errorf("a form was answered with %d", got.status)
	}
	for _, headers := range [][]string{{"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"}, {"Origin", r.url}, {}} {
		answer, err := r.http.Do(r.request(http.MethodGet, "/events", "", headers...))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("a stream with %q was answered with %d", headers, answer.StatusCode)
		}
	}
	for _, host := range []string{"evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example:80", "192.168.1.7:8080", "[fe80::1]:80", "."} {
		for _, path := range []string{"/", "/events", "/devices/lab"} {
			if got := r.get(path, "Host", host); got.status != http.StatusMisdirectedRequest {
				t.Errorf("host %q: %s was answered with %d, %s", host, path, got.status, got.text)
			}
		}
		if got := r.post(path, body, "Host", host, "Sec-Fetch-Site", "same-origin"); got.status != http.StatusMisdirectedRequest {
			t.Errorf("host %q was answered with %d, %s", host, got.status, got.text)
		}
	}
	r.inputs.expectNone()
	for _, host := range []string{"localhost:8080", "LOCALHOST", "127.0.0.1", "127.1.2.3:9000", "[::1]:8080", "[::1]"} {
		if got := r.get("/", "Host", host); got.status != http.StatusOK {
			t.Errorf("host %q was answered with %d, %s", host, got.status, got.text)
		}
	}
	if got := r.post(path, body, "Sec-Fetch-Site", "same-origin", "Origin", r.url); got.status != http.StatusOK {
		t.Errorf("the page itself was answered with %d, %s", got.status, got.text)
	}
}

func TestPassword(t *testing.T) {
	r := newResort(t, "pässword")
	for _, path := range []string{"/", "/events", "/devices/lab", "/nothing"} {
		got := r.get(path, "Authorization", "")
		if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s without a password was answered with %d, %s", path, got.status, got.text)
		}
	}
	const path, body = "/devices/lab/stop", `{}`
	if got := r.post(path, body, "Authorization", ""); got.status != http.StatusUnauthorized {
		t.Errorf("a command without a password was answered with %d, %s", got.status, got.text)
	}
	wrong := r.request(http.MethodPost, path, body)
	wrong.SetBasicAuth("admin", "password")
	if got := r.do(wrong); got.status != http.StatusUnauthorized {
		t.Errorf("a wrong password was answered with %d, %s", got.status, got.text)
	}
	r.inputs.expectNone()
}

// With a password the name in the request does not matter, nor that of the user.
func TestRightPassword(t *testing.T) {
	r := newResort(t, "secret")
	for _, user := range []string{"", "admin"} {
		request := r.request(http.MethodGet, "/", "", "Host", "resort.lab:8080")
		request.SetBasicAuth(user, "secret")
		if got := r.do(request); got.status != http.StatusOK {
			t.Errorf("user %q was answered with %d, %s", user, got.status, got.text)
		}
	}
	if got := r.post("/devices/lab/stop", ``); got.status != http.StatusOK {
		t.Errorf("the stop was answered with %d, %s", got.status, got.text)
	}
}

// Guessing takes time, and does not hold up others.
func TestGuessing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, Config{Password: "secret"})
		try := func(password string) int {
			request, err := http.NewRequest(http.MethodGet, "http://localhost/", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.SetBasicAuth("", password)
			answer, err := f.http.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			return answer.StatusCode
		}
		for range 3 {
			if status := try("guess"); status != http.StatusUnauthorized {
				t.Errorf("a guess was answered with %d", status)
			}
			for range 100 {
				if status := try("secret"); status != http.StatusTooManyRequests {
					t.Errorf("a guess right after another was answered with %d", status)
				}
			}
			time.Sleep(penalty)
		}
		if status := try("secret"); status != http.StatusOK {
			t.Errorf("the password was answered with %d", status)
		}
	})
}

// Who has had the password is not held up by one who guesses at the same address.
func TestPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t, Config{Password: "secret"})
		try := func(want int, password, pass string) (given *http.Cookie) {
			t.Helper()
			request, err := http.NewRequest(http.MethodGet, "http://localhost/", nil)
			if err != nil {
				t.Fatal(err)
			}
			if password != "" {
				request.SetBasicAuth("", password)
			}
			if pass != "" {
				request.AddCookie(&http.Cookie{Name: passName, Value: pass})
			}
			answer, err := f.http.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != want {
				t.Errorf("%q with the pass %q was answered with %d, want %d", password, pass, answer.StatusCode, want)
			}
			if all := answer.Cookies(); len(all) > 0 {
				given = all[0]
			}
			return given
		}
		pass := try(http.StatusOK, "secret", "")
		if pass == nil || !pass.HttpOnly || pass.SameSite != http.SameSiteLaxMode || pass.Path != "/" || len(pass.Value) < 26 {
			t.Fatalf("the pass is %v", pass)
		}
		if again := try(http.StatusOK, "secret", pass.Value); again != nil {
			t.Errorf("there is another pass, %v", again)
		}
		for range 3 {
			if given := try(http.StatusUnauthorized, "guess", ""); given != nil {
				t.Errorf("a guess got the pass")
			}
			try(http.StatusOK, "secret", pass.Value)
			try(http.StatusTooManyRequests, "secret", "")
			try(http.StatusTooManyRequests, "secret", "guess")
			try(http.StatusUnauthorized, "guess", pass.Value)
			try(http.StatusUnauthorized, "", pass.Value)
			time.Sleep(penalty)
		}
		if old := try(http.StatusOK, "secret", "of an earlier run"); old == nil || old.Value != pass.Value {
			t.Errorf("instead of an old pass there is %v", old)
		}
	})
}

func TestAddresses(t *testing.T) {
	for at, want := range map[string]string{
		"192.0.2.1:99":          "192.0.2.1",
		"[::ffff:192.0.2.1]:99": "192.0.2.1",
		"[2001:db8::1:2]:99":    "2001:db8::/64",
		"[2001:db8::9%eth0]:99": "2001:db8::/64",
		"pipe":                  "pipe",
	} {
		if got := remote(&http.Request{RemoteAddr: at}); got != want {
			t.Errorf("%s is of %s, want %s", at, got, want)
		}
	}
	for at, want := range map[string]string{"127.0.0.1:9": "203.0.113.7", "192.0.2.1:9": "192.0.2.1"} {
		header := http.Header{"X-Forwarded-For": {"10.0.0.1, 203.0.113.7"}}
		if got := remote(&http.Request{RemoteAddr: at, Header: header}); got != want {
			t.Errorf("what %s has passed on is of %s, want %s", at, got, want)
		}
	}
	g := newGuard("secret", quiet, http.NotFoundHandler())
	for n := range 3 * maxFailed {
		g.punish(time.Duration(n).String())
	}
	if n := len(g.failed); n > maxFailed {
		t.Errorf("%d addresses are remembered", n)
	}
}
