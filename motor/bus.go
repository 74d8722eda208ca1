package motor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// A Port is a serial port, as go.bug.st/serial has it.
type Port interface {
	io.ReadWriteCloser
	// SetReadTimeout bounds a Read, which returns 0, nil when it has passed.
	SetReadTimeout(time.Duration) error
	// ResetInputBuffer drops what has been received and not yet read.
	ResetInputBuffer() error
}

const (
	// replyMargin is how long a reply may be late, after its time on the wire: the servo's return
	// delay, 16 ms in the buffer of an FTDI adapter, and the operating system's scheduling. It doubles
	// with each reply that is missed, so that a busy moment is not a loss.
	replyMargin = 50 * time.Millisecond
	// stopMargin is the same while an emergency stop waits: no longer than an adapter keeps a reply to itself.
	stopMargin = 20 * time.Millisecond
	// writePatience is how long a port may take no bytes. They only go into a buffer, but a busy machine may
	// be late with that.
	writePatience = 500 * time.Millisecond
	// attempts is how often a transaction is tried, and after how many unanswered ones in a row the
	// servo counts as lost.
	attempts = 3
)

var (
	errNoReply = errors.New("the servo did not answer")
	errBlocked = errors.New("it takes no bytes")
	errClosed  = errors.New("the connection to the servo was closed")
	errStopped = device.Errorf(device.CodeEmergencyStopped, "the emergency stop was pressed")
)

// A bus owns an open port until it is lost.
type bus struct {
	port     Port
	id       byte
	baud     int
	stops    *stops
	requests chan request
	urgent   chan request  // those that go before the others
	stop     chan struct{} // receives when the emergency stop was pressed
	quit     chan error    // receives why the bus is to end
	alerts   chan struct{} // receives when the alert bit of the replies has changed
	lost     chan struct{} // closed when the bus has ended; err says why
	err      error         // nil while the bus works

	// What identify has found out.
	model      dynamixel.Model
	known      bool // the model
	firmware   int
	speedLimit int   // 0.229 rpm
	pwmLimit   int32 // 0.113 %
	gain       int32 // Position P Gain as it is except in a pulse

	position atomic.Int32 // the latest, steps
	quiet    atomic.Bool  // the servo is booting: that it does not answer means nothing
	leaving  atomic.Bool  // nothing may cause motion any more

	failed      *atomic.Uint64  // counts the transactions without a good reply
	onTorqueOff func()          // called after an emergency stop has been read back
	onLost      func(err error) // called before anybody else learns that the bus is lost

	parser     dynamixel.Parser
	buf        [256]byte
	unanswered int  // transactions in a row
	owed       bool // the reply to an earlier transaction may still come
	asked      []byte
	stopping   bool // this is the emergency stop
	heard      bool // the servo has answered
	alert      bool // the last reply had an alert
}

// A request is one transaction.
type request struct {
	ctx    context.Context
	packet []byte
	params int  // how many parameters the reply has
	once   bool // it is not repeated when the servo does not answer
	// permit is needed by what may cause motion; 0 is for what cannot.
	permit permit
	reply  chan<- reply
}

type reply struct {
	params []byte
	alert  bool
	err    error
	lost   bool // and with it the bus
}

func newBus(port Port, l line, stops *stops, failed *atomic.Uint64) *bus {
	return &bus{
		port: port, id: l.id, baud: l.baud, stops: stops, failed: failed,
		requests: make(chan request), urgent: make(chan request), stop: make(chan struct{}, 1),
		quit: make(chan error, 1), alerts: make(chan struct{}, 1), lost: make(chan struct{}),
	}
}

// run carries out transactions until ctx ends or the bus is lost.
func (b *bus) run(ctx context.Context) {
	defer func() {
		if b.err != errClosed {
			b.onLost(b.err)
		}
		close(b.lost)
	}()
	for b.err == nil {
		select {
		case <-b.stop:
			b.torqueOff()
		case r := <-b.urgent:
			b.serveAfterStop(r)
		case r := <-b.requests:
			select {
			case urgent := <-b.urgent: // both had come
				b.serveAfterStop(urgent)
			default:
			}
			b.serveAfterStop(r)
		case err := <-b.quit:
			b.err = err
		case <-ctx.Done():
			select {
			case <-b.stop: // had come before
				b.torqueOff()
			default:
			}
			if b.err == nil {
				b.err = errClosed
			}
		}
	}
}

// abandon ends the bus as lost.
func (b *bus) abandon(why error) {
	select {
	case b.quit <- why:
	default: // for another reason
	}
}

// serveAfterStop lets a stop that has come together with the request go before it.
func (b *bus) serveAfterStop(r request) {
	select {
	case <-b.stop:
		b.torqueOff()
	default:
	}
	b.serve(r)
}

func (b *bus) serve(r request) {
	switch {
	case b.err != nil:
		r.reply <- reply{err: b.err}
	case r.ctx.Err() != nil:
		r.reply <- reply{err: context.Cause(r.ctx)}
	case r.permit != 0 && !b.stops.permits(r.permit):
		r.reply <- reply{err: errStopped}
	case r.permit != 0 && b.leaving.Load():
		r.reply <- reply{err: errNotConnected}
	default:
		p, err := b.exchange(r.packet, r.params)
		r.reply <- reply{append([]byte(nil), p.Params...), p.Error.Alert(), err, b.err != nil}
		if alert := p.Error.Alert(); err == nil && alert != b.alert {
			b.alert = alert
			select {
			case b.alerts <- struct{}{}:
			default:
			}
		}
	}
}

// torqueOff is the emergency stop: torque off, read back, and every press so far answered.
func (b *bus) torqueOff() {
	presses := b.stops.take()
	off := dynamixel.AppendWrite(nil, b.id, dynamixel.TorqueEnable, 0)
	check := dynamixel.AppendRead(nil, b.id, dynamixel.TorqueEnable.Address, dynamixel.TorqueEnable.Size)
	answers := dynamixel.AppendWrite(nil, b.id, dynamixel.StatusReturnLevel, answerAll)
	var err error
	b.unanswered = 0 // what was lost before is not the stop's
	b.stopping = true
	defer func() { b.stopping = false }()
	if !b.heard { // it may have been told to say nothing
		_, _ = b.exchange(off, 0)
		if b.err == nil {
			_, _ = b.exchange(answers, 0)
		}
	}
	for range attempts {
		if _, err = b.insist(off, 0); b.err != nil {
			break
		}
		if again(err) { // what seemed to answer the check might answer something else
			continue
		}
		var p dynamixel.Packet
		if p, err = b.insist(check, int(dynamixel.TorqueEnable.Size)); b.err != nil {
			break
		}
		if err == nil && p.Params[0] == 0 {
			b.onTorqueOff()
			presses.answer(nil)
			return
		}
		if err == nil {
			err = errors.New("the servo keeps its torque on")
		}
	}
	presses.answer(device.Errorf(device.CodeMotorDisconnected, "torque could not be switched off: %w", err))
	if b.err == nil { // torque off is the first thing on the next connection, too
		b.err = err
	}
}

// insist has a transaction carried out that is tried again while the servo does not answer.
func (b *bus) insist(packet []byte, params int) (p dynamixel.Packet, err error) {
	for range attempts {
		if p, err = b.exchange(packet, params); b.err != nil || !again(err) {
			break
		}
	}
	return p, err
}

// again says of an error that the instruction was not carried out, as far as is known.
func again(err error) bool { return errors.Is(err, errNoReply) || errors.Is(err, dynamixel.CRCError) }

// exchange sends a packet and returns the servo's reply to it. The reply's parameters are valid until
// the next exchange. An error of the port, or a servo that is mute for too long, ends the bus. An emergency stop
// does not wait for a reply that is late.
func (b *bus) exchange(packet []byte, params int) (dynamixel.Packet, error) {
	if !b.stopping && !bytes.Equal(packet, b.asked) {
		owed := b.owed
		if err := b.settle(); err != nil {
			return dynamixel.Packet{}, b.fail(err)
		}
		if owed && len(b.stop) > 0 { // it goes first
			return dynamixel.Packet{}, errNoReply
		}
	}
	b.asked = packet
	size := dynamixel.StatusSize(params)
	b.parser.Reset()
	b.parser.MaxLength = 2 * size // every byte of it could be stuffed
	if err := b.port.ResetInputBuffer(); err != nil {
		return dynamixel.Packet{}, b.fail(err)
	}
	if err := write(b.port, packet); err != nil {
		return dynamixel.Packet{}, b.fail(err)
	}
	due, patience := time.Now().Add(wireTime(len(packet)+size, b.baud)), replyMargin<<b.unanswered
	for late := false; ; {
		margin := patience
		pressed := !b.stopping && len(b.stop) > 0
		if pressed {
			margin = stopMargin
		}
		left := max(0, time.Until(due.Add(margin)))
		if left == 0 && late {
			b.owed = true
			if pressed {
				return dynamixel.Packet{}, errNoReply
			}
			b.failed.Add(1)
			if b.quiet.Load() {
				return dynamixel.Packet{}, errNoReply
			}
			if b.unanswered++; b.unanswered >= attempts {
				b.err = errNoReply
			}
			return dynamixel.Packet{}, errNoReply
		}
		late = left == 0 // whoever wakes late looks once more at what has come meanwhile
		if err := b.port.SetReadTimeout(min(left, stopMargin)); err != nil {
			return dynamixel.Packet{}, b.fail(err)
		}
		n, err := b.port.Read(b.buf[:])
		if err != nil {
			return dynamixel.Packet{}, b.fail(err)
		}
		b.parser.Feed(b.buf[:n])
		for {
			p, ok := b.parser.Next()
			if !ok {
				break
			}
			// Passes over the echo of an adapter that hears itself, and replies of other servos.
			if p.Instruction != dynamixel.Status || p.ID != b.id {
				continue
			}
			b.unanswered, b.heard = 0, true
			if p.Error.Number() == 0 && len(p.Params) != params {
				continue
			}
			if err := b.settle(); err != nil {
				return dynamixel.Packet{}, b.fail(err)
			}
			if p.Error.Number() != 0 {
				return p, p.Error
			}
			return p, nil
		}
	}
}

// settle waits, after a reply was late, for those that may still come, before another question has one of theirs for its own.
func (b *bus) settle() error {
	for end := time.Now().Add(replyMargin); b.owed && (b.stopping || len(b.stop) == 0); {
		if err := b.port.SetReadTimeout(stopMargin); err != nil {
			return err
		}
		n, err := b.port.Read(b.buf[:])
		if err != nil {
			return err
		}
		b.owed = n > 0 && time.Now().Before(end) // noise may have no end
	}
	return nil
}

// write sends a packet. A port whose other side has stopped taking bytes blocks, and nothing ends that: the
// port is then lost, with the goroutine that waits.
func write(port Port, packet []byte) error {
	written := make(chan error, 1)
	go func() {
		for len(packet) > 0 {
			n, err := port.Write(packet)
			if err != nil {
				written <- err
				return
			}
			packet = packet[n:]
		}
		written <- nil
	}()
	timeout := time.NewTimer(writePatience)
	defer timeout.Stop()
	select {
	case err := <-written:
		return err
	case <-timeout.C:
		return errBlocked
	}
}

func (b *bus) fail(err error) error {
	b.failed.Add(1)
	b.err = portFailed(err)
	return b.err
}

func portFailed(err error) error {
	return fmt.Errorf("the serial port has failed, is the adapter still plugged in? %w", err)
}

// wireTime is how long that many bytes take on the wire: 10 bits each.
func wireTime(bytes, baud int) time.Duration {
	return time.Duration(bytes) * 10 * time.Second / time.Duration(baud)
}

// urgency marks a context whose transactions go before the others.
type urgency struct{}

// first returns a context for what the carousel's motion depends on: its transactions do not wait for
// those that only look.
func first(ctx context.Context) context.Context { return context.WithValue(ctx, urgency{}, true) }

// do has one transaction carried out. It is tried again while the servo does not answer.
func (b *bus) do(r request) (reply, error) {
	answers := make(chan reply, 1)
	r.reply = answers
	for attempt := 1; ; attempt++ {
		requests := b.requests
		if r.ctx.Value(urgency{}) != nil {
			requests = b.urgent
		}
		select {
		case requests <- r:
		case <-b.lost:
			return reply{}, b.err
		case <-r.ctx.Done():
			return reply{}, context.Cause(r.ctx)
		}
		answer := <-answers
		if answer.lost {
			<-b.lost
		}
		if again(answer.err) && attempt < attempts && !r.once {
			continue
		}
		return answer, answer.err
	}
}

// coded gives an error of the bus the code that the device knows it by.
func coded(err error) error {
	switch {
	case err == nil, errors.As(err, new(*device.Error)):
		return err
	case errors.As(err, new(dynamixel.StatusError)):
		return device.Errorf(device.CodeSerialError, "the servo refused an instruction: %w", err)
	case errors.Is(err, context.Canceled):
		return device.Errorf(device.CodeCancelled, "it was given up")
	case errors.Is(err, context.DeadlineExceeded):
		return device.Errorf(device.CodeTimeout, "the motor did not get to it in time")
	default:
		return device.Errorf(device.CodeMotorDisconnected, "the motor is not connected: %w", err)
	}
}

// read returns size bytes of the control table from address, and whether the servo has an alert.
func (b *bus) read(ctx context.Context, address, size uint16) ([]byte, bool, error) {
	r, err := b.do(request{ctx: ctx, packet: dynamixel.AppendRead(nil, b.id, address, size), params: int(size)})
	return r.params, r.alert, err
}

// get returns the value of one register.
func (b *bus) get(ctx context.Context, r dynamixel.Register) (int32, error) {
	table, _, err := b.read(ctx, r.Address, r.Size)
	if err != nil {
		return 0, err
	}
	return r.Get(table, r.Address), nil
}

// set writes one register. With a permit it may cause motion, and is refused after a stop.
func (b *bus) set(ctx context.Context, r dynamixel.Register, value int32, p permit) error {
	_, err := b.do(request{ctx: ctx, packet: dynamixel.AppendWrite(nil, b.id, r, value), permit: p})
	return err
}
