package client_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/plate-resort/plate-resort/client"
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
	t.Parallel()
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

// The history has 20 operations, and what runs and waits is shown, too.
func TestOnlyOfWhatIsNotShownTheDeviceIsAsked(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	commands := l.commands()
	over, running, waiting := l.submit(hotel("B")), l.submit(hotel("C")), l.submit(hotel("D"))
	l.untilMove(1)
	l.away(func() { l.onTheBroker(func(other *client.Client) { l.endUnheard(other, 25) }) })
	ended := make(chan device.Operation, 2)
	for _, s := range []*client.Submission{running, waiting} {
		go func() {
			op, _ := s.Wait(within(t)) // its state is what counts
			ended <- op
		}()
	}
	completed(t, over) // it was asked for when the others would have been
	if n := commands(); n != 4 || len(l.Motor.Moves()) != 2 {
		t.Errorf("there were %d commands and %d moves, want 4 and 2", n, len(l.Motor.Moves()))
	}
	l.arrive(2)
	l.arrive(3)
	for range 2 {
		if op := <-ended; op.State != device.Completed {
			t.Errorf("it was %s in the end", op.State)
		}
	}
}

// endUnheard ends the first move, and has the device do so many other operations then.
func (l *lab) endUnheard(other *client.Client, operations int) {
	l.t.Helper()
	l.Motor.Moves()[0].Arrive()
	for range operations {
		s, err := other.Submit(within(l.t), "lab", client.Command{Input: "speed", Fields: map[string]any{"speed": 30}})
		if err != nil {
			l.t.Fatal(err)
		}
		completed(l.t, s)
	}
}

// The device knows the latest 1,000 operations. It would carry out an older one again.
func TestOfWhatTheDeviceMayHaveForgottenItIsNotAsked(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	commands := l.commands()
	move := l.submit(hotel("B"))
	l.untilMove(1)
	l.away(func() { l.onTheBroker(func(other *client.Client) { l.endUnheard(other, 500) }) })
	if _, err := move.Wait(within(t)); !errors.Is(err, client.ErrForgotten) {
		t.Errorf("the wait ended with %v", err)
	}
	if n := commands(); n != 1 || len(l.Motor.Moves()) != 1 {
		t.Errorf("there were %d commands and %d moves, want one", n, len(l.Motor.Moves()))
	}
}

func TestWhatIsSubmittedWithoutABrokerIsSentWhenItIsBack(t *testing.T) {
	t.Parallel()
	broker := listen(t, "127.0.0.1:0")
	address := broker.Addr().String()
	d := runDevice(t, address, "lab")
	l := &lab{t: t, address: address, client: dial(t, address), runningDevice: d}
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
	listen(t, address) // which has forgotten the device, until it is back
	if err := <-accepted; err != nil {
		t.Error(err)
	}
}

func TestACancelIsNotSentAgain(t *testing.T) {
	t.Parallel()
	address := listen(t, "127.0.0.1:0").Addr().String()
	script := newScript(t, address)
	relay := newRelay(t, address)
	l := &lab{t: t, relay: relay, client: dial(t, relay.Address(), "lab")}
	l.watch = l.client.Watch(t.Context())
	l.untilConnected(true)
	for target, lose := range map[string]func(){
		"x": func() { l.away(func() {}) },
		"y": func() { script.publish("availability", "offline", true) },
	} {
		answer := make(chan error)
		go func() {
			_, err := l.client.Submit(within(t), "lab", client.Command{Input: "cancel", Fields: map[string]any{"id": target}})
			answer <- err
		}()
		if id := script.nextID(); id != target {
			t.Errorf("a cancel of %s came", id)
		}
		lose()
		if err := <-answer; !errors.Is(err, client.ErrUnanswered) {
			t.Errorf("it ended with %v", err)
		}
		for _, availability := range []string{"offline", "online"} {
			script.publish("availability", availability, true)
			l.until(client.Availability, availability)
		}
	}
	beside(t, func() {
		if id := script.nextID(); id != "last" {
			t.Errorf("a cancel of %s came", id)
		}
		script.publish("operation", `{"id": "9", "operation": "cancel", "parameters": {"id": "last"}, "state": "completed"}`, false)
	})
	if s, err := l.client.Submit(within(t), "lab", client.Command{Input: "cancel", Fields: map[string]any{"id": "last"}}); err != nil || s.ID != "9" {
		t.Errorf("it ended with %v", err)
	}
}

func TestADeviceThatGoesAwayBeforeItAnswersMayHaveTheCommand(t *testing.T) {
	t.Parallel()
	address := listen(t, "127.0.0.1:0").Addr().String()
	script := newScript(t, address)
	c := dial(t, address, "lab")
	submit := func() <-chan error {
		ended := make(chan error, 1)
		go func() {
			s, err := c.Submit(within(t), "lab", hotel("B"))
			if err == nil {
				_, err = s.Wait(within(t))
			}
			ended <- err
		}()
		return ended
	}
	returned := submit()
	id := script.nextID()
	script.publish("availability", "offline", true)
	script.publish("availability", "online", true)
	if again := script.nextID(); again != id {
		t.Errorf("it was sent as %s, and again as %s", id, again)
	}
	script.say(id, device.Queued)
	gone := submit()
	script.nextID()
	script.publish("availability", "offline", true)
	if err := <-gone; !errors.Is(err, client.ErrUnanswered) {
		t.Errorf("it ended with %v", err)
	}
	if n := len(script.arrived); n > 0 {
		t.Errorf("%d commands were sent while the device was away", n)
	}
	script.publish("availability", "online", true)
	script.nextID() // what was accepted is asked for
	script.say(id, device.Completed)
	if err := <-returned; err != nil {
		t.Error(err)
	}
}

// A broker that has been away tells of a device that it is offline before the device is back.
func TestADeviceThatWasAwayWithTheBrokerIsWaitedFor(t *testing.T) {
	t.Parallel()
	address := listen(t, "127.0.0.1:0").Addr().String()
	script := newScript(t, address)
	relay := newRelay(t, address)
	l := &lab{t: t, relay: relay, client: dial(t, relay.Address(), "lab")}
	l.watch = l.client.Watch(t.Context())
	l.untilConnected(true)
	answer := make(chan error, 1)
	l.away(func() {
		script.publish("availability", "offline", true)
		go func() {
			_, err := l.client.Submit(within(t), "lab", hotel("B"))
			answer <- err
		}()
	})
	l.until(client.Availability, "offline")
	script.publish("availability", "online", true)
	script.say(script.nextID(), device.Completed)
	if err := <-answer; err != nil {
		t.Error(err)
	}
}

// A broker that was started again knows nothing of a device before it is back. It may have the command.
func TestACommandIsNotForgottenWithTheBroker(t *testing.T) {
	t.Parallel()
	first := listen(t, "127.0.0.1:0")
	address := first.Addr().String()
	script := newScript(t, address)
	c := dial(t, address, "lab")
	answer := make(chan error)
	go func() {
		_, err := c.Submit(within(t), "lab", hotel("B"))
		answer <- err
	}()
	script.nextID()
	first.Close()
	listen(t, address)
	if err := <-answer; !errors.Is(err, client.ErrUnanswered) {
		t.Errorf("it ended with %v", err)
	}
}

// What has had no answer for long is not sent again to a device that has had much else to do.
func TestAnOldCommandIsNotSentAgain(t *testing.T) {
	t.Parallel()
	address := listen(t, "127.0.0.1:0").Addr().String()
	script := newScript(t, address)
	script.publish("state", `{"operations_total": 100}`, true)
	relay := newRelay(t, address)
	l := &lab{t: t, relay: relay, client: dial(t, relay.Address(), "lab")}
	l.watch = l.client.Watch(t.Context())
	l.until(client.State, `{"operations_total": 100}`)
	answer := make(chan error)
	go func() {
		_, err := l.client.Submit(within(t), "lab", hotel("B"))
		answer <- err
	}()
	script.nextID()
	l.away(func() { script.publish("state", `{"operations_total": 590, "queue_length": 10}`, true) })
	if err := <-answer; !errors.Is(err, client.ErrUnanswered) {
		t.Errorf("it ended with %v", err)
	}
	if n := len(script.arrived); n > 0 {
		t.Errorf("%d more commands were sent", n)
	}
}

// A broker may drop an event for a client that is slow.
func TestForAnEventThatIsMissingTheDeviceIsAsked(t *testing.T) {
	t.Parallel()
	address := listen(t, "127.0.0.1:0").Addr().String()
	script := newScript(t, address)
	c := dial(t, address, "lab")
	ended := make(chan error)
	go func() {
		s, err := c.Submit(within(t), "lab", hotel("B"))
		if err == nil {
			_, err = s.Wait(within(t))
		}
		ended <- err
	}()
	id := script.nextID()
	script.say(id, device.Queued)
	script.publish("history", `[{"id": "`+id+`", "operation": "hotel", "state": "completed", "attempt": 1}]`, true)
	script.say(id, device.Running) // was on its way
	if again := script.nextID(); again != id {
		t.Errorf("it was sent as %s, and again as %s", id, again)
	}
	script.say(id, device.Completed)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAnOldOperationWithTheSameIDIsNoAnswer(t *testing.T) {
	t.Parallel()
	address := listen(t, "127.0.0.1:0").Addr().String()
	script := newScript(t, address)
	script.publish("history", `[{"id": "mine", "operation": "hotel", "state": "completed", "attempt": 1}]`, true)
	script.publish("availability", "", true) // nothing is sent until it is there
	c := dial(t, address, "lab")
	answer := make(chan error)
	go func() {
		command := hotel("C")
		command.ID = "mine"
		_, err := c.Submit(within(t), "lab", command)
		answer <- err
	}()
	for range 100 {
		script.say("mine", device.Completed)
	}
	script.publish("availability", "online", true)
	script.nextID()
	script.reject("mine", device.CodeDuplicateID)
	expectCode(t, <-answer, device.Rejected, device.CodeDuplicateID)
}

func TestADeviceThatEndsSaysWhatItInterrupts(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	move := l.submit(hotel("B"))
	l.Stop()
	_, err := move.Wait(within(t))
	expectCode(t, err, device.Interrupted, device.CodeInterrupted)
}

// A device whose disk has failed forgets what it has accepted when it is started again.
func TestADeviceThatHasForgottenIsAskedAgain(t *testing.T) {
	t.Parallel()
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
			address := listen(t, "127.0.0.1:0").Addr().String()
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
	t.Parallel()
	address := listen(t, "127.0.0.1:0").Addr().String()
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
	id := lab.nextID()
	lab.publish("operation", `{"id": "`+id+`", "operation": "hotel", "state": "queued", "attempt": 1, "durable": false}`, false)
	lab.next()
	lab.say(id, device.Queued)
	lab.say(id, device.Completed)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
