package scheduler_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
)

// begin sends a schedule, and returns what waits for the answer.
func (r *rig) begin(name, text string) func() error {
	r.t.Helper()
	c, err := r.Command(name, []byte(text))
	if err != nil {
		r.t.Fatal(err)
	}
	wait, refusal := c.Work()
	if refusal != nil {
		r.t.Fatal(refusal)
	}
	return func() error { return wait(context.Background()) }
}

func interrupted(err error) bool {
	var failure *device.Error
	return errors.As(err, &failure) && failure.Code == device.CodeInterrupted
}

// kept returns what the store has of a schedule.
func (r *rig) kept(name string) json.RawMessage {
	r.t.Helper()
	kept, err := r.store.LoadSchedules()
	if err != nil {
		r.t.Fatal(err)
	}
	return kept[name]
}

// What is taken before the end is stored, and not run any more.
func TestWhatIsSetAtTheEndIsKept(t *testing.T) {
	for range 20 { // Run may see either first
		inBubble(t, func(t *testing.T, r *rig) {
			answer := r.begin("tick", everyFive)
			r.stop()
			if err := answer(); err != nil || r.kept("tick") == nil {
				t.Errorf("it was answered with %v, and kept as %s", err, r.kept("tick"))
			}
		})
		inBubble(t, func(t *testing.T, r *rig) {
			r.set("once", `{"at":"2026-01-01T00:00:04Z","operation":"home"}`)
			r.lab.become(func(l *lab) { l.freeze = time.Second })
			r.set("gone", everyFive)
			time.Sleep(4500 * time.Millisecond) // Run is at the run of once until :05
			set, deleted := r.begin("tick", everyFive), r.begin("gone", `{"delete":true}`)
			r.stop()
			if err := errors.Join(set(), deleted()); err != nil || r.kept("tick") == nil || r.kept("gone") != nil {
				t.Errorf("they were answered with %v, and kept as %s and %s", err, r.kept("tick"), r.kept("gone"))
			}
		})
	}
}

func TestNothingIsSetAfterTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stop()
		if err := r.try("tick", everyFive); !interrupted(err) {
			t.Errorf("it was answered with %v", err)
		}
	})
}

// What the disk does not take before the end is not answered as completed.
func TestTheEndOnADiskThatDoesNotWork(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		inBubble(t, func(t *testing.T, first *rig) {
			store := &brokenStore{broken: make(chan struct{}), hangs: make(chan struct{})}
			if !hangs {
				close(store.hangs)
			}
			r := startRig(t, store, first.jump)
			answer := r.begin("tick", everyFive)
			synctest.Wait()
			began := time.Now()
			r.stop()
			if err := answer(); !interrupted(err) {
				t.Errorf("hangs %v: it was answered with %v", hangs, err)
			}
			if took := time.Since(began); took >= time.Second {
				t.Errorf("hangs %v: the end took %v, which is more than the device waits", hangs, took)
			}
			if hangs {
				close(store.hangs)
				synctest.Wait()
			}
		})
	}
}
