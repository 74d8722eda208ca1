package device_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

func briefs(list *[]device.Operation) []string {
	all := []string{}
	for _, op := range *list {
		all = append(all, brief(op))
	}
	return all
}

func (r *rig) shows(queue, history []string) {
	r.t.Helper()
	r.settle()
	if got := briefs(r.View().Queue); !slices.Equal(got, queue) {
		r.t.Errorf("the queue is %q, want %q", got, queue)
	}
	if got := briefs(r.View().History); !slices.Equal(got, history) {
		r.t.Errorf("the history is %q, want %q", got, history)
	}
}

func TestTheViewShowsWhatWaitsAndWhatHasEnded(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.shows([]string{}, []string{})
		r.submit(home("1"), hotel("2", "B"), reboot("3"))
		r.shows([]string{"2 queued", "3 queued"}, []string{})
		r.submit(hotel("no", "Z"))
		r.arrive(1)
		r.shows([]string{"3 queued"}, []string{"1 completed"})
		r.fail(2, device.CodeStalled)
		r.shows([]string{}, []string{"3 completed", "2 failed stalled", "1 completed"})
		r.submit(refresh("4"))
		r.stop("5")
		r.submit(home("no"))
		r.shows([]string{}, []string{"5 completed", "4 completed", "3 completed", "2 failed stalled", "1 completed"})
	})
}

func TestTheFirst20OfTheQueueAreShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigOf(t, 100)
		r.start()
		r.submit(home("runs"))
		var want []string
		for i := range 25 {
			r.submit(home(fmt.Sprint(i)))
			want = append(want, fmt.Sprint(i, " queued"))
		}
		r.shows(want[:20], []string{})
		if n := r.View().State.QueueLength; n != 25 {
			t.Errorf("%d operations wait", n)
		}
		r.submit(cancel("cancel", "3"))
		want = slices.Delete(want, 3, 4)
		r.shows(want[:20], []string{"cancel completed", "3 cancelled cancelled"})
	})
}

func TestTheLast20AreInTheHistoryAlsoAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		var want []string
		for i := range 25 {
			time.Sleep(time.Second)
			r.submit(refresh(fmt.Sprint(i)))
			want = append(want, fmt.Sprint(i, " completed"))
		}
		slices.Reverse(want)
		r.shows([]string{}, want[:20])
		before := *r.View().History

		r = r.restart(devicetest.New())
		r.shows([]string{}, want[:20])
		for i, op := range *r.View().History {
			if diff := diffOf(before[i], op); diff != "" {
				t.Errorf("entry %d differs (-before +after):\n%s", i, diff)
			}
		}
	})
}

// The order is that of the ends, not that in which the operations were accepted.
func TestTheHistoryHasItsOrderAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("first"), home("cancelled"))
		time.Sleep(time.Second)
		r.submit(refresh("second"))
		time.Sleep(time.Second)
		r.submit(cancel("third", "cancelled"))
		time.Sleep(time.Second)
		r.arrive(1)
		want := []string{"first completed", "third completed", "cancelled cancelled cancelled", "second completed"}
		r.shows([]string{}, want)
		r = r.restart(devicetest.New())
		r.shows([]string{}, want)
	})
}

// What was interrupted ended with the restart: it is the newest.
func TestWhatWasInterruptedIsInTheHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t, devicetest.New(), new(disk))
		r.submit(home("ran"))
		time.Sleep(time.Second)
		r.submit(refresh("ended"))
		r = r.restartAfter(2*time.Minute, devicetest.New())
		r.shows([]string{}, []string{"ran interrupted interrupted", "ended completed"})
	})
}

func TestWhatIsNewInAViewHasANewPointer(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		first := r.View()
		r.submit(home("1"))
		moved := r.View()
		if moved.State == first.State || moved.History != first.History || moved.Queue != first.Queue {
			t.Error("a move changes the state, neither queue nor history")
		}
		r.submit(home("2"))
		waits := r.View()
		if waits.Queue == moved.Queue || waits.History != moved.History {
			t.Error("what waits changes the queue, not the history")
		}
		r.submit(refresh("3"))
		ended := r.View()
		if ended.Queue != waits.Queue || ended.History == waits.History || len(*waits.History) != 0 {
			t.Error("what ends changes the history, not the queue")
		}
		if len(*first.Queue) != 0 || len(*waits.Queue) != 1 {
			t.Error("a view has changed after it was made")
		}
	})
}

func TestTheStateTellsWhereTheHotelsAre(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		want := map[string]device.Degrees{"A": 19, "B": 109, "C": 199, "D": 289}
		if got := r.View().State.HotelAngles; !maps.Equal(got, want) {
			t.Errorf("the hotels are at %v, want %v", got, want)
		}
	})
}
