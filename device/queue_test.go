package device_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plate-resort/plate-resort/device"
)

func TestMovesRunOneAtATimeInTheOrderTheyCame(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(hotel("1", "B"), angle("2", 200), home("3"), hotel("4", "D"))
		r.expect("1 queued", "1 running", "2 queued", "3 queued", "4 queued")

		for n, goal := range []device.Degrees{109, 200, 0, 289} {
			if move := r.move(n + 1); move.Goal != goal {
				t.Errorf("move %d goes to %v, want %v", n+1, move.Goal, goal)
			}
			r.arrive(n + 1)
		}
		r.expect("1 completed", "2 running", "2 completed", "3 running", "3 completed", "4 running", "4 completed")
	})
}

func TestAMoveShowsInTheSnapshotWhileItRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(hotel("1", "B"), home("2"))
		s := r.View().State
		if s.Status != device.StatusBusy || s.Message != "Moving to hotel B" || s.Activity != device.Turning {
			t.Errorf("%s, %q, %s; want busy, Moving to hotel B, running", s.Status, s.Message, s.Activity)
		}
		if s.Operation == nil || s.Operation.ID != "1" || s.Operation.State != device.Running || s.Operation.Attempt != 1 {
			t.Errorf("the operation is %+v", s.Operation)
		}
		if s.TargetAngle == nil || *s.TargetAngle != 109 || s.QueueLength != 1 {
			t.Errorf("the target is %v, the queue has %d", s.TargetAngle, s.QueueLength)
		}

		r.arrive(1)
		r.arrive(2)
		s = r.View().State
		if s.Status != device.StatusReady || s.Activity != device.Idle || s.Operation != nil || s.TargetAngle != nil || s.QueueLength != 0 {
			t.Errorf("at rest the snapshot is %+v", s)
		}
		if s.OperationsTotal != 2 {
			t.Errorf("%d operations have ended, want 2", s.OperationsTotal)
		}
	})
}

func TestTheResultSaysWhereTheCarouselCameToRest(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(hotel("1", "B"))
		time.Sleep(1310 * time.Millisecond)
		r.move(1).ArriveAt(109.0439)
		op := r.last("1")
		at, off := device.Degrees(109.04), device.Degrees(0.04)
		want := &device.Result{Hotel: "B", Angle: &at, Deviation: &off, Stage: "position", DurationSeconds: 1.31}
		if diff := cmp.Diff(want, op.Result); diff != "" {
			t.Errorf("the result differs (-want +got):\n%s", diff)
		}
		if op.FinishedAt.Sub(*op.StartedAt) != 1310*time.Millisecond {
			t.Errorf("started %v, finished %v", op.StartedAt, op.FinishedAt)
		}
		if s := r.View().State; s.Hotel == nil || *s.Hotel != "B" || *s.Angle != 109.04 || s.Message != "Ready at hotel B" {
			t.Errorf("the snapshot is %+v", s)
		}
	})
}

func TestAFullQueueRefusesMoves(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		for i := range queueSize + 1 { // one runs
			r.submit(home(fmt.Sprint(i)))
		}
		if s := r.View().State; s.QueueLength != queueSize {
			t.Fatalf("%d wait, want %d", s.QueueLength, queueSize)
		}
		want := noneQueued
		if got := r.View().State.AllowedActions; !slices.Equal(got, want) {
			t.Errorf("allowed are %v, want %v", got, want)
		}
		r.submit(home("over"))
		if got := brief(r.last("over")); got != "over rejected queue_full" {
			t.Error(got)
		}

		r.arrive(1)
		if got := r.View().State.AllowedActions; !slices.Equal(got, device.Names) {
			t.Errorf("with room again, allowed are %v", got)
		}
		r.submit(home("again"))
		if got := brief(r.last("again")); got != "again queued" {
			t.Error(got)
		}
	})
}

func TestAMoveThatFailsLetsTheNextOneRun(t *testing.T) {
	for _, code := range []device.Code{device.CodeStalled, device.CodeTimeout, device.CodeSerialError, device.CodeMotorFault} {
		t.Run(string(code), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.submit(once(home("1")), home("2"))
				r.expect("1 queued", "1 running", "2 queued")
				r.move(1).Fail(fmt.Errorf("on the way: %w", device.Errorf(code, "no good")))
				r.expect("1 failed "+string(code), "2 running")
				if e := r.View().State.LastError; e == nil || e.Code != code || e.Message != "no good" || e.Severity != "error" {
					t.Errorf("the last error is %+v", e)
				}
			})
		})
	}
}

func TestAnErrorWithoutACodeIsASerialError(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(once(home("1")))
		r.move(1).Fail(fmt.Errorf("wires crossed"))
		op := r.last("1")
		if op.State != device.Failed || op.Error.Code != device.CodeSerialError || op.Error.Message != "wires crossed" {
			t.Errorf("ended as %s with %+v", op.State, op.Error)
		}
	})
}

func TestACommandWithoutAnIDGetsOne(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home(""), home(""), hotel("", "Z"))
		seen := map[string]bool{}
		for _, op := range r.events {
			if op.ID == "" {
				t.Errorf("an event without an id: %+v", op)
			}
			seen[op.ID] = true
		}
		if len(seen) != 3 {
			t.Errorf("3 commands have %d ids", len(seen))
		}
	})
}

func TestANewSnapshotIsAnnounced(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		before := r.View().State
		r.submit(hotel("1", "Z"))
		select {
		case <-r.Changed():
			t.Error("a rejection changes nothing, and was announced")
		default:
		}
		if r.View().State != before {
			t.Error("the snapshot was replaced though nothing has changed")
		}
		r.submit(home("2"))
		select {
		case <-r.Changed():
		default:
			t.Error("a move was not announced")
		}
		r.motor.SetReading(func(m *device.Reading) { m.Angle = 359.996 })
		r.settle()
		if a := r.View().State.Angle; a == nil || *a != 0 {
			t.Errorf("359.996° shows as %v, want 0", a)
		}
	})
}
