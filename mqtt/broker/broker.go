// Package broker is an MQTT broker inside the program, for the demo and for tests that need nothing
// installed. It lets everybody do everything and forgets everything when it ends.
package broker

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// A Broker accepts connections until it is closed.
type Broker struct {
	door  *door
	close func() error
}

// Listen starts a broker on a TCP address, host:port; port 0 takes a free one.
func Listen(address string) (*Broker, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("the broker cannot listen: %w", err)
	}
	return serve(listener)
}

// New starts a broker that clients reach through [Broker.Pipe] alone, and that works in virtual time.
func New() (*Broker, error) { return serve(&nowhere{closed: make(chan struct{})}) }

func serve(listener net.Listener) (*Broker, error) {
	const day = 24 * 60 * 60 // seconds between its figures on $SYS, each of which costs what 30 messages do
	server := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler), SysTopicResendInterval: day})
	if err := server.AddHook(&admission{server: server}, nil); err != nil {
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	entrance := &door{Net: listeners.NewNet("tcp", listener), listener: listener, establish: server.EstablishConnection, conns: make(map[net.Conn]bool)}
	if err := server.AddListener(entrance); err != nil {
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	if err := server.Serve(); err != nil {
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	return &Broker{entrance, sync.OnceValue(server.Close)}, nil
}

// Addr is the address that the broker listens on.
func (b *Broker) Addr() net.Addr { return b.door.listener.Addr() }

// Pipe lets a client in through memory, and returns its end of the connection.
func (b *Broker) Pipe() net.Conn {
	client, server := net.Pipe()
	go func() { _ = b.door.admit(b.door.ID(), server) }() // ends with the connection
	return client
}

// Nowhere is a listener that nobody can reach.
type nowhere struct {
	closed chan struct{}
	once   sync.Once
}

func (n *nowhere) Accept() (net.Conn, error) {
	<-n.closed
	return nil, net.ErrClosed
}

func (n *nowhere) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

func (n *nowhere) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "memory"} }

// Close ends all connections and the broker. It does nothing when called again.
func (b *Broker) Close() error { return b.close() }

// A door is where the clients come in. It closes itself, as the server's own way to do it can wait forever for a client
// that leaves at the same time (github.com/mochi-mqtt/server/issues/488), and lets nobody in meanwhile.
type door struct {
	*listeners.Net
	listener  net.Listener
	establish listeners.EstablishFn
	inside    sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]bool
}

// Serve lets clients in until the door is closed.
func (d *door) Serve(listeners.EstablishFn) { d.Net.Serve(d.admit) }

// admit serves one client until its connection ends.
func (d *door) admit(id string, conn net.Conn) error {
	if !d.enter(conn) {
		return conn.Close()
	}
	defer d.leave(conn)
	return d.establish(id, conn)
}

// Close ends all connections.
func (d *door) Close(listeners.CloseFn) {
	d.Net.Close(func(string) {
		d.mu.Lock()
		d.closed = true
		for conn := range d.conns {
			conn.Close()
		}
		d.mu.Unlock()
		d.inside.Wait()
	})
}

func (d *door) enter(conn net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.conns[conn] = true
	d.inside.Add(1)
	return true
}

func (d *door) leave(conn net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, conn)
	d.inside.Done()
}

// admission is the hook that admits every client to every topic. It also sends what is retained to those who subscribe
// with wildcards, as the server's own way to look for it has a data race with what is published meanwhile.
type admission struct {
	mochi.HookBase
	server *mochi.Server
}

func (*admission) ID() string { return "admission" }

func (*admission) Provides(event byte) bool {
	return event == mochi.OnConnectAuthenticate || event == mochi.OnACLCheck || event == mochi.OnSubscribe || event == mochi.OnSubscribed
}

func (*admission) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }

func (*admission) OnACLCheck(*mochi.Client, string, bool) bool { return true }

// retainNone has the server send nothing retained for a subscription (MQTT 5.0, 3.8.3.1, Retain Handling).
const retainNone = 2

// OnSubscribe leaves the subscriptions with wildcards to OnSubscribed. A client of MQTT 5 has a say in it; it goes the
// server's way.
func (*admission) OnSubscribe(c *mochi.Client, pk packets.Packet) packets.Packet {
	for i, sub := range pk.Filters {
		if strings.ContainsAny(sub.Filter, "+#") && c.Properties.ProtocolVersion < 5 {
			pk.Filters[i].RetainHandling = retainNone
		}
	}
	return pk
}

// OnSubscribed sends what is retained, with QoS 0.
func (a *admission) OnSubscribed(c *mochi.Client, pk packets.Packet, _ []byte) {
	wanted := mochi.NewTopicsIndex()
	for _, sub := range pk.Filters {
		if sub.RetainHandling == retainNone && c.Properties.ProtocolVersion < 5 {
			wanted.Subscribe(c.ID, sub)
		}
	}
	for topic := range a.server.Topics.Retained.GetAll() {
		if len(wanted.Subscribers(topic).Subscriptions) > 0 {
			a.sendRetained(c, topic)
		}
	}
}

// sendRetained sends what is retained on a topic. What comes to be retained meanwhile goes to the client as well, and
// may overtake it: then it is sent once more.
func (a *admission) sendRetained(c *mochi.Client, topic string) {
	message, ok := a.server.Topics.Retained.Get(topic)
	for ok {
		sent := message.Copy(false)
		sent.FixedHeader.Qos = 0
		if c.WritePacket(sent) != nil {
			return // the connection has ended
		}
		latest, exists := a.server.Topics.Retained.Get(topic)
		if ok = exists && !bytes.Equal(latest.Payload, message.Payload); ok {
			message = latest
		}
	}
}
