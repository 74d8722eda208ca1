package scheduler_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/scheduler"
)

// A meter is a device that only counts.
type meter struct {
	runs atomic.Int64
	last atomic.Int64 // when the latest run came, in nanoseconds
	full chan struct{}
	size int64
}

func (m *meter) Submit(device.Command) {
	m.last.Store(time.Now().UnixNano())
	if m.runs.Add(1) == m.size {
		m.full <- struct{}{}
	}
}
func (m *meter) Validate(device.Command) error { return nil }
func (m *meter) Warn(_, _ string)              {}

func (m *meter) scheduler(b *testing.B) *scheduler.Scheduler {
	b.Helper()
	s, err := scheduler.New(scheduler.Config{Device: m, Store: new(scheduler.Memory), NewID: newID, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// setThousand sets as many schedules of that content.
func setThousand(b *testing.B, s *scheduler.Scheduler, text string) {
	b.Helper()
	for i := range 1000 {
		c, err := s.Command(fmt.Sprint("n", i), []byte(text))
		if err != nil {
			b.Fatal(err)
		}
		if _, refusal := c.Work(); refusal != nil {
			b.Fatal(refusal)
		}
	}
}

// A look at the clock with 1,000 schedules of which none is due: at rest there is one every 10 s, and nothing
// else.
func BenchmarkAtRest(b *testing.B) {
	s := new(meter).scheduler(b)
	setThousand(b, s, `{"cron":"0 8 * * 1-5","timezone":"America/Toronto","operation":"home"}`)
	s.Look()
	for b.Loop() {
		s.Look()
	}
	perDay := b.Elapsed().Seconds() / float64(b.N) * 24 * 3600 / 10
	b.ReportMetric(1000*perDay, "ms-CPU/day")
}

// How late the last of 1,000 runs is that are due at the same time: from when they are due until the last command
// is with the device, in the worst of the rounds. What the device and the store take is not in it.
func BenchmarkLateness(b *testing.B) {
	var late time.Duration
	for b.Loop() {
		m := &meter{full: make(chan struct{}, 1), size: 1000}
		s := m.scheduler(b)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = s.Run(ctx)
		}()
		at := time.Now().Add(1500 * time.Millisecond).Truncate(time.Second)
		setThousand(b, s, `{"at":"`+at.UTC().Format(time.RFC3339)+`","operation":"home"}`)
		<-m.full
		late = max(late, time.Unix(0, m.last.Load()).Sub(at))
		cancel()
		<-done
	}
	b.ReportMetric(float64(late.Microseconds())/1000, "ms-late")
}
