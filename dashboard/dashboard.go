// Package dashboard is a web page over a broker, for any number of devices. It follows them through a
// [client.Client], keeps the latest of each in memory, and passes it on to browsers by server-sent events.
//
//	client.Watch ──► hub ──► GET /events        a snapshot, then batches of messages: one stream for each browser
//	                  └────► GET /devices/{id}  what is kept of one device: an hour of health, log, ended operations
//	client.Submit ◄───────── POST /devices/{id}/{input}
//	page/ ─────────────────► GET /              static files, embedded
//
// The hub keeps 128 MiB at most, 1.6 MiB of one device, and nobody slow holds anybody up: a browser that does not read
// is dropped, and gets a snapshot when it comes again. Everything passes the guard, which keeps other web pages and other
// people out.
package dashboard

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/plate-resort/plate-resort/client"
)

// Config says what a dashboard shows, and to whom.
type Config struct {
	// Client follows the devices. Closing it is the caller's.
	Client *client.Client
	// Password is asked for by HTTP Basic authentication, with any user name. "" is none: then the dashboard answers
	// only who asks this machine for itself, by localhost or a loopback address.
	Password string
	Version  string // the program's, which the page shows
	Log      *slog.Logger
}

// A Dashboard serves the page and what it shows.
type Dashboard struct {
	client  *client.Client
	log     *slog.Logger
	hub     *hub
	handler http.Handler
}

// New makes a dashboard; Serve runs it.
func New(c Config) *Dashboard {
	d := &Dashboard{client: c.Client, log: c.Log, hub: newHub(c.Version, c.Log)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events", d.serveEvents)
	mux.HandleFunc("GET /devices/{id}", d.serveDevice)
	mux.HandleFunc("POST /devices/{id}/{input}", d.serveInput)
	mux.HandleFunc("POST /devices/{id}/schedules/{name}", d.serveSchedule)
	addPage(mux)
	d.handler = newGuard(c.Password, c.Log, mux)
	return d
}

const (
	headerTimeout = 5 * time.Second // for the head of a request
	readTimeout   = 10 * time.Second
	// answerTimeout bounds everything but a stream, from the head of the request to the end of the answer.
	answerTimeout = submitTimeout + 10*time.Second
	idleTimeout   = time.Minute
	maxHeader     = 16 << 10 // bytes
	// shutdownTimeout is how long answers may take that are on their way when the dashboard ends.
	shutdownTimeout = 500 * time.Millisecond
)

// Serve accepts connections until ctx ends; it closes the listener. Open streams end then, too.
func (d *Dashboard) Serve(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return d.serve(ctx, cancel, listener, d.client.Watch(ctx))
}

// serve ends with ctx, or ends it.
func (d *Dashboard) serve(ctx context.Context, cancel func(), listener net.Listener, messages <-chan client.Message) error {
	server := &http.Server{
		Handler:           d.handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelDebug), // what browsers do wrong
	}
	var parts sync.WaitGroup
	parts.Go(func() { d.follow(messages) })
	parts.Go(func() {
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		if server.Shutdown(ending) != nil {
			server.Close()
		}
	})
	err := server.Serve(listener)
	cancel()
	parts.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

const (
	// gather is how long messages wait for others to go with them.
	gather = 50 * time.Millisecond
	// heartbeat is how long the browsers may hear nothing.
	heartbeat = 3 * time.Second
)

// follow feeds the hub until there are no more messages.
func (d *Dashboard) follow(messages <-chan client.Message) {
	next := time.NewTimer(heartbeat)
	defer next.Stop()
	for {
		select {
		case m, open := <-messages:
			if !open {
				return
			}
			if d.hub.take(m) {
				next.Reset(gather)
			}
		case now := <-next.C:
			d.hub.pass(now)
			next.Reset(heartbeat)
		}
	}
}
