package mqtt

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// Another client takes the connection of the stop. The stop evades it for a while, however often its connection is lost
// meanwhile, and then forgets what the broker has kept: it has been heard.
func TestTheStopEvadesForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLink(Config{BaseTopic: "plate-resort", DeviceID: "lab", Log: slog.New(slog.DiscardHandler)}, newTestDevice(t), nil)
		s := l.stop
		l.commandsUp.set(true)
		check := func(when, id string, clean bool) {
			t.Helper()
			if o := s.options(); o.ClientID != id || o.CleanSession != clean {
				t.Errorf("%s it connects as %s, clean %v; want %s, %v", when, o.ClientID, o.CleanSession, id, clean)
			}
		}
		own, evasive := "plate-resort-lab-stop", "plate-resort-lab-stop-"+l.rivals.me.ID
		loss := func() {
			s.brief = !s.evading // as a session says that ends soon
			s.judgeLoss()
		}
		for range suspicious - 1 {
			check("at first", own, false)
			loss()
		}
		check("before the last loss", own, false)
		loss()
		began := time.Now()
		for range 9 {
			check("after a few losses", evasive, true)
			time.Sleep(time.Minute)
			loss()
		}
		time.Sleep(time.Until(began.Add(parole)))
		check("after that while", own, true)
		if err := s.session(t.Context(), nil, false, func() error { return nil }); !errors.Is(err, errStale) {
			t.Errorf("the first session after that while ends with %v", err)
		}
		check("when the broker has forgotten", own, false)
		loss()
		check("after one more loss", evasive, true)
	})
}

func TestALossOfBothConnectionsIsNoOtherClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLink(Config{BaseTopic: "plate-resort", DeviceID: "lab", Log: slog.New(slog.DiscardHandler)}, newTestDevice(t), nil)
		for range 20 {
			l.stop.brief = true
			l.stop.judgeLoss()
		}
		if l.stop.options(); l.stop.evading {
			t.Error("the stop evades")
		}
	})
}
