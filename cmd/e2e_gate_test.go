//go:build e2e

package cmd_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A gate is the network between the device and the broker: while it is shut, connections are refused.
type gate struct {
	address  string
	broker   string // address
	attempts chan struct{}

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
}

// newGate makes a gate that is shut.
func newGate(t *testing.T, b *broker) *gate {
	t.Helper()
	g := &gate{address: "127.0.0.1:" + freePort(t), broker: b.address(), attempts: make(chan struct{}, 100)}
	t.Cleanup(g.shut)
	return g
}

// open lets connections through.
func (g *gate) open(t *testing.T) {
	t.Helper()
	g.listen(t, func(device net.Conn) {
		broker, err := net.Dial("tcp", g.broker)
		if err != nil {
			device.Close()
			return
		}
		g.mu.Lock()
		g.conns = append(g.conns, device, broker)
		g.mu.Unlock()
		go pass(broker, device)
		go pass(device, broker)
	})
}

func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
	from.Close()
}

// hangUp closes each connection after the first words of the device, and counts them.
func (g *gate) hangUp(t *testing.T) {
	t.Helper()
	g.listen(t, func(device net.Conn) {
		_, _ = device.Read(make([]byte, 1024))
		device.Close()
		g.attempts <- struct{}{}
	})
}

func (g *gate) awaitAttempts(t *testing.T, n int) {
	t.Helper()
	timeout := time.After(patience)
	for i := range n {
		select {
		case <-g.attempts:
		case <-timeout:
			t.Fatalf("the device has tried to connect %d times within %v, want %d", i, patience, n)
		}
	}
}

// listen replaces what the gate does.
func (g *gate) listen(t *testing.T, handle func(net.Conn)) {
	t.Helper()
	g.shut()
	listener, err := net.Listen("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	g.listener = listener
	g.mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // shut
			}
			handle(conn)
		}
	}()
}

// shut cuts all connections.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.listener != nil {
		g.listener.Close()
		g.listener = nil
	}
	for _, conn := range g.conns {
		conn.Close()
	}
	g.conns = nil
}
