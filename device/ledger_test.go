package device_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

func TestTheLatest1000OperationsAreRememberedOverAKill(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		for i := range 1500 {
			r.submit(reset(fmt.Sprint("op-", i)))
		}
		r = r.restartAfter(time.Hour, devicetest.New())
		for i := 500; i < 1500; i += 7 {
			r.submit(reset(fmt.Sprint("op-", i)))
			time.Sleep(100 * time.Millisecond) // for the flood rule
		}
		if n := len(r.motor.Resets()); n != 0 {
			t.Errorf("%d of the last 1,000 were run again", n)
		}
		r.submit(reset("op-499"))
		if n := len(r.motor.Resets()); n != 1 {
			t.Errorf("the oldest of 1,001 was run %d times, want once", n)
		}
		r.submit(reset("op-500"), reset("op-502"))
		if n := len(r.motor.Resets()); n != 2 {
			t.Errorf("%d were run, want that which the new one has pushed out, and no other", n-1)
		}
	})
}

// What has not ended is known however many come after it, and for a good while after its end.
func TestWhatRunsIsNotForgotten(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		r.submit(home("runs"), hotel("waits", "B"))
		for i := range 2500 {
			r.submit(reset(fmt.Sprint(i)))
		}
		r.submit(home("runs"), hotel("waits", "B"))
		if n := r.View().State.QueueLength; n != 1 || len(r.motor.Moves()) != 1 {
			t.Fatalf("%d wait and %d run", n, len(r.motor.Moves()))
		}
		r = r.restartAfter(time.Second, devicetest.New())
		r.heard(time.Second)
		r.arrive(1)
		r.arrive(2)
		for i := range 900 {
			r.submit(reset(fmt.Sprint("more", i)))
		}
		r.submit(home("runs"), hotel("waits", "B"))
		r.move(2) // and no third one

		slots := 0
		saved, _ := r.store.Load()
		for _, record := range saved.Records {
			slots = max(slots, record.Slot+1)
		}
		if slots > 1010 {
			t.Errorf("%d slots are in use", slots)
		}
	})
}

func TestARejectionIsNotStored(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		r.Submit(hotel("1", "Z")) // which nobody takes
		r.Submit(reset("2"))
		synctest.Wait()
		if saved, _ := d.Load(); len(saved.Records) != 1 || len(saved.Events) != 1 {
			t.Errorf("stored are %d operations and %d events, want one", len(saved.Records), len(saved.Events))
		}
	})
}

// The store may have been written with a longer queue.
func TestAStoreWithMoreThanFitsIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, devicetest.New(), new(disk), func(c *device.Config) { c.QueueSize = 500 })
		r.start()
		for i := range 500 {
			r.submit(home(fmt.Sprint(i)))
		}
		r = r.restartAfter(time.Second, devicetest.New()) // with room for 3
		if n := r.View().State.QueueLength; n != 500 {
			t.Errorf("%d wait, want 500", n)
		}
		r.submit(home("new"))
		if got := brief(r.last("new")); got != "new rejected queue_full" {
			t.Error(got)
		}
		r.heard(time.Second)
		for i := range 500 {
			r.arrive(i + 1)
		}
		if got := brief(r.last("499")); got != "499 completed" {
			t.Error(got)
		}
	})
}
