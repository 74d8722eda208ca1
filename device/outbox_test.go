package device_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// unread is inBubble with a device whose outbox only the test reads.
func unread(t *testing.T, test func(t *testing.T, r *rig, o *device.Outbox)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t, devicetest.New(), new(device.Memory))
		test(t, r, r.Outbox())
	})
}

// fill makes n events, "<prefix>0 completed" and so on, without reading them.
func (r *rig) fill(prefix string, n int) {
	for i := range n {
		r.Submit(reset(fmt.Sprint(prefix, i)))
		synctest.Wait()
	}
}

func sequences(events []device.Event) (first, last uint64) {
	if len(events) == 0 {
		return 0, 0
	}
	return events[0].Sequence, events[len(events)-1].Sequence
}

func TestEventsAreNumberedFrom1InOrder(t *testing.T) {
	unread(t, func(t *testing.T, r *rig, o *device.Outbox) {
		r.fill("e", 5)
		events := o.After(0, 100)
		if len(events) != 5 {
			t.Fatalf("%d events, want 5", len(events))
		}
		for i, e := range events {
			if e.Sequence != uint64(i+1) || brief(e.Operation) != fmt.Sprintf("e%d completed", i) {
				t.Errorf("event %d is number %d, %s", i, e.Sequence, brief(e.Operation))
			}
		}
	})
}

func TestAfterReturnsAPartAndForgetsNothing(t *testing.T) {
	unread(t, func(t *testing.T, r *rig, o *device.Outbox) {
		r.fill("e", 5)
		for _, c := range []struct {
			after       uint64
			limit       int
			first, last uint64
		}{
			{0, 2, 1, 2}, {2, 2, 3, 4}, {4, 2, 5, 5}, {5, 2, 0, 0}, {99, 2, 0, 0}, {1, 100, 2, 5}, {0, 0, 0, 0}, {0, 100, 1, 5},
		} {
			if first, last := sequences(o.After(c.after, c.limit)); first != c.first || last != c.last {
				t.Errorf("After(%d, %d) is %d to %d, want %d to %d", c.after, c.limit, first, last, c.first, c.last)
			}
		}
	})
}

func TestWhatIsDeliveredIsForgotten(t *testing.T) {
	unread(t, func(t *testing.T, r *rig, o *device.Outbox) {
		r.fill("e", 5)
		o.Delivered(3)
		if first, last := sequences(o.After(0, 100)); first != 4 || last != 5 {
			t.Errorf("left are %d to %d, want 4 to 5", first, last)
		}
		o.Delivered(2) // late
		o.Delivered(5)
		if events := o.After(0, 100); len(events) != 0 {
			t.Errorf("%d events are left", len(events))
		}
		r.fill("f", 1)
		if first, _ := sequences(o.After(0, 100)); first != 6 {
			t.Errorf("the next event is number %d, want 6", first)
		}
	})
}

func TestTheLatestEventsAreKept(t *testing.T) {
	unread(t, func(t *testing.T, r *rig, o *device.Outbox) {
		const kept = 1000 + queueSize
		r.fill("e", kept)
		if first, last := sequences(o.After(0, 9999)); first != 1 || last != kept {
			t.Errorf("kept are %d to %d, want 1 to %d", first, last, kept)
		}
		r.fill("f", 250)
		events := o.After(0, 9999)
		if first, last := sequences(events); first != 251 || last != kept+250 || len(events) != kept {
			t.Errorf("kept are %d events, %d to %d, want %d, 251 to %d", len(events), first, last, kept, kept+250)
		}
		for i, e := range events {
			if e.Sequence != uint64(251+i) {
				t.Fatalf("event %d has number %d", i, e.Sequence)
			}
		}
	})
}

func TestTheEndOfAllThatWaitsIsToldThoughItComesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigOf(t, 1500)
		r.start()
		for i := range 1400 {
			r.submit(home(fmt.Sprint(i)))
		}
		r.submit(cancel("c", "all"))
		ended := 0
		for _, op := range r.events {
			if op.State == device.Cancelled {
				ended++
			}
		}
		if ended != 1400 {
			t.Errorf("%d of 1400 receipts have an end", ended)
		}
	})
}

func TestAddedTellsOfNewEvents(t *testing.T) {
	unread(t, func(t *testing.T, r *rig, o *device.Outbox) {
		told := func() bool {
			select {
			case <-o.Added():
				return true
			default:
				return false
			}
		}
		if told() {
			t.Error("told of events before there were any")
		}
		r.fill("e", 2)
		if !told() || told() {
			t.Error("two events are one message")
		}
		r.submit(hotel("1", "Z"))
		if !told() {
			t.Error("not told of a rejection")
		}
		r.Stop(func() *device.Command { return nil })
		synctest.Wait()
		if told() {
			t.Error("told of a stop that has no event")
		}
	})
}

func TestEventsThatWereReadAreNotChangedLater(t *testing.T) {
	unread(t, func(t *testing.T, r *rig, o *device.Outbox) {
		r.Submit(home("1"))
		synctest.Wait()
		events := o.After(0, 10)
		o.Delivered(2)
		r.arrive(1)
		if brief(events[0].Operation) != "1 queued" || brief(events[1].Operation) != "1 running" {
			t.Errorf("the events have become %s and %s", brief(events[0].Operation), brief(events[1].Operation))
		}
	})
}
