package simulator

import (
	"errors"
	"os"
	"sync"
	"time"
)

// NoTimeout lets a [Port] wait forever for a byte, like the constant of that name in go.bug.st/serial.
const NoTimeout time.Duration = -1

// ErrUnplugged is what a [Port] fails with once the other end of its pipe is closed.
var ErrUnplugged = errors.New("simulator: the other end of the line is gone")

// Pipe returns the two ends of a serial line in memory, for instance
//
//	host, device := simulator.Pipe()
//	go servo.Serve(ctx, device)
//
// Closing the device's end, as Serve does when ctx ends, unplugs the host. A host that is to find the
// servo again gets a new pipe.
func Pipe() (host, device *Port) {
	a, b := newPort(), newPort()
	a.peer, b.peer = b, a
	return a, b
}

// A Port is one end of a [Pipe]. It behaves as an open port of go.bug.st/serial does. One goroutine at a
// time may read; everything else may be called concurrently.
type Port struct {
	peer *Port

	mu      sync.Mutex // held only briefly: nothing waits under it
	input   []byte     // arrived and not yet read
	timeout time.Duration
	baud    int // bits a second, 0 for whatever the servo has

	arrived chan struct{} // holds one token when input has grown
	closed  chan struct{}
	close   func()
}

func newPort() *Port {
	closed := make(chan struct{})
	return &Port{
		timeout: NoTimeout,
		arrived: make(chan struct{}, 1),
		closed:  closed,
		close:   sync.OnceFunc(func() { close(closed) }),
	}
}

// Read waits for at least one byte and returns what has arrived, up to len(b). When the read timeout passes
// first it returns 0 and no error. It fails with [os.ErrClosed] after Close and with [ErrUnplugged] after
// the peer's; what had arrived before is then lost.
func (p *Port) Read(b []byte) (int, error) {
	p.mu.Lock()
	timeout := p.timeout
	p.mu.Unlock()
	var expired <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		expired = timer.C
	}
	for {
		if err := p.err(); err != nil {
			return 0, err
		}
		if n := p.take(b); n > 0 || len(b) == 0 || timeout == 0 {
			return n, nil
		}
		select {
		case <-p.arrived:
		case <-expired:
			return 0, nil
		case <-p.closed:
		case <-p.peer.closed:
		}
	}
}

// Write hands b to the peer. It never waits, and fails as Read does.
func (p *Port) Write(b []byte) (int, error) {
	if err := p.err(); err != nil {
		return 0, err
	}
	p.peer.put(b)
	return len(b), nil
}

// Close closes this end and thereby unplugs the other. It ends a Read that waits, and does nothing when
// called again.
func (p *Port) Close() error {
	p.close()
	return nil
}

// SetReadTimeout sets how long later calls of Read wait for a byte: [NoTimeout] is forever, as at first; 0 is not at all.
func (p *Port) SetReadTimeout(timeout time.Duration) error {
	if timeout < 0 && timeout != NoTimeout {
		return errors.New("simulator: negative read timeout")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timeout = timeout
	return nil
}

// SetBaud gives the host's end a rate in bits a second; 0, as at first, is always that of the servo. A servo at
// another rate is not understood and does not understand.
func (p *Port) SetBaud(baud int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.baud = baud
}

// HostBaud is the rate that the peer has been given.
func (p *Port) HostBaud() int {
	p.peer.mu.Lock()
	defer p.peer.mu.Unlock()
	return p.peer.baud
}

// ResetInputBuffer discards what has arrived and not yet been read.
func (p *Port) ResetInputBuffer() error {
	if err := p.err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.input = nil
	return nil
}

// err says why the line no longer works.
func (p *Port) err() error {
	select {
	case <-p.closed:
		return os.ErrClosed
	default:
	}
	select {
	case <-p.peer.closed:
		return ErrUnplugged
	default:
		return nil
	}
}

func (p *Port) put(b []byte) {
	p.mu.Lock()
	p.input = append(p.input, b...)
	p.mu.Unlock()
	select {
	case p.arrived <- struct{}{}:
	default:
	}
}

func (p *Port) take(b []byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := copy(b, p.input)
	p.input = p.input[n:]
	return n
}
