package simulator

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// A byte takes 10 bits. Reading the position: 14 bytes there, 250 · 2 µs of delay, 15 bytes back.
func TestWireTime(t *testing.T) {
	for _, e := range []struct {
		baud     int
		delay    int32 // register
		received time.Duration
		answered time.Duration
	}{
		{57600, 250, 2_430_555, 2_430_555 + 500_000 + 2_604_166},
		{57600, 0, 2_430_555, 2_430_555 + 2_604_166},
		{1_000_000, 250, 140_000, 140_000 + 500_000 + 150_000},
		{4_000_000, 254, 35_000, 35_000 + 508_000 + 37_500},
		{9600, 250, 14_583_333, 14_583_333 + 500_000 + 15_625_000},
	} {
		onBench(t, Config{Baud: e.baud}, func(b *bench) {
			b.write(dynamixel.ReturnDelayTime, e.delay, 0)
			time.Sleep(time.Second)
			start := time.Now()
			b.raw(dynamixel.AppendRead(nil, 1, 132, 4)...)
			if got := b.received().Sub(start); got != e.received {
				t.Errorf("%d baud, delay %d: received after %v, want %v", e.baud, e.delay, got, e.received)
			}
			if got := time.Since(start); got != e.answered {
				t.Errorf("%d baud, delay %d: answered after %v, want %v", e.baud, e.delay, got, e.answered)
			}
		})
	}
}

func TestBytesFollowOneAnother(t *testing.T) {
	const us = time.Microsecond
	onBench(t, Config{Baud: 1_000_000}, func(b *bench) {
		b.raw(dynamixel.AppendWrite(nil, 1, dynamixel.StatusReturnLevel, 1)...)
		led := dynamixel.AppendWrite(nil, 1, dynamixel.LED, 1) // 13 bytes, 130 µs
		start := time.Now()
		received := func(want time.Duration) {
			t.Helper()
			synctest.Wait()
			if got := b.received().Sub(start); got != want {
				t.Errorf("received after %v, want %v", got, want)
			}
		}
		// Two in one piece, and a third while they are on the wire.
		b.port.Write(append(led[:len(led):len(led)], led...))
		time.Sleep(100 * us)
		b.port.Write(led)
		time.Sleep(30 * us)
		received(130 * us)
		time.Sleep(130 * us)
		received(260 * us)
		time.Sleep(130 * us)
		received(390 * us)

		// One in two pieces with a pause, behind 4 bytes of noise.
		time.Sleep(time.Second)
		start = time.Now()
		b.port.Write(append([]byte{1, 2, 3, 4}, led[:5]...))
		time.Sleep(500 * us)
		b.port.Write(led[5:])
		time.Sleep(time.Millisecond)
		received(580 * us) // 500 µs and 8 bytes

		// One in two pieces without a pause.
		time.Sleep(time.Second)
		start = time.Now()
		b.port.Write(led[:5])
		time.Sleep(10 * us)
		b.port.Write(led[5:])
		time.Sleep(time.Millisecond)
		received(130 * us)
	})
}

func TestReplyFaults(t *testing.T) {
	ping := dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: dynamixel.Ping})
	onBench(t, Config{Model: 1030, Firmware: 38}, func(b *bench) {
		good := []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x07, 0x00, 0x55, 0x00, 0x06, 0x04, 0x26, 0x65, 0x5D}
		b.SetFaults(Faults{DropNext: 2, CorruptNext: 1, NoiseNext: []byte{0xAA, 0xFF}})
		for range 2 {
			if got := b.raw(ping...); len(got) != 0 {
				t.Errorf("a dropped reply: % X", got)
			}
		}
		sameBytes(t, b.raw(ping...), []byte{0xAA, 0xFF,
			0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x07, 0x00, 0x55, 0x00, 0x06, 0x04, 0x22, 0x65, 0x5D})
		sameBytes(t, b.raw(ping...), good)

		b.SetFaults(Faults{Mute: true})
		if got := b.raw(dynamixel.AppendWrite(nil, 1, dynamixel.LED, 1)...); len(got) != 0 {
			t.Errorf("mute, and says % X", got)
		}
		b.is(dynamixel.LED, 1) // it obeys
		b.SetFaults(Faults{})
		sameBytes(t, b.raw(ping...), good)
	})
}

func TestServeReturnsTheErrorOfTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, device := Pipe()
		done := make(chan error)
		go func() { done <- New(Config{}).Serve(t.Context(), device) }()
		host.Close()
		if err := <-done; !errors.Is(err, ErrUnplugged) {
			t.Errorf("Serve: %v, want %v", err, ErrUnplugged)
		}
		if _, err := device.Read(nil); err == nil || errors.Is(err, ErrUnplugged) {
			t.Errorf("Serve has not closed the line: %v", err)
		}
	})
}

func TestServeEndsWithItsContextWhileAnInstructionIsOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, device := Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		s := New(Config{})
		done := make(chan error)
		go func() { done <- s.Serve(ctx, device) }()
		start := time.Now()
		host.Write(dynamixel.AppendWrite(nil, 1, dynamixel.LED, 1))
		time.Sleep(time.Millisecond)
		cancel()
		if err := <-done; err != nil || time.Since(start) != time.Millisecond {
			t.Errorf("Serve: %v after %v", err, time.Since(start))
		}
		if s.Register(dynamixel.LED) != 0 {
			t.Error("carried out an instruction that had not arrived")
		}
		if _, err := host.Read(make([]byte, 1)); !errors.Is(err, ErrUnplugged) {
			t.Errorf("host: %v", err)
		}
	})
}

var _ io.ReadWriteCloser = (*PTY)(nil)
