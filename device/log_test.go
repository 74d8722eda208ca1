package device_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// A hook is a log that does something at a message that contains a text, the first time.
type hook struct {
	slog.Handler
	text string
	do   chan func()
}

func (h *hook) Enabled(context.Context, slog.Level) bool { return true }
func (h *hook) WithAttrs([]slog.Attr) slog.Handler       { return h }

func (h *hook) Handle(_ context.Context, r slog.Record) error {
	if !strings.Contains(r.Message, h.text) {
		return nil
	}
	select {
	case do := <-h.do:
		do()
	default:
	}
	return nil
}

// A log may hang, as when nobody reads standard error. Not in a bubble, whose clock stands still while a
// mutex is waited for.
func TestALogThatHangsHoldsUpNothing(t *testing.T) {
	full := new(disk)
	events := make([]device.Event, 1000+queueSize)
	for i := range events {
		events[i].Sequence = uint64(i + 1)
	}
	_ = full.Memory.Save(device.Change{Events: events, NextEvent: uint64(len(events) + 1)})
	for text, c := range map[string]struct {
		store *disk
		cause func(d *device.Device)
	}{
		"cannot store operations": {&disk{err: errDisk}, func(*device.Device) {}},
		"a flood": {new(disk), func(d *device.Device) {
			for range 30 {
				d.Reject(home(""), device.Errorf(device.CodeInvalidPayload, "no"))
			}
		}},
		"too many events": {full, func(d *device.Device) { d.Submit(home("1")) }},
	} {
		t.Run(text, func(t *testing.T) {
			h := &hook{slog.DiscardHandler, text, make(chan func(), 1)}
			r := newRigWith(t, devicetest.New(), c.store, func(c *device.Config) { c.Log = slog.New(h) })
			logged := make(chan error, 1)
			h.do <- func() {
				answered := make(chan struct{})
				go func() {
					defer close(answered)
					r.Outbox().Unanswered()
					r.Stop(func() *device.Command { return nil })
					for text != "too many events" && !r.View().State.EmergencyStop { // that one is logged by Run itself
						<-r.Changed()
					}
				}()
				select {
				case <-answered:
					logged <- nil
				case <-time.After(10 * time.Second):
					logged <- context.DeadlineExceeded
				}
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- r.Run(ctx, func() {}) }()
			go c.cause(r.Device)
			if err := <-logged; err != nil {
				t.Error("the device waits for its log")
			}
			cancel()
			<-ended
		})
	}
}
