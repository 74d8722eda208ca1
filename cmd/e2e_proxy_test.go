//go:build e2e

package cmd_test

import (
	"bytes"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// A proxy is the network between the device and the broker, with the faults that a network has. It passes whole packets of
// MQTT, each direction of each connection on its own.
type proxy struct {
	address string
	broker  string // address
	seed    uint64 // of what is lost

	mu       sync.Mutex
	faults   faults
	changed  chan struct{} // closed, and replaced, when the faults change
	listener net.Listener
	conns    []*proxied
	accepted int
}

// A direction is that of a packet.
type direction int

const (
	toBroker direction = iota
	toDevice
)

// eitherWay is one thing for both directions.
func eitherWay[T any](v T) [2]T { return [2]T{v, v} }

// Faults are those of a network at one time. Each array has one for each direction. The zero value is a good network, in
// which everything that is on its way arrives at once.
type faults struct {
	// Latency is how late a packet arrives.
	latency [2]time.Duration
	// Loss is the share of the segments of up to 1460 bytes that are lost. TCP sends them again, and all that comes
	// behind them waits: a program sees stalls, no loss. A lost segment is sent again after 200 ms, which is the least that
	// Linux waits, and then after twice as long each time. That is the worst that TCP makes of it: what it learns from the
	// segments behind a lost one makes it faster.
	loss [2]float64
	// Silent takes everything and passes nothing. TCP repeats what it has not passed, and so does the proxy when the fault
	// is over: also for connections that have begun meanwhile, and not for those that the device has given up by then.
	silent [2]bool
	// Withheld are the broker's acknowledgements of what the device has published. They come when the fault is over.
	withheld bool
}

// newProxy makes a proxy without faults.
func newProxy(t *testing.T, b *broker) *proxy {
	t.Helper()
	listener := listenFree(t) // closed and opened again, a process that is started just then could still have it
	p := &proxy{address: listener.Addr().String(), broker: b.address(), seed: rand.Uint64(), changed: make(chan struct{})}
	t.Cleanup(func() {
		p.refuse()
		if t.Failed() {
			t.Logf("the proxy has lost packets with the seed %d", p.seed)
		}
	})
	p.take(listener)
	return p
}

func (p *proxy) url() string { return "tcp://" + p.address }

// set changes the faults.
func (p *proxy) set(f faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
	close(p.changed)
	p.changed = make(chan struct{})
}

// refuse closes all connections, and takes no more.
func (p *proxy) refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
	for _, c := range p.conns {
		c.end()
	}
	p.conns = nil
}

// forget makes all connections that there are dead for good, and tells neither end: as when one of the machines was
// restarted, or a router between them. New ones are as the faults are.
func (p *proxy) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if !isClosed(c.forgotten) {
			close(c.forgotten)
		}
	}
}

// connections is how many the device has made.
func (p *proxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// accept takes connections again.
func (p *proxy) accept(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	p.take(listener)
}

func (p *proxy) take(listener net.Listener) {
	p.mu.Lock()
	p.listener = listener
	p.mu.Unlock()
	go func() {
		for {
			device, err := listener.Accept()
			if err != nil {
				return // refuse
			}
			p.mu.Lock()
			p.accepted++
			c := &proxied{
				proxy: p, device: device,
				forgotten: make(chan struct{}), gone: make(chan struct{}), done: make(chan struct{}),
			}
			for d := range c.random {
				c.random[d] = rand.New(rand.NewPCG(p.seed, uint64(2*p.accepted+d)))
			}
			p.conns = append(slices.DeleteFunc(p.conns, (*proxied).over), c)
			p.mu.Unlock()
			go c.serve()
		}
	}()
}

// now returns the faults, and a channel that is closed when they change.
func (p *proxy) now() (faults, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults, p.changed
}

// A proxied is a connection of the device and its continuation to the broker.
type proxied struct {
	proxy     *proxy
	random    [2]*rand.Rand
	forgotten chan struct{} // closed when nothing is passed any more
	gone      chan struct{} // closed when the device has closed its end, which the broker may not know yet
	done      chan struct{} // closed when both ends are
	held      bytes.Buffer  // acknowledgements to the device

	mu     sync.Mutex // for what end closes
	device net.Conn
	broker net.Conn // nil until the first packet is passed
}

// end closes both ends.
func (c *proxied) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over() {
		return
	}
	close(c.done)
	c.device.Close()
	if c.broker != nil {
		c.broker.Close()
	}
}

func (c *proxied) over() bool { return isClosed(c.done) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A packet is one on its way. One without bytes is the end of the connection.
type packet struct {
	bytes  []byte
	puback bool
	read   time.Time
}

// serve passes what the device sends, and starts to pass what the broker does.
func (c *proxied) serve() {
	sent := make(chan packet, enough)
	go func() {
		read(c.device, sent)
		close(c.gone)
	}()
	first, ok := c.next(toBroker, sent)
	if !ok || len(first) == 0 || isClosed(c.gone) {
		c.end()
		return
	}
	broker, err := net.Dial("tcp", c.proxy.broker)
	if err != nil {
		c.end()
		return
	}
	c.mu.Lock()
	c.broker = broker
	over := c.over()
	c.mu.Unlock()
	if over {
		broker.Close()
		return
	}
	answers := make(chan packet, enough)
	go read(broker, answers)
	go c.pass(toDevice, answers, c.device)
	if _, err := broker.Write(first); err != nil {
		c.end()
		return
	}
	c.pass(toBroker, sent, broker)
}

// enough is how many packets may be on their way: more than there are in a test.
const enough = 100_000

// read takes everything that comes at one end, until that is closed.
func read(from net.Conn, to chan<- packet) {
	for {
		p, err := packets.ReadPacket(from)
		if err != nil {
			to <- packet{read: time.Now()}
			return
		}
		var b bytes.Buffer
		_ = p.Write(&b) // to memory
		_, isPuback := p.(*packets.PubackPacket)
		to <- packet{b.Bytes(), isPuback, time.Now()}
	}
}

// pass passes packets until the connection ends.
func (c *proxied) pass(d direction, from <-chan packet, to net.Conn) {
	for {
		b, ok := c.next(d, from)
		if ok && len(b) > 0 {
			_, err := to.Write(b)
			ok = err == nil
		}
		if !ok || len(b) == 0 {
			if !isClosed(c.forgotten) {
				c.end()
			}
			return
		}
	}
}

// next returns what is to be passed next when its time has come: nothing at the end of the connection. It is not ok if
// there is nobody to pass it to.
func (c *proxied) next(d direction, from <-chan packet) (b []byte, ok bool) {
	for {
		f, changed := c.proxy.now()
		if d == toDevice && c.held.Len() > 0 && !f.withheld {
			b = bytes.Clone(c.held.Bytes())
			c.held.Reset()
			return b, true
		}
		select {
		case <-c.forgotten:
			return nil, false
		case <-c.done:
			return nil, false
		case <-changed:
		case p := <-from:
			if d == toDevice && f.withheld && p.puback {
				c.held.Write(p.bytes)
				continue
			}
			return p.bytes, c.travel(d, p)
		}
	}
}

// travel returns when a packet has arrived. It is not ok if it does not.
func (c *proxied) travel(d direction, p packet) (ok bool) {
	f, changed := c.proxy.now()
	stall := c.stall(d, f.loss[d], len(p.bytes))
	for {
		var arrived <-chan time.Time
		if !f.silent[d] {
			if f.loss[d] == 0 {
				stall = 0
			}
			arrived = time.After(time.Until(p.read.Add(f.latency[d] + stall)))
		}
		select {
		case <-arrived:
			return true
		case <-changed: // what is on its way arrives as the network is now
			f, changed = c.proxy.now()
		case <-c.forgotten:
			return false
		case <-c.done:
			return false
		}
	}
}

// stall is how long a packet of that length is kept by the losses of its segments.
func (c *proxied) stall(d direction, loss float64, length int) (longest time.Duration) {
	const segment, firstTimeout = 1460, 200 * time.Millisecond
	for ; length > 0; length -= segment {
		stall := time.Duration(0)
		for timeout := firstTimeout; c.random[d].Float64() < loss; timeout *= 2 {
			stall += timeout
		}
		longest = max(longest, stall)
	}
	return longest
}
