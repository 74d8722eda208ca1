package device_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// schedule is a command whose work is to be waited for.
func schedule(id string, work device.Work) device.Command {
	c := command(id, device.ScheduleOperation, device.Parameters{Name: new("tick"), Schedule: []byte(`{}`)})
	c.Work = work
	return c
}

func done(context.Context) error { return nil }

// Nothing that is wrong with the motor keeps a schedule from being set.
func TestAScheduleIsSetInEveryState(t *testing.T) {
	for name, prepare := range map[string]func(r *rig){
		"ready":    func(*rig) {},
		"moving":   func(r *rig) { r.submit(home("m")) },
		"latched":  func(r *rig) { r.stop("s") },
		"lost":     func(r *rig) { r.motor.Lose("unplugged") },
		"released": func(r *rig) { r.submit(connection("c", "OFF")) },
		"reboot":   func(r *rig) { r.motor.Hold(devicetest.Reboot, true); r.submit(reboot("b")) },
	} {
		inBubble(t, func(t *testing.T, r *rig) {
			prepare(r)
			r.settle()
			r.next = len(r.events)
			r.submit(schedule("1", func() (func(context.Context) error, *device.Error) { return done, nil }))
			if op := r.last("1"); op.State != device.Completed {
				t.Errorf("%s: the schedule was %s, %v", name, op.State, op.Error)
			}
		})
	}
}

func TestTheWorkOfASchedule(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		var begun []string
		stored := make(chan struct{})
		work := func(id string, err error) device.Command {
			return schedule(id, func() (func(context.Context) error, *device.Error) {
				begun = append(begun, id)
				return func(context.Context) error { <-stored; return err }, nil
			})
		}
		r.submit(work("1", nil), work("2", errors.New("no disk")), work("3", nil), work("1", nil))
		if want := []string{"1", "2", "3"}; !slices.Equal(begun, want) {
			t.Errorf("begun were %v, want %v", begun, want)
		}
		r.expect("1 running") // the repetition; nothing else is said before it is stored
		close(stored)
		r.settle()
		for id, state := range map[string]device.State{"1": device.Completed, "2": device.Failed, "3": device.Completed} {
			if op := r.last(id); op.State != state {
				t.Errorf("%s was %s, want %s", id, op.State, state)
			}
		}
		r.next = len(r.events)
		r.submit(schedule("4", func() (func(context.Context) error, *device.Error) {
			return nil, device.Errorf(device.CodeInvalidPayload, "no such hotel")
		}))
		r.expect("4 rejected invalid_payload")
		r.submit(command("5", device.ScheduleOperation, device.Parameters{}))
		r.expect("5 rejected unknown_operation")
	})
}

func TestTooManySchedulesWaitForTheDisk(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for range 101 {
			r.submit(schedule("", func() (func(context.Context) error, *device.Error) {
				return func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }, nil
			}))
		}
		if op := r.events[len(r.events)-1]; op.State != device.Rejected || op.Error.Code != device.CodeQueueFull {
			t.Errorf("the last one was %s, want queue_full", brief(op))
		}
		time.Sleep(immediateTimeout)
	})
}

func TestValidate(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.stop("s") // which has nothing to do with it
		if err := r.Validate(hotel("", "B")); err != nil {
			t.Error(err)
		}
		var refusal *device.Error
		if err := r.Validate(hotel("", "Z")); !errors.As(err, &refusal) || refusal.Code != device.CodeInvalidPayload {
			t.Errorf("hotel Z is answered with %v", err)
		}
	})
}

func TestObserve(t *testing.T) {
	inBubble(t, func(t *testing.T, first *rig) {
		first.submit(home("before"))
		first.shutDown()

		r := newRig(t, devicetest.New(), first.store)
		var seen []string
		r.Observe(func(op device.Operation) { seen = append(seen, brief(op)) })
		expect := func(want ...string) {
			t.Helper()
			r.settle()
			if !slices.Equal(seen, want) {
				t.Errorf("observed were %v, want %v", seen, want)
			}
			seen = nil
		}
		expect("before interrupted interrupted")
		r.start()
		r.submit(home("1"))
		r.arrive(1)
		expect("1 queued", "1 running", "1 completed")
		r.stop("s")
		expect("s completed")
		for range 50 { // more than are answered
			r.submit(home("2"))
		}
		if len(seen) != 50 || seen[49] != "2 rejected emergency_stopped" {
			t.Errorf("%d rejections were observed, want 50", len(seen))
		}
	})
}
