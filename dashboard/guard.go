package dashboard

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// contentPolicy lets the page load what it is made of, and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// A guard stands before everything. It lets in who knows the password or, when there is none, who asks for this machine
// by a name that no other web page can have; and other web pages may do no more than lead to this one.
type guard struct {
	password [sha256.Size]byte // what it hashes to
	open     bool              // there is none
	pass     string            // the cookie of browsers that have had the password; another one each time the program runs
	log      *slog.Logger
	next     http.Handler

	mu     sync.Mutex
	failed map[string]time.Time // when an address last had a wrong password
}

func newGuard(password string, log *slog.Logger, next http.Handler) *guard {
	return &guard{
		password: sha256.Sum256([]byte(password)), open: password == "", log: log,
		pass: rand.Text(), next: next, failed: make(map[string]time.Time),
	}
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", contentPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	switch {
	case g.open && !isLoopback(r.Host):
		// Any name may be made to point here, and the page that it came from would then be of this origin.
		refuse(w, http.StatusMisdirectedRequest, "unknown_host", "without a password the dashboard is at localhost only")
	case isForeign(r):
		refuse(w, http.StatusForbidden, "cross_origin", "another web page may neither command devices nor follow them")
	case !g.open && !g.admits(w, r):
	default:
		g.next.ServeHTTP(w, r)
	}
}

// isForeign reports whether another web page has the browser ask for this: to read is as little its business as to
// write, since a stream takes a place. A link to the page itself is not foreign.
func isForeign(r *http.Request) bool {
	if r.Method == http.MethodGet && r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate" {
		return false
	}
	write := *r
	write.Method = http.MethodPost // others are not looked at
	return http.NewCrossOriginProtection().Check(&write) != nil
}

// isLoopback reports whether a Host header names this machine for itself.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && address.IsLoopback()
}

const (
	// penalty is how long an address is not listened to after a wrong password. Many browsers may have one address, and
	// one that guesses must not keep a stop of the others away: who has had the password has a pass, which nobody can
	// guess, and does not wait. The right password alone does not help: then any number could be guessed at once.
	penalty = time.Second
	// passName is the name of the cookie with the pass.
	passName = "plate-resort-pass"
	// maxFailed is how many addresses are remembered.
	maxFailed = 1000
)

// admits reports whether the request has the password, or answers what is wrong.
func (g *guard) admits(w http.ResponseWriter, r *http.Request) bool {
	address := remote(r)
	_, password, given := r.BasicAuth()
	waits := !g.hasPass(r)
	if given && waits && g.punished(address) {
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, "wrong_password", "the last password was wrong; try again in %v", penalty)
		return false
	}
	sum := sha256.Sum256([]byte(password))
	if given && subtle.ConstantTimeCompare(sum[:], g.password[:]) == 1 {
		if waits {
			http.SetCookie(w, &http.Cookie{Name: passName, Value: g.pass, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		}
		return true
	}
	if given {
		g.log.Warn("somebody has tried a wrong password", "address", address)
		g.punish(address)
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="Plate Resort", charset="UTF-8"`)
	refuse(w, http.StatusUnauthorized, "password", "the dashboard has a password; the user name does not matter")
	return false
}

// hasPass reports whether the request is of a browser that has had the password. It needs the password all the same.
func (g *guard) hasPass(r *http.Request) bool {
	cookie, err := r.Cookie(passName)
	return err == nil && subtle.ConstantTimeCompare([]byte(cookie.Value), []byte(g.pass)) == 1
}

// remote is the address that a request comes from, or that a proxy on this machine has it from: one who guesses does not
// keep all others out. Who has an IPv6 network has all its addresses.
func remote(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	address := at.Addr().Unmap()
	forwarded := r.Header.Get("X-Forwarded-For")
	last := strings.TrimSpace(forwarded[strings.LastIndex(forwarded, ",")+1:])
	if from, err := netip.ParseAddr(last); err == nil && address.IsLoopback() {
		address = from.Unmap()
	}
	if address.Is4() {
		return address.String()
	}
	network, _ := address.WithZone("").Prefix(64)
	return network.String()
}

func (g *guard) punished(address string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, failed := g.failed[address]
	return failed && time.Since(at) < penalty
}

func (g *guard) punish(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.failed) == maxFailed {
		clear(g.failed)
	}
	g.failed[address] = time.Now()
}
