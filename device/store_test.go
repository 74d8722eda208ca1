package device_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

var errDisk = errors.New("no space left on device")

// timed returns how long what it does takes.
func timed(do func()) time.Duration {
	began := time.Now()
	do()
	return time.Since(began)
}

func TestAStoreThatHangsHoldsUpNothingThatMovesOrStops(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		release := d.hang()
		defer release()
		r.submit(home("1"), home("2"))
		r.arrive(1)
		r.move(2)
		if len(r.events) != 0 {
			t.Errorf("%d events were released before they were stored", len(r.events))
		}

		began, stopped := time.Now(), make(chan time.Duration, 1)
		took := timed(func() {
			r.Stop(func() *device.Command {
				stopped <- time.Since(began)
				return &device.Command{ID: "stop", Name: device.StopOperation}
			})
		})
		if after := <-stopped; after != 0 || len(r.motor.Presses()) != 1 {
			t.Errorf("the stop reached the motor after %v", after)
		}
		if took != time.Second {
			t.Errorf("Stop returned after %v, want 1s", took)
		}
		r.status(device.StatusEStop)
		if !r.move(2).Ended() {
			t.Error("the move goes on")
		}

		release()
		r.settle()
		for id, want := range map[string]string{
			"1": "1 completed", "2": "2 cancelled emergency_stopped", "stop": "stop completed",
		} {
			if got := brief(r.last(id)); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	})
}

func TestAStoreThatFailsHoldsUpNothingThatMovesOrStops(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		d.fail(errDisk)
		r.submit(home("1"))
		r.expect("1 queued", "1 running")
		if took := timed(func() { r.stop("stop") }); took > time.Second {
			t.Errorf("Stop returned after %v, want at most 1s", took)
		}
		if !r.move(1).Ended() {
			t.Error("the move goes on")
		}
		r.status(device.StatusEStop)
		if got := brief(r.last("stop")); got != "stop completed" {
			t.Error(got)
		}
	})
}

// The latch must hold over a restart, so it is tried until the disk takes it.
func TestALatchThatCouldNotBeStoredIsStoredLater(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		d.fail(errDisk)
		r.stop("stop")
		d.fail(nil)
		r.shutDown()
		if saved, _ := d.Load(); !saved.Latched {
			t.Error("the latch is not stored")
		}
	})
}

// late is a store that waits in a Save for what it finds in holds.
type late struct {
	device.Memory
	holds chan chan struct{}
}

func (l *late) Save(c device.Change) error {
	select {
	case hold := <-l.holds:
		<-hold
	default:
	}
	return l.Memory.Save(c)
}

// The last Save of Run still hangs when the stop comes.
func TestALatchAfterTheEndIsNotReplacedByAnOlderSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, hold := &late{holds: make(chan chan struct{}, 1)}, make(chan struct{})
		r := startRig(t, devicetest.New(), l)
		r.leave = func() { l.holds <- hold }
		r.cancel()
		synctest.Wait()
		go r.Stop(func() *device.Command { return &device.Command{ID: "stop", Name: device.StopOperation} })
		synctest.Wait()
		close(hold)
		synctest.Wait()
		if saved, _ := l.Load(); !saved.Latched {
			t.Error("the latch is not stored")
		}
	})
}

func TestStopReturnsWhenTheLatchIsStored(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		release := d.hang()
		time.AfterFunc(300*time.Millisecond, release)
		took := timed(func() { r.Stop(func() *device.Command { return &device.Command{ID: "1", Name: device.StopOperation} }) })
		if took != 300*time.Millisecond {
			t.Errorf("Stop returned after %v, want 300ms", took)
		}
		if saved, _ := d.Load(); !saved.Latched {
			t.Error("the latch is not stored")
		}
	})
}

func TestASecondCopyOfAStopDoesNotWaitForTheStore(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		defer d.hang()()
		if took := timed(func() { r.Stop(func() *device.Command { return nil }) }); took != 0 {
			t.Errorf("Stop returned after %v", took)
		}
		r.status(device.StatusEStop)
	})
}

func TestAnEventIsReleasedOnceItIsStored(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		r.submit(home("1"))
		for _, op := range r.events {
			if op.State != device.Queued && op.State != device.Running {
				t.Errorf("released is %s", brief(op))
			}
		}
		saved, _ := d.Load()
		if diff := diffOf(r.last("1"), saved.Records[0].Operation); diff != "" {
			t.Errorf("released and stored differ (-released +stored):\n%s", diff)
		}
	})
}

// Every wait has a deadline: systemd would kill the process, and say that it failed.
func TestAShutdownDoesNotWaitForADiskForever(t *testing.T) {
	onDisk(t, func(t *testing.T, r *rig, d *disk) {
		defer d.hang()()
		r.submit(home("1"))
		r.cancel()
		if took := r.waitEnd(time.Minute); took > 10*time.Second {
			t.Errorf("Run returned after %v", took)
		}
	})
}
