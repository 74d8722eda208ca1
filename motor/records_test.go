package motor_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// An instruction is what the servo heard on the cable, with what its registers held just before it
// was carried out.
type instruction struct {
	dynamixel.Packet
	connection int // counts from 1
	at         time.Time

	torque, goal, position int32
}

// write returns the value that the instruction writes into the register, and whether it does.
func (i instruction) write(r dynamixel.Register) (int32, bool) {
	if i.Instruction != dynamixel.Write || len(i.Params) != int(2+r.Size) || !i.addresses(r) {
		return 0, false
	}
	return r.Get(i.Params[2:], r.Address), true
}

// writes reports whether the instruction writes that value into the register.
func (i instruction) writes(r dynamixel.Register, value int32) bool {
	got, ok := i.write(r)
	return ok && got == value
}

// reads reports whether the instruction reads that many bytes from that address.
func (i instruction) reads(address, size byte) bool {
	return i.Instruction == dynamixel.Read && slices.Equal(i.Params, []byte{address, 0, size, 0})
}

// samples reports whether the instruction reads the present registers, 122 to 146, in one go and with
// hardly anything else.
func (i instruction) samples() bool {
	if i.Instruction != dynamixel.Read {
		return false
	}
	first, size := i.Params[0], i.Params[2]
	return first >= 116 && first <= 122 && first+size == 147
}

func (i instruction) addresses(r dynamixel.Register) bool {
	return i.Params[0] == byte(r.Address) && i.Params[1] == byte(r.Address>>8)
}

func fold(position int32) int32 { return (position%4096 + 4096) % 4096 }

// A logbook is a slog.Handler that keeps the messages at warning and above.
type logbook struct {
	mu       sync.Mutex
	messages []string
}

func (*logbook) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (l *logbook) WithAttrs([]slog.Attr) slog.Handler             { return l }
func (l *logbook) WithGroup(string) slog.Handler                  { return l }

func (l *logbook) Handle(_ context.Context, record slog.Record) error {
	message := record.Message
	record.Attrs(func(a slog.Attr) bool {
		message += " " + a.String()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages = append(l.messages, message)
	return nil
}

// lines returns the messages so far.
func (l *logbook) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.messages)
}
