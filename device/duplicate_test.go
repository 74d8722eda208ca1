package device_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

func TestTheSameCommandAgainShowsWhereTheOperationIs(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(hotel("1", "B"), hotel("2", "C"))
		r.expect("1 queued", "1 running", "2 queued")
		r.submit(hotel("2", "C"), hotel("1", "B"))
		r.expect("2 queued", "1 running")
		r.arrive(1)
		r.arrive(2)
		r.expect("1 completed", "2 running", "2 completed")

		first := r.last("1")
		r.submit(hotel("1", "B"))
		if diff := diffOf(first, r.last("1")); diff != "" {
			t.Errorf("the second answer differs (-first +second):\n%s", diff)
		}
		r.expect("1 completed")
		r.move(2) // nothing has moved again
	})
}

func TestTheSameCommandAgainIsAnsweredWhileNothingCanMove(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("1"))
		r.Stop(func() *device.Command { return nil })
		r.settle()
		r.submit(home("1"))
		r.expect("1 queued", "1 running", "1 cancelled emergency_stopped", "1 cancelled emergency_stopped")
	})
}

func TestAnIDWithOtherContentIsRejected(t *testing.T) {
	for name, other := range map[string]device.Command{
		"other hotel":       hotel("1", "C"),
		"other operation":   angle("1", 109),
		"without parameter": home("1"),
		"immediate":         reset("1"),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.submit(hotel("1", "B"))
				r.expect("1 queued", "1 running")
				r.submit(other)
				r.expect("1 rejected duplicate_id")
				if got, want := r.last("1").Error.Message, `the id "1" belongs to another operation, hotel with its own parameters; give each operation an id of its own`; got != want {
					t.Errorf("the message is %q, want %q", got, want)
				}
				r.arrive(1)
				r.expect("1 completed")
			})
		})
	}
}

func TestTheLatest1000OperationsAreRemembered(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for i := range 1000 {
			r.submit(reset(fmt.Sprint("op-", i)))
		}
		r.submit(reset("op-0"))
		if n := len(r.motor.Resets()); n != 1000 {
			t.Fatalf("the oldest of 1,000 was run again (%d resets)", n)
		}

		for i := range 2000 { // a rejection is not remembered
			r.submit(hotel(fmt.Sprint("rejected-", i), "Z"))
		}
		r.submit(reset("op-0"))
		if n := len(r.motor.Resets()); n != 1000 {
			t.Fatalf("rejections have pushed out the oldest operation (%d resets)", n)
		}

		r.submit(reset("op-1000"), reset("op-1"))
		if n := len(r.motor.Resets()); n != 1001 {
			t.Fatalf("the oldest but one was run again (%d resets)", n)
		}
		r.submit(reset("op-0"))
		if n := len(r.motor.Resets()); n != 1002 {
			t.Fatalf("of 1,001 the oldest is still remembered (%d resets)", n)
		}
	})
}

func TestARejectedIDMayBeUsedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(hotel("1", "Z"), hotel("1", "A"))
		if got := brief(r.last("1")); got != "1 running" {
			t.Error(got)
		}
	})
}

func TestIDsAreRememberedOverARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(hotel("1", "B"))
		time.Sleep(time.Second)
		r.arrive(1)
		want := r.last("1")

		r = r.restart(devicetest.New())
		r.submit(hotel("1", "C"))
		r.expect("1 rejected duplicate_id")
		r.submit(hotel("1", "B"))
		r.noMove()
		if diff := diffOf(want, r.last("1")); diff != "" {
			t.Errorf("the answer after the restart differs (-before +after):\n%s", diff)
		}
	})
}
