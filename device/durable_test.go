package device_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// notDurable fails unless these events, in brief, were published as not durable since the last time.
func (r *rig) notDurable(want ...string) {
	r.t.Helper()
	r.settle()
	if !slices.Equal(r.undurable, want) {
		r.t.Fatalf("not durable are %q, want %q", r.undurable, want)
	}
	r.undurable = nil
}

func TestAnEventIsAReceiptOnceItIsStored(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		release := d.hang()
		defer release()
		r.submit(home("1"))
		r.arrive(1)
		time.Sleep(2*time.Second - 1)
		r.expect()
		release()
		r.expect("1 queued", "1 running", "1 completed")
		r.notDurable()
		r.status(device.StatusReady)
	})
}

func TestEventsDoNotWaitForADiskThatHangs(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		release := d.hang()
		defer release()
		r.submit(home("1"))
		time.Sleep(2 * time.Second)
		r.expect("1 queued", "1 running")
		r.notDurable("1 queued", "1 running")
		r.status(device.StatusDegraded)
		if m := r.View().State.Message; !strings.Contains(m, "would be lost with the program") || !strings.Contains(m, "the disk has not taken them for 2s") {
			t.Errorf("the message is %q", m)
		}
		r.arrive(1) // at once from now on
		r.expect("1 completed")
		r.notDurable("1 completed")

		time.Sleep(time.Second)
		release()
		time.Sleep(time.Second)
		r.status(device.StatusReady)
		r.submit(home("1"))
		r.expect("1 completed")
		r.notDurable()
	})
}

// An event that came while another Save ran does not wait for two of them.
func TestNoEventWaitsForLongerThanTwoSeconds(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		d.takes(1800 * time.Millisecond)
		r.submit(reset("1"))
		time.Sleep(time.Second)
		r.submit(reset("2"))
		time.Sleep(time.Second)
		r.expect("1 completed")
		time.Sleep(time.Second - 1)
		r.expect()
		time.Sleep(time.Nanosecond) // the second Save has been going on for 1.2 s
		r.expect("2 completed")
		r.notDurable("2 completed")
	})
}

func TestEventsDoNotWaitForADiskThatFails(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		d.fail(errDisk)
		r.submit(home("1"))
		r.expect("1 queued", "1 running")
		r.notDurable("1 queued", "1 running")
		r.status(device.StatusDegraded)
		if m := r.View().State.Message; !strings.Contains(m, errDisk.Error()) {
			t.Errorf("the message is %q", m)
		}
		time.Sleep(time.Hour)
		r.arrive(1)
		r.notDurable("1 completed")

		d.fail(nil)
		time.Sleep(time.Second)
		r.status(device.StatusReady)
		r.submit(home("2"))
		r.notDurable()
		next := r.kill() // which has what was meanwhile, too
		saved, _ := next.Load()
		if len(saved.Records) != 2 || saved.OperationsTotal != 1 {
			t.Errorf("stored are %d operations, %d have ended; want 2 and 1", len(saved.Records), saved.OperationsTotal)
		}
	})
}

// What has come while a Save failed is newer than what that had.
func TestWhatCouldNotBeStoredDoesNotReplaceWhatIsNewer(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		release := d.hang()
		defer release()
		r.submit(reset("1"), home("2"))
		r.arrive(1)
		d.fail(errDisk)
		release()
		r.settle()
		d.fail(nil)
		time.Sleep(time.Second)
		r.settle()
		saved, _ := d.kill().Load()
		for _, record := range saved.Records {
			if record.Operation.State != device.Completed {
				t.Errorf("stored is %s", brief(record.Operation))
			}
		}
		if len(saved.Records) != 2 {
			t.Errorf("stored are %d operations, want 2", len(saved.Records))
		}
	})
}

// A disk that is known to fail is not asked for each event.
func TestADiskThatFailsIsAskedOnceASecond(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		d.fail(errDisk)
		r.submit(reset("first"))
		before := d.count()
		for i := range 200 {
			r.submit(reset(fmt.Sprint(i)))
			time.Sleep(50 * time.Millisecond)
		}
		if n := d.count() - before; n > 10 {
			t.Errorf("it was asked %d times in 10 s", n)
		}
	})
}

func TestAFailingDiskShowsBeforeThereIsAnythingToStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(disk)
		d.fail(errDisk)
		r := startRig(t, devicetest.New(), d)
		r.status(device.StatusDegraded)
	})
}

func TestWhatTheStoreSaysOfThePastIsAWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t, devicetest.New(), new(renewed))
		r.status(device.StatusDegraded)
		if m := r.View().State.Message; m != "The journal was put aside" {
			t.Errorf("the message is %q", m)
		}
	})
}

type renewed struct{ device.Memory }

func (*renewed) Load() (device.Saved, error) {
	return device.Saved{Warning: "The journal was put aside"}, nil
}

func TestARejectionKeepsItsPlaceAndIsAlwaysDurable(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		release := d.hang()
		defer release()
		r.submit(reset("1"))
		r.submit(hotel("2", "Z"), hotel("3", "Z")) // while the first is being stored
		r.expect()
		release()
		r.expect("1 completed", "2 rejected invalid_payload", "3 rejected invalid_payload")
		d.fail(errDisk)
		r.submit(reset("4"))
		r.submit(hotel("5", "Z"))
		r.expect("4 completed", "5 rejected invalid_payload")
		r.notDurable("4 completed")
	})
}

func TestAnEventSaysThatItIsNotDurable(t *testing.T) {
	op := device.Operation{ID: "1", Name: device.HomeOperation, State: device.Queued}
	for durable, want := range map[bool]any{true: nil, false: false} {
		encoded, err := json.Marshal(device.Event{Sequence: 1, Operation: op, Durable: durable})
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(encoded, &fields); err != nil {
			t.Fatal(err)
		}
		if got, there := fields["durable"]; got != want || there != (want != nil) || fields["id"] != "1" || fields["operation"] != "home" {
			t.Errorf("durable %v is published as %s", durable, encoded)
		}
	}
}

// All that comes while one Save runs is in the next one.
func TestWritesAreBatched(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		d.takes(100 * time.Millisecond)
		before := d.count()
		for i := range 100 {
			r.Submit(reset(fmt.Sprint(i)))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(300 * time.Millisecond)
		if n := d.count() - before; n > 13 {
			t.Errorf("%d writes in 1.3 s of 100 ms each", n)
		}
		r.settle()
		if len(r.events) != 100 {
			t.Errorf("%d events, want 100", len(r.events))
		}
	})
}

// A motion has begun before the disk has anything to do.
func TestWhatComesIsGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(disk)
		r := newRigWith(t, devicetest.New(), d, func(c *device.Config) { c.Gather = 3 * time.Millisecond })
		r.start()
		time.Sleep(time.Second)
		before := d.count()
		r.submit(home("1"))
		r.move(1)
		time.Sleep(3*time.Millisecond - 1)
		if n := d.count() - before; n != 0 {
			t.Errorf("%d writes", n)
		}
		time.Sleep(time.Nanosecond)
		r.expect("1 queued", "1 running")
		if n := d.count() - before; n != 1 {
			t.Errorf("%d writes, want one", n)
		}
	})
}

func TestAtRestNothingIsWritten(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		r.submit(home("1"))
		r.arrive(1)
		time.Sleep(2 * time.Second)
		before := d.count()
		if before > 6 { // the start, the move, and that its events were delivered
			t.Errorf("%d writes for one move", before)
		}
		time.Sleep(24 * time.Hour)
		if n := d.count() - before; n != 0 {
			t.Errorf("%d writes in a day at rest", n)
		}
	})
}

// However long the disk hangs, what waits for it stays within what is known anyway.
func TestWhatWaitsForADiskIsBounded(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		release := d.hang()
		defer release()
		for i := range 5000 {
			r.submit(reset(fmt.Sprint(i)))
		}
		release()
		time.Sleep(time.Second)
		saves := d.attempts()
		last := saves[len(saves)-1]
		for _, c := range saves {
			if len(c.Records) > 1010 || len(c.Events) > 1000+queueSize {
				t.Errorf("a Save has %d operations and %d events", len(c.Records), len(c.Events))
			}
		}
		if last.OperationsTotal != 5000 {
			t.Errorf("the last Save says that %d have ended, want 5000", last.OperationsTotal)
		}
		saved, _ := d.Load()
		if len(saved.Records) < 1000 || len(saved.Records) > 1010 {
			t.Errorf("stored are %d operations, want 1,000", len(saved.Records))
		}
		r = r.restart(devicetest.New())
		resets := len(r.motor.Resets())
		r.submit(reset("4000"), reset("4999"))
		if n := len(r.motor.Resets()) - resets; n != 0 {
			t.Errorf("%d of the last 1,000 were run again", n)
		}
	})
}

func TestEventsThatWereNotDeliveredSurviveAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, devicetest.New(), new(disk))
		r.start()
		for i := range 30 { // nobody takes them
			r.Submit(reset(fmt.Sprint(i)))
			synctest.Wait()
		}
		next := r.store.(*disk).kill()
		r.shutDown()
		r = startRig(t, devicetest.New(), next)
		if len(r.events) != 30 {
			t.Fatalf("%d events, want 30", len(r.events))
		}
		for i, op := range r.events {
			if brief(op) != fmt.Sprint(i, " completed") {
				t.Errorf("event %d is %s", i, brief(op))
			}
		}
		r.notDurable()
		r.submit(reset("new"))
		if got := brief(r.events[30]); got != "new completed" {
			t.Errorf("the next event is %s", got)
		}

		time.Sleep(time.Second) // now the store knows that they are delivered
		r = r.restartAfter(time.Second, devicetest.New())
		r.expect()
	})
}

func TestOnlyTheLatestEventsAreStored(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		for i := range 1500 {
			r.Submit(reset(fmt.Sprint(i)))
			synctest.Wait()
		}
		saved, _ := d.kill().Load()
		if n := len(saved.Events); n != 1000+queueSize || saved.Events[0].Operation.ID != "497" {
			t.Errorf("stored are %d events, the first of %s; want 1003 and 497", n, saved.Events[0].Operation.ID)
		}
	})
}

func TestTheTotalSurvivesAKill(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		r.submit(reset("1"), reset("2"), home("3"))
		r = r.restartAfter(time.Hour, devicetest.New())
		if n := r.View().State.OperationsTotal; n != 3 { // the third was interrupted
			t.Errorf("the total is %d, want 3", n)
		}
	})
}

// A Pi without a clock of its own starts in the past.
func TestAClockBehindTheStoreIsNotTrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t, devicetest.New(), new(disk))
		time.Sleep(time.Hour)
		r.submit(reset("1"))
		stored := time.Now()
		next := r.kill()
		r = newRig(t, devicetest.New(), next)
		r.jump.Store(int64(-30 * time.Minute))
		r.start()
		far := time.Now().Add(24 * time.Hour)
		r.submit(expiring(far, home("2")), expiring(far, refresh("3")), home("4"))
		r.expect("1 completed", "2 rejected clock_untrusted", "3 rejected clock_untrusted", "4 queued", "4 running")
		want := fmt.Sprintf("the device's clock says %s, and an operation is stored of %s: the clock is behind, or was ahead then; set it if it is behind, else send the command without expires_at until that time",
			stored.Add(-30*time.Minute).UTC().Format(time.RFC3339), stored.UTC().Format(time.RFC3339))
		if got := r.last("2").Error.Message; got != want {
			t.Errorf("the message is %q, want %q", got, want)
		}
		r.jump.Store(0)
		r.submit(expiring(far, home("2")))
		r.expect("2 queued")
	})
}

func TestAStopDuringTheFarewellIsAnswered(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		r.submit(home("1"))
		r.leave = func() {
			r.Stop(func() *device.Command { return &device.Command{ID: "stop", Name: device.StopOperation} })
			time.Sleep(100 * time.Millisecond)
			r.Submit(home("2"))
			time.Sleep(100 * time.Millisecond)
			r.collect()
		}
		r.cancel()
		r.waitEnd(time.Second)
		r.expect("1 queued", "1 running", "1 interrupted interrupted", "stop completed", "2 rejected interrupted")
		if saved, _ := d.Load(); !saved.Latched {
			t.Error("the latch is not stored")
		}
	})
}

func TestRunDoesNotWaitForAFarewellForever(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		leaving := make(chan struct{})
		defer close(leaving)
		r.leave = func() { <-leaving }
		r.cancel()
		r.waitEnd(5 * time.Second)
	})
}
