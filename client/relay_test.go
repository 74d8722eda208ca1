package client_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A relay is the network between a client and the broker, which can be cut.
type relay struct {
	t        *testing.T
	address  string
	broker   string
	accepted sync.WaitGroup

	mu       sync.Mutex
	cut      bool
	listener net.Listener
	conns    map[net.Conn]bool
}

// newRelay makes a way to the broker at an address, until the test ends.
func newRelay(t *testing.T, broker string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{t: t, address: listener.Addr().String(), broker: broker, listener: listener, conns: make(map[net.Conn]bool)}
	r.accepted.Go(r.accept)
	t.Cleanup(func() {
		listener.Close()
		r.Cut()
		r.accepted.Wait()
	})
	return r
}

// Address is where the client finds the broker.
func (r *relay) Address() string { return r.address }

// Cut ends all connections and refuses new ones, until Mend.
func (r *relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = true
	for conn := range r.conns {
		conn.Close()
	}
}

// Mend lets connections through again.
func (r *relay) Mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = false
}

func (r *relay) accept() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return // closed
		}
		r.accepted.Go(func() { r.pass(conn) })
	}
}

// pass carries one connection, both ways.
func (r *relay) pass(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", r.broker)
	if err != nil {
		return
	}
	defer far.Close()
	if !r.hold(near, far) {
		return
	}
	defer r.let(near, far)
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // until either end closes
			near.Close()
			far.Close()
		})
	}
	both.Wait()
}

// hold reports whether connections are let through, and notes these.
func (r *relay) hold(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range conns {
		if !r.cut {
			r.conns[conn] = true
		}
	}
	return !r.cut
}

func (r *relay) let(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range conns {
		delete(r.conns, conn)
	}
}
