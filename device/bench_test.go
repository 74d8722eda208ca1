package device_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// BenchmarkOperation is what one operation costs in the core, from the command to its last event, after so
// many others and with 100 that wait.
func BenchmarkOperation(b *testing.B) {
	for _, before := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprint("after ", before), func(b *testing.B) {
			d, err := device.New(device.Config{
				Carousel:  device.Carousel{Hotels: device.EvenlySpaced([]string{"A", "B", "C", "D"}, 19, 1), RoomsPerHotel: 20},
				QueueSize: 100, NewID: newID(), Now: time.Now,
				Motor: devicetest.New(), Store: new(device.Memory), Log: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error)
			go func() { done <- d.Run(ctx, func() {}) }()
			last := uint64(0)
			await := func(id string) {
				for {
					for _, e := range d.Outbox().After(last, 100) {
						last = e.Sequence
						d.Outbox().Delivered(last)
						if e.Operation.ID == id {
							return
						}
					}
					<-d.Outbox().Added()
				}
			}
			for i := range 101 {
				d.Submit(home(fmt.Sprint("waits-", i)))
				await(fmt.Sprint("waits-", i))
			}
			n := 0
			operate := func() {
				n++
				d.Submit(reset(fmt.Sprint(n)))
				await(fmt.Sprint(n))
			}
			for range before {
				operate()
			}
			b.ReportAllocs()
			for b.Loop() {
				operate()
			}
			cancel()
			if err := <-done; err != nil {
				b.Error(err)
			}
		})
	}
}
