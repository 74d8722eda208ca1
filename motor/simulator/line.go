package simulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

const (
	// bitsPerByte on the wire: a start bit, eight data bits, a stop bit.
	bitsPerByte = 10
	// delayUnit is that of Return Delay Time(9).
	delayUnit = 2 * time.Microsecond
	// maxLength is above the LEN of every instruction that makes sense on a line, even with each byte
	// stuffed. What claims to be longer is noise.
	maxLength = 1024
)

// Serve answers the instructions that arrive on the line until ctx ends; then it returns nil. If the line
// fails, it returns that error. Either way it closes the line before it returns.
//
// The line is given the speed of a wire. An instruction that is read from it takes 10 bits a byte at the
// servo's baud rate to arrive, and is carried out then. Its status is written in one piece when, after the
// Return Delay Time, all its bytes would have arrived at the host. Each of these moments counts from when
// the instruction was read, so that late timers do not add up. One byte follows another: instructions that
// are written without waiting for the status wait for their turn. A host at another rate than the servo's, as
// far as the line has a method HostBaud that says so, is not understood and hears noise.
func (s *Servo) Serve(ctx context.Context, line io.ReadWriteCloser) error {
	ctx, cancel := context.WithCancelCause(ctx)
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		line.Close() // ends a read
	})
	var pulling sync.WaitGroup
	pulling.Go(func() {
		if err := s.pull(ctx, line); err != nil {
			cancel(err)
		}
	})
	err := s.serve(ctx, line)
	if stop() {
		line.Close()
	} else {
		<-closed
	}
	ended := context.Cause(ctx)
	cancel(nil)
	pulling.Wait()
	switch {
	case ended == nil:
		return err
	case errors.Is(ended, errPlug):
		return ended
	}
	return nil
}

// errPlug is wrapped by what pull returns.
var errPlug = errors.New("plugging the line in again")

// pull unplugs the line every so long, if that is among the faults that the servo has when Serve begins, and
// plugs it in again.
func (s *Servo) pull(ctx context.Context, line io.ReadWriteCloser) error {
	s.mu.Lock()
	every := s.faults.Unplug
	s.mu.Unlock()
	plug, ok := line.(interface {
		Unplug() error
		Plug() error
	})
	if !ok || every == 0 {
		return nil
	}
	for next := time.Now().Add(every); ; next = next.Add(every) {
		if sleep(ctx, next) != nil {
			return nil
		}
		err := plug.Unplug()
		if sleep(ctx, next.Add(outage)) != nil {
			return nil
		}
		if err = errors.Join(err, plug.Plug()); err != nil && ctx.Err() == nil {
			return fmt.Errorf("%w: %w", errPlug, err)
		}
	}
}

func (s *Servo) serve(ctx context.Context, line io.ReadWriter) error {
	parser := dynamixel.Parser{MaxLength: maxLength}
	var free time.Time // when the last byte so far has gone over the wire
	buf := make([]byte, maxLength)
	for {
		n, err := line.Read(buf)
		wire := s.wire()              // also for a status that changes it
		begin, count := time.Now(), 0 // count bytes have gone over the wire since begin
		if free.After(begin) {
			begin = free
		}
		if wire.echo {
			if err := sleep(ctx, begin.Add(wire.time(n))); err != nil {
				return err
			}
			if _, err := line.Write(buf[:n]); err != nil {
				return err
			}
		}
		if !wire.matches(line) { // the servo hears something that is no packet
			parser.Reset()
			count, n = n, 0
		}
		for i := range n {
			count++
			parser.Feed(buf[i : i+1]) // one by one, to know when a packet is complete
			packet, ok := parser.Next()
			if !ok {
				continue
			}
			received := begin.Add(wire.time(count))
			if err := sleep(ctx, received); err != nil {
				return err
			}
			status, late := s.answer(packet)
			if len(status) == 0 {
				continue
			}
			begin, count = received.Add(wire.delay+late+wire.time(len(status))), 0
			if err := sleep(ctx, begin); err != nil {
				return err
			}
			if !wire.matches(line) {
				status = s.garble(status)
			}
			if _, err := line.Write(status); err != nil {
				return err
			}
		}
		free = begin.Add(wire.time(count))
		if err != nil {
			return err
		}
	}
}

// answer carries out an instruction and returns what comes out of the line, and by how much that is late.
func (s *Servo) answer(p dynamixel.Packet) ([]byte, time.Duration) {
	status := s.execute(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spoil(status)
}

// A wire is how bytes are sent over the line.
type wire struct {
	baud  int           // bits a second
	delay time.Duration // before a status
	echo  bool
}

func (s *Servo) wire() wire {
	s.mu.Lock()
	defer s.mu.Unlock()
	return wire{
		baud:  dynamixel.Bauds[s.get(dynamixel.BaudRate)],
		delay: time.Duration(s.get(dynamixel.ReturnDelayTime)) * delayUnit,
		echo:  s.faults.Echo,
	}
}

// time is how long that many bytes take.
func (w wire) time(bytes int) time.Duration {
	return time.Duration(bytes) * bitsPerByte * time.Second / time.Duration(w.baud)
}

// matches reports whether the host, as far as the line knows, has a rate at which it understands the servo
// and is understood: a receiver samples each bit in its middle, which the last of ten must not miss.
func (w wire) matches(line io.ReadWriter) bool {
	l, ok := line.(interface{ HostBaud() int })
	if !ok {
		return true
	}
	host := l.HostBaud()
	return host == 0 || abs(host-w.baud) < w.baud/2/bitsPerByte
}

func abs(n int) int { return max(n, -n) }

// garble is what a host at another rate takes a status for.
func (s *Servo) garble(status []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.noise(len(status))
}

// sleep waits until then, or returns the context's error.
func sleep(ctx context.Context, then time.Time) error {
	timer := time.NewTimer(time.Until(then))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
