package mqtt

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestCopiesOfAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c copies
		expect := func(w way, payload string, want bool) {
			t.Helper()
			if got := c.first(w, []byte(payload)); got != want {
				t.Errorf("%q on way %d is the first copy: %v, want %v", payload, w, got, want)
			}
		}
		expect(stopWay, "STOP", true)
		expect(commandWay, "STOP", false)

		expect(commandWay, "STOP", true) // another one, the other way round
		expect(stopWay, "STOP", false)

		expect(stopWay, "STOP", true) // three in a row, copies interleaved
		expect(stopWay, "STOP", true)
		expect(commandWay, "STOP", false)
		expect(stopWay, "STOP", true)
		expect(commandWay, "STOP", false)
		expect(commandWay, "STOP", false)

		expect(stopWay, "a", true) // other payloads are other stops
		expect(commandWay, "b", true)
		expect(commandWay, "a", false)
		expect(stopWay, "b", false)

		expect(stopWay, "late", true) // a copy that did not come in time will not come
		time.Sleep(copyWindow + time.Second)
		expect(commandWay, "late", true)
		expect(stopWay, "late", false)

		expect(stopWay, "lost", true) // nor one on a connection that was lost
		c.lost(commandWay)
		expect(commandWay, "lost", true)
	})
}

func TestCopiesThatWaitAreBounded(t *testing.T) {
	var c copies
	for i := range 10 * maxCopies {
		c.first(stopWay, []byte(strconv.Itoa(i)))
	}
	if n := len(c.waiting[stopWay]); n != maxCopies {
		t.Errorf("%d stops wait for their second copy, want %d", n, maxCopies)
	}
}
