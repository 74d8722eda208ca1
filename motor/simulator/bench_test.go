package simulator

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A bench is a servo on a pipe, in virtual time.
type bench struct {
	*Servo
	t    *testing.T
	port *Port

	mu     sync.Mutex
	traced []dynamixel.Packet
	last   time.Time // when the last instruction had been received
}

// onBench runs a test with a servo that Serve answers for.
func onBench(t *testing.T, config Config, test func(*bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t}
		config.Trace = func(p dynamixel.Packet) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.traced = append(b.traced, p)
			b.last = time.Now()
		}
		b.Servo = New(config)
		host, device := Pipe()
		b.port = host
		host.SetReadTimeout(100 * time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Serve(ctx, device) }()
		test(b)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// heard returns what was traced so far.
func (b *bench) heard() []dynamixel.Packet {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.traced)
}

// received returns when the last instruction had been received.
func (b *bench) received() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// raw sends bytes and returns what comes back within 100 ms.
func (b *bench) raw(instruction ...byte) []byte {
	b.t.Helper()
	if _, err := b.port.Write(instruction); err != nil {
		b.t.Fatalf("Write: %v", err)
	}
	buf := make([]byte, 512)
	n, err := b.port.Read(buf)
	if err != nil {
		b.t.Fatalf("Read: %v", err)
	}
	return buf[:n]
}

// send sends an instruction and returns the status, and whether there was one.
func (b *bench) send(instruction []byte) (dynamixel.Packet, bool) {
	b.t.Helper()
	var parser dynamixel.Parser
	parser.Feed(b.raw(instruction...))
	status, ok := parser.Next()
	return status, ok
}

// write writes a register and checks the error byte of the status.
func (b *bench) write(r dynamixel.Register, value int32, want dynamixel.StatusError) {
	b.t.Helper()
	status, ok := b.send(dynamixel.AppendWrite(nil, 1, r, value))
	if !ok || status.Error != want {
		b.t.Errorf("writing %d to %d: status %+v (%v), want error %#02x", value, r.Address, status, ok, byte(want))
	}
}

// read reads a register and checks its value.
func (b *bench) read(r dynamixel.Register, want int32) {
	b.t.Helper()
	status, ok := b.send(dynamixel.AppendRead(nil, 1, r.Address, r.Size))
	if !ok || status.Error.Number() != 0 || len(status.Params) != int(r.Size) {
		b.t.Errorf("reading %d: status %+v (%v)", r.Address, status, ok)
		return
	}
	if got := r.Get(status.Params, r.Address); got != want {
		b.t.Errorf("register %d is %d, want %d", r.Address, got, want)
	}
}

// is checks a register without the wire, and so without feeding the watchdog or taking time.
func (b *bench) is(r dynamixel.Register, want int32) {
	b.t.Helper()
	if got := b.Register(r); got != want {
		b.t.Errorf("%v after the instruction: register %d is %d, want %d", time.Since(b.received()), r.Address, got, want)
	}
}

// after waits until d has passed since the last instruction was received.
func (b *bench) after(d time.Duration) { time.Sleep(time.Until(b.received().Add(d))) }

func sameBytes(t *testing.T, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("got  % X\nwant % X", got, want)
	}
}

func instructions(packets []dynamixel.Packet) []dynamixel.Instruction {
	var all []dynamixel.Instruction
	for _, p := range packets {
		all = append(all, p.Instruction)
	}
	return all
}
