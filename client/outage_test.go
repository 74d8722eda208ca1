package client_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/client/clienttest"
	"github.com/plate-resort/plate-resort/device"
)

// away has the client without its broker while something happens.
func (l *lab) away(meanwhile func()) {
	l.t.Helper()
	l.relay.Cut()
	l.untilConnected(false)
	meanwhile()
	l.relay.Mend()
	l.untilConnected(true)
}

// onTheBroker does something as another client, and waits until the device has done it.
func (l *lab) onTheBroker(do func(other *client.Client)) {
	l.t.Helper()
	other, err := client.Dial(within(l.t), config(l.address, "lab"))
	if err != nil {
		l.t.Fatal(err)
	}
	defer other.Close()
	do(other)
}

func TestAnEndThatWasMissedIsReadFromTheHistory(t *testing.T) {
	l := newLab(t)
	commands := l.commands()
	move := l.submit(hotel("B"))
	l.untilMove(1)
	l.away(func() {
		l.onTheBroker(func(other *client.Client) {
			l.Motor.Moves()[0].Arrive()
			for m := range other.Watch(within(t)) {
				var ended []device.Operation
				if m.Topic == client.History && json.Unmarshal(m.Payload, &ended) == nil && len(ended) > 0 && ended[0].ID == move.ID {
					return
				}
			}
			t.Fatal("the history does not have it")
		})
	})
	end := completed(t, move)
	if n := commands(); end.Result.Hotel != "B" || n != 1 {
		t.Errorf("it ended as %+v, after %d commands, want 1", end, n)
	}
}

func TestOfWhatTheHistoryHasNoMoreTheDeviceIsAsked(t *testing.T) {
	l := newLab(t)
	move := l.submit(hotel("B"))
	l.untilMove(1)
	l.away(func() {
		l.onTheBroker(func(other *client.Client) {
			l.Motor.Moves()[0].Arrive()
			for range 30 { // the history has 20
				s, err := other.Submit(within(t), "lab", client.Command{Input: "refresh"})
				if err != nil {
					t.Fatal(err)
				}
				completed(t, s)
			}
		})
	})
	if end := completed(t, move); end.Result.Hotel != "B" || len(l.Motor.Moves()) != 1 {
		t.Errorf("it ended as %+v, after %d moves", end, len(l.Motor.Moves()))
	}
}

func TestWhatIsStillOnItsWayIsNotSentAgain(t *testing.T) {
	l := newLab(t)
	commands := l.commands()
	running, waiting := l.submit(hotel("B")), l.submit(hotel("C"))
	ended := make(chan device.State, 2)
	for _, s := range []*client.Submission{running, waiting} {
		go func() {
			op, _ := s.Wait(within(t)) // its state is what counts
			ended <- op.State
		}()
	}
	l.away(func() {})
	l.submit(client.Command{Input: "speed", Fields: map[string]any{"speed": 30}}) // and what would be sent again goes before it
	l.arrive(1)
	l.arrive(2)
	for range 2 {
		if state := <-ended; state != device.Completed {
			t.Errorf("it was %s in the end", state)
		}
	}
	if n := commands(); n != 3 {
		t.Errorf("there were %d commands, want 3", n)
	}
}

func TestWhatIsSubmittedWithoutABrokerIsSentWhenItIsBack(t *testing.T) {
	broker := clienttest.Listen(t, "127.0.0.1:0")
	address := broker.Addr().String()
	d := clienttest.Run(t, address, "lab")
	l := &lab{t: t, address: address, client: dial(t, address), Device: d}
	l.watch = l.client.Watch(t.Context())
	l.until(client.Availability, "online")
	broker.Close()
	l.untilConnected(false)
	accepted := make(chan error)
	go func() {
		s, err := l.client.Submit(within(t), "lab", client.Command{Input: "refresh"})
		if err == nil {
			_, err = s.Wait(within(t))
		}
		accepted <- err
	}()
	clienttest.Listen(t, address) // which has forgotten the device, until it is back
	if err := <-accepted; err != nil {
		t.Error(err)
	}
}

func TestACancelIsNotSentAgain(t *testing.T) {
	address := clienttest.Listen(t, "127.0.0.1:0").Addr().String()
	script := newScript(t, address)
	relay := clienttest.NewRelay(t, address)
	l := &lab{t: t, relay: relay, client: dial(t, relay.Address(), "lab")}
	l.watch = l.client.Watch(t.Context())
	l.untilConnected(true)
	answer := make(chan error)
	go func() {
		_, err := l.client.Submit(within(t), "lab", client.Command{Input: "cancel", Fields: map[string]any{"id": "all"}})
		answer <- err
	}()
	script.next()
	l.away(func() {})
	if err := <-answer; !errors.Is(err, client.ErrUnanswered) {
		t.Errorf("it ended with %v", err)
	}
}

func TestADeviceThatRestartsIsWaitedFor(t *testing.T) {
	l := newLab(t)
	move := l.submit(hotel("B"))
	l.Stop()
	_, err := move.Wait(within(t))
	expectCode(t, err, device.Interrupted, device.CodeInterrupted)
}

// A device whose disk has failed forgets what it has accepted when it is started again.
func TestADeviceThatHasForgottenIsAskedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(lab *script, id string)
		want func(t *testing.T, end device.Operation, err error)
	}{
		"it does it now": {
			func(lab *script, id string) { lab.say(id, device.Completed) },
			func(t *testing.T, end device.Operation, err error) {
				if err != nil || end.State != device.Completed {
					t.Errorf("it ended with %v, %+v", err, end)
				}
			},
		},
		"it refuses now": {
			func(lab *script, id string) {
				lab.reject(id, device.CodeDuplicateID) // another command with this id
				lab.reject(id, device.CodeEmergencyStopped)
			},
			func(t *testing.T, _ device.Operation, err error) {
				expectCode(t, err, device.Rejected, device.CodeEmergencyStopped)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			address := clienttest.Listen(t, "127.0.0.1:0").Addr().String()
			lab := newScript(t, address)
			c := dial(t, address, "lab")
			accepted := make(chan *client.Submission)
			go func() {
				command := hotel("B")
				command.ID = "move"
				s, err := c.Submit(within(t), "lab", command)
				if err != nil {
					t.Error(err)
				}
				accepted <- s
			}()
			first := lab.next()
			lab.say("move", device.Queued)
			move := <-accepted
			beside(t, func() {
				lab.publish("availability", "offline", true)
				lab.publish("availability", "online", true)
				if again := lab.next(); string(again.Payload()) != string(first.Payload()) {
					t.Errorf("it was sent as %s, and again as %s", first.Payload(), again.Payload())
				}
				test.end(lab, "move")
			})
			end, err := move.Wait(within(t))
			test.want(t, end, err)
		})
	}
}

func TestWhatIsNotDurableIsSentAgain(t *testing.T) {
	address := clienttest.Listen(t, "127.0.0.1:0").Addr().String()
	lab := newScript(t, address)
	c := dial(t, address, "lab")
	ended := make(chan error)
	go func() {
		s, err := c.Submit(within(t), "lab", hotel("B"))
		if err == nil {
			_, err = s.Wait(within(t))
		}
		ended <- err
	}()
	var sent struct{ ID string }
	if err := json.Unmarshal(lab.next().Payload(), &sent); err != nil {
		t.Fatal(err)
	}
	lab.publish("operation", `{"id": "`+sent.ID+`", "operation": "hotel", "state": "queued", "attempt": 1, "durable": false}`, false)
	lab.next()
	lab.say(sent.ID, device.Queued)
	lab.say(sent.ID, device.Completed)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
