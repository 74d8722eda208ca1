package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/device"
)

func TestASubmissionIsFollowedToItsEnd(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	move := l.submit(hotel("B"))
	l.arrive(1)
	if end := completed(t, move); end.Result.Hotel != "B" || *end.Result.Angle != 109 {
		t.Errorf("the result is %+v", end.Result)
	}
	expectStates(t, move, device.Queued, device.Running, device.Completed)
	completed(t, l.submit(client.Command{Input: "speed", Fields: map[string]any{"speed": 20}}))
	completed(t, l.submit(client.Command{Input: "schedules/night", Fields: map[string]any{"every_seconds": 3600, "operation": "home"}}))
}

func TestWhatIsRefusedOrFailsIsATypedError(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	_, err := l.client.Submit(within(t), "lab", hotel("Z"))
	expectCode(t, err, device.Rejected, device.CodeInvalidPayload)
	if want := `hotel: rejected: hotel "Z" is not one of A, B, C, D`; err.Error() != want {
		t.Errorf("the error reads %q, want %q", err, want)
	}
	move := l.submit(hotel("B"))
	l.untilState(func(device.Snapshot) bool { return len(l.Motor.Moves()) == 1 })
	l.Motor.Moves()[0].Fail(device.Errorf(device.CodeStalled, "stuck"))
	_, err = move.Wait(within(t))
	expectCode(t, err, device.Failed, device.CodeStalled)
	move = l.submit(hotel("C"))
	l.submit(client.Command{Input: "cancel", Fields: map[string]any{"id": move.ID}})
	_, err = move.Wait(within(t))
	expectCode(t, err, device.Cancelled, device.CodeCancelled)
}

func TestTheSameIDIsTheSameOperation(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	command := hotel("B")
	command.ID = "mine"
	first := l.submit(command)
	l.arrive(1)
	completed(t, first)
	if again := completed(t, l.submit(command)); again.Result.Hotel != "B" || len(l.Motor.Moves()) != 1 {
		t.Errorf("again it was %+v, after %d moves", again, len(l.Motor.Moves()))
	}
	command.Fields = map[string]any{"hotel": "C"}
	_, err := l.client.Submit(within(t), "lab", command)
	expectCode(t, err, device.Rejected, device.CodeDuplicateID)
}

func TestADeviceThatIsAwayIsSaidToBe(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	if _, err := dial(t, l.address).Submit(within(t), "nobody", hotel("B")); !errors.Is(err, client.ErrUnknown) {
		t.Errorf("of a device that nobody knows it says %v", err)
	}
	l.Stop()
	l.until(client.Availability, "offline")
	_, err := l.client.Submit(within(t), "lab", hotel("B"))
	if !errors.Is(err, client.ErrOffline) || err.Error() != "device lab is offline" {
		t.Errorf("of a device that is away it says %v", err)
	}
	l.Start()
	l.until(client.Availability, "online")
	if l.submit(client.Command{Input: "refresh"}); len(l.Motor.Moves()) != 0 {
		t.Error("what was sent while the device was away moves it")
	}
}

func TestAStopIsSentThoughTheDeviceIsAway(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.Stop()
	l.until(client.Availability, "offline")
	for range 2 { // the broker acknowledges before it queues, but then one after the other
		if _, err := l.client.Submit(within(t), "lab", client.Command{Input: "stop"}); !errors.Is(err, client.ErrOffline) {
			t.Errorf("the stop ended with %v", err)
		}
	}
	l.Start()
	l.untilState(func(s device.Snapshot) bool { return s.EmergencyStop })
}

func TestACommandIsSentAgainUntilTheDeviceAnswers(t *testing.T) {
	t.Parallel()
	address := listen(t, "127.0.0.1:0").Addr().String()
	lab := newScript(t, address)
	c := dial(t, address, "lab")
	answered := make(chan error)
	go func() {
		command := hotel("B")
		command.ID = "again"
		s, err := c.Submit(within(t), "lab", command)
		if err == nil {
			_, err = s.Wait(within(t))
		}
		answered <- err
	}()
	first, second := lab.next(), lab.next()
	if string(first.Payload()) != `{"hotel":"B","id":"again"}` || string(second.Payload()) != string(first.Payload()) {
		t.Errorf("it was sent as %s and as %s", first.Payload(), second.Payload())
	}
	lab.reject("somebody else's", device.CodeInvalidPayload)
	lab.say("again", device.Queued)
	lab.reject("again", device.CodeInvalidPayload) // another command with this id
	for _, state := range []device.State{device.Running, device.Queued, device.Running, device.Completed} {
		lab.say("again", state)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestAReceiptIsEnough(t *testing.T) {
	t.Parallel()
	address := listen(t, "127.0.0.1:0").Addr().String()
	lab := newScript(t, address)
	c := dial(t, address, "lab")
	var all []*client.Submission
	for i := range 1001 { // one more than are remembered
		id := fmt.Sprint(i)
		beside(t, func() {
			lab.next()
			lab.say(id, device.Queued)
		})
		command := hotel("B")
		command.ID = id
		s, err := c.Submit(within(t), "lab", command)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	lab.say("1000", device.Completed)
	completed(t, all[1000])
	beside(t, func() { // the first was given up for the others, and the device is asked
		lab.next()
		lab.say("0", device.Completed)
	})
	completed(t, all[0])
}

func TestWhoStopsWaitingIsLetGo(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	move := l.submit(hotel("B"))
	l.untilMove(1)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if _, err := move.Wait(ctx); !errors.Is(err, enough) {
		t.Errorf("a wait that was cancelled ends with %v", err)
	}
	closed := make(chan error)
	go func() {
		_, err := move.Wait(within(t))
		closed <- err
	}()
	l.client.Close()
	if err := <-closed; !errors.Is(err, client.ErrClosed) {
		t.Errorf("when the client is closed, a wait ends with %v", err)
	}
	if _, err := l.client.Submit(within(t), "lab", hotel("B")); !errors.Is(err, client.ErrClosed) {
		t.Errorf("to a closed client, a submission ends with %v", err)
	}
	l.arrive(1)
}

func TestWhatCouldNotBeAnsweredIsNotSent(t *testing.T) {
	t.Parallel()
	address := listen(t, "127.0.0.1:0").Addr().String()
	script := newScript(t, address)
	c := dial(t, address, "lab")
	long := hotel("B")
	long.ID = strings.Repeat("x", 65)
	for _, test := range []struct {
		device  string
		command client.Command
		want    string
	}{
		{"lab", long, "1 to 64 printable characters"},
		{"lab", client.Command{Input: "cancel"}, `a cancel has the field id alone, a string: that of an operation, or "all"`},
		{"lab", client.Command{Input: "cancel", Fields: map[string]any{"id": 1}}, "a cancel has the field id alone"},
		{"lab", client.Command{Input: "cancel", Fields: map[string]any{"id": "x", "now": true}}, "a cancel has the field id alone"},
		{"+", client.Command{Input: "stop"}, `"+" is no id of a device`},
		{"lab", client.Command{Input: "schedules/+"}, `"schedules/+" is no input of a device`},
		{"lab", client.Command{Input: "hotel", Fields: map[string]any{"hotel": strings.Repeat("B", 16<<10)}}, "more than the 16384"},
		{"other", hotel("B"), "device other is none of this client's, which are [lab]"},
	} {
		if _, err := c.Submit(within(t), test.device, test.command); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %+v ends with %v, want %s", test.device, test.command, err, test.want)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := c.Submit(ended, "lab", hotel("B")); !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrUnanswered) {
		t.Errorf("with a context that has ended it ends with %v", err)
	}
	stop := client.Command{Input: "stop", ID: long.ID, Fields: map[string]any{"id": long.ID, "because": make(chan int)}}
	beside(t, func() { script.say(script.nextID(), device.Completed) })
	if s, err := c.Submit(within(t), "lab", stop); err != nil || s.ID == long.ID {
		t.Errorf("a stop with a bad id ended with %v", err)
	}
}

// A stop is sent though the broker does not confirm the subscription to the answers.
func TestAStopDoesNotWaitForASubscription(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	published := make(chan string, 10)
	beside(t, func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			packet, err := packets.ReadPacket(conn)
			if err != nil {
				return
			}
			switch p := packet.(type) {
			case *packets.ConnectPacket:
				_ = packets.NewControlPacket(packets.Connack).Write(conn)
			case *packets.PublishPacket:
				published <- p.TopicName
			}
		}
	})
	t.Cleanup(func() { listener.Close() })
	c := client.Start(config(listener.Addr().String()))
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := c.Submit(ctx, "lab", client.Command{Input: "stop"})
		ended <- err
	}()
	if topic := <-published; topic != "plate-resort/lab/stop/set" {
		t.Errorf("%s was published", topic)
	}
	cancel()
	if err := <-ended; !errors.Is(err, client.ErrUnanswered) || !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}
