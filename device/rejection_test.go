package device_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

func TestACommandThatMakesNoSenseIsRejected(t *testing.T) {
	const angleRule = "; it must be 0 or more and less than 360 degrees"
	for _, c := range []struct {
		name    string
		command device.Command
		code    device.Code
		message string
	}{
		{"unknown hotel", hotel("1", "Z"), device.CodeInvalidPayload, `hotel "Z" is not one of A, B, C, D`},
		{"hotel in lower case", hotel("1", "a"), device.CodeInvalidPayload, `hotel "a" is not one of A, B, C, D`},
		{"hotel without a name", hotel("1", ""), device.CodeInvalidPayload, `hotel "" is not one of A, B, C, D`},
		{"negative angle", angle("1", -0.01), device.CodeInvalidPayload, "angle is -0.01" + angleRule},
		{"a whole turn", angle("1", 360), device.CodeInvalidPayload, "angle is 360" + angleRule},
		{"no number", angle("1", device.Degrees(math.NaN())), device.CodeInvalidPayload, "angle is NaN" + angleRule},
		{"infinite", angle("1", device.Degrees(math.Inf(1))), device.CodeInvalidPayload, "angle is +Inf" + angleRule},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.submit(c.command)
				r.noMove()
				if len(r.events) != 1 {
					t.Fatalf("%d events, want one: %+v", len(r.events), r.events)
				}
				op := r.events[0]
				if op.ID != "1" || op.Name != c.command.Name || op.Source != "test" || op.State != device.Rejected || op.FinishedAt == nil {
					t.Errorf("the answer is %+v", op)
				}
				if op.Error == nil || op.Error.Code != c.code || op.Error.Message != c.message {
					t.Errorf("the error is %+v, want %s: %s", op.Error, c.code, c.message)
				}
			})
		})
	}
}

func TestTheBoundsOfAnAngleAreAccepted(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(angle("1", 0), angle("2", 359.99))
		r.expect("1 queued", "1 running", "2 queued")
	})
}

// The core is the last to know what an operation does: what it does not know must not turn into one
// that moves.
func TestOnlyAMoveMoves(t *testing.T) {
	for _, name := range []device.Name{"", "spin", "HOTEL", device.StopOperation} {
		t.Run(string(name), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.submit(device.Command{ID: "1", Name: name})
				r.noMove()
				if name == device.StopOperation {
					return
				}
				if got := brief(r.last("1")); got != "1 rejected unknown_operation" {
					t.Error(got)
				}
			})
		})
	}
}

func TestAStopThatIsSubmittedStops(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("1"), device.Command{ID: "stop", Name: device.StopOperation})
		if len(r.motor.Presses()) != 1 {
			t.Error("the motor was not stopped")
		}
		r.status(device.StatusEStop)
	})
}

func TestEveryRejectionUpTo20ASecondIsAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		flood := func(n int) (answered int) {
			before := len(r.events)
			for i := range n {
				r.Reject(hotel(fmt.Sprint(i), "B"), device.Errorf(device.CodeRetainedCommand, "no"))
			}
			r.settle()
			return len(r.events) - before
		}
		if n := flood(20); n != 20 || r.Outbox().Unanswered() != 0 {
			t.Errorf("of 20, %d were answered and %d counted", n, r.Outbox().Unanswered())
		}
		if n := flood(500); n != 0 || r.Outbox().Unanswered() != 500 {
			t.Errorf("of 500 more, %d were answered and %d counted", n, r.Outbox().Unanswered())
		}

		// What is accepted is answered even then.
		r.submit(home("move"))
		if got := brief(r.last("move")); got != "move running" {
			t.Error(got)
		}

		time.Sleep(time.Second)
		if n := flood(21); n != 20 || r.Outbox().Unanswered() != 501 {
			t.Errorf("a second later, %d of 21 were answered and %d in all counted", n, r.Outbox().Unanswered())
		}
	})
}

func TestSubmitDoesNotBlockWhenRunDoesNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		r := newRig(t, devicetest.New(), new(device.Memory))
		for i := range n { // waiting for anything would end the bubble with a deadlock
			r.Submit(home(fmt.Sprint("early-", i)))
		}
		r.settle()
		for _, op := range r.events {
			if op.Error == nil || op.Error.Code != device.CodeQueueFull {
				t.Fatalf("an answer before Run: %+v", op)
			}
		}
		if len(r.events) != 20 {
			t.Errorf("%d rejections were answered in the first second, want 20", len(r.events))
		}

		time.Sleep(time.Second)
		r.start()
		if got := brief(r.last("early-0")); got != "early-0 running" {
			t.Error(got)
		}
		// The inbox had room for some; each of all got an answer or was counted.
		answers := map[string]bool{}
		for _, op := range r.events {
			answers[op.ID] = true
		}
		if got := len(answers) + int(r.Outbox().Unanswered()); got != n {
			t.Errorf("%d of %d commands got an answer or were counted", got, n)
		}
	})
}

func TestEveryMessageGetsExactlyOneReceipt(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(
			home("moves"), hotel("waits", "A"), hotel("unknown", "Z"), angle("out", 400),
			home("waits too"), reset("now"), angle("waits", 5), home("waits last"), home("over"),
		)
		var got []string
		for _, op := range r.events {
			if op.State != device.Running { // not a receipt
				got = append(got, brief(op))
			}
		}
		want := []string{
			"moves queued", "waits queued", "unknown rejected invalid_payload", "out rejected invalid_payload",
			"waits too queued", "now completed", "waits rejected duplicate_id", "waits last queued", "over rejected queue_full",
		}
		slices.Sort(got) // rejections do not wait for the store
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the receipts differ (-want +got):\n%s", diff)
		}
	})
}
