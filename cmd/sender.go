package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt"
)

// awayPatience is how long a device that has accepted an operation may be offline, as when its process is started
// again.
const awayPatience = 10 * time.Second

// A sender sends commands to a device and shows what becomes of them.
type sender struct {
	flags  *remoteFlags
	screen *screen
	notes  io.Writer // what is said besides the events
	asJSON bool
	noWait bool
}

func newSender(c *cobra.Command, flags *remoteFlags, asJSON bool) *sender {
	s := &sender{flags: flags, screen: newScreen(c.OutOrStdout()), notes: c.ErrOrStderr(), asJSON: asJSON}
	if asJSON {
		s.screen = &screen{out: c.OutOrStdout()}
	}
	return s
}

// send sends the command and follows its operation to its end, or to its first event if it shall not wait. Meanwhile it
// shows where the carousel is. The error says that the operation is not completed.
func (s *sender) send(ctx context.Context, r *remote, command client.Command) error {
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.screen.clear()
	messages := r.Watch(following)
	events := make(chan event)
	go receive(following, r, command, events)
	f := pursuit{sender: s, device: r.device, presence: mqtt.Online}
	for {
		select {
		case e := <-events:
			if e.err != nil {
				return explain(command, e.err)
			}
			f.operation = e.Operation
			if ended, err := s.print(e.Event); ended || err != nil || s.noWait {
				return err
			}
		case m := <-messages:
			if err := f.hear(m); err != nil {
				return err
			}
		case <-f.away:
			return fmt.Errorf("%w; it may go on with what it has accepted when it is back%s", r.problem(client.ErrOffline),
				advice(f.operation, "; to learn what becomes of it, send it again then with --param id="+f.operation.ID))
		case <-ctx.Done():
			if f.operation.ID == "" {
				return errors.New("ended before the device has answered: it may have the command all the same")
			}
			return fmt.Errorf("waiting no longer; the operation goes on%s",
				advice(f.operation, fmt.Sprintf(", and this cancels it:\n  plate-resort send cancel %s%v", f.operation.ID, s.flags)))
		}
		f.look()
		s.screen.show(progress(f.operation, f.snapshot))
	}
}

// A pursuit is what is known while an operation is followed.
type pursuit struct {
	*sender
	device    string
	operation device.Operation // as far as it is accepted
	snapshot  device.Snapshot
	lost      bool             // there is no connection to the broker
	presence  string           // the device's availability; "" when the broker has not told yet
	away      <-chan time.Time // when there is no more hope for a device that has accepted the operation
	noted     bool             // that it is offline
}

// hear takes note of a message.
func (f *pursuit) hear(m client.Message) error {
	switch m.Topic {
	case client.State:
		if err := json.Unmarshal(m.Payload, &f.snapshot); err != nil {
			return fmt.Errorf("the state of device %s: %w", f.device, err)
		}
	case client.Availability:
		f.presence = string(m.Payload)
	case client.Broker:
		var connection client.Connection
		if err := json.Unmarshal(m.Payload, &connection); err != nil {
			return err
		}
		switch {
		case !connection.Connected && !f.lost:
			f.note("no connection to the broker, waiting for it: %s", connection.Error)
		case connection.Connected && f.lost:
			f.note("connected to the broker again")
			f.presence = ""
		}
		f.lost = !connection.Connected
	}
	return nil
}

// look looks whether the device is away. Before it has accepted the operation, the client does that.
func (f *pursuit) look() {
	switch gone := f.operation.ID != "" && !f.lost && f.presence != mqtt.Online; {
	case !gone:
		f.away = nil
	case f.away == nil:
		f.away = time.After(awayPatience)
	}
	switch {
	case f.away != nil && f.presence == mqtt.Offline && !f.noted:
		f.noted = true
		f.note("device %s is offline; waiting %v for it", f.device, awayPatience)
	case f.presence == mqtt.Online && f.noted:
		f.noted = false
		f.note("device %s is back", f.device)
	}
}

// advice is what to do about an operation that waits its turn: others have ended before anybody can.
func advice(operation device.Operation, text string) string {
	if !operation.Name.Queues() {
		return ""
	}
	return text
}

// explain adds to why there is no answer what that means.
func explain(command client.Command, err error) error {
	isStop := command.Input == string(device.StopOperation)
	switch {
	case isStop && errors.Is(err, client.ErrOffline):
		return fmt.Errorf("%w; the broker keeps the stop for it, and it is obeyed when the device is back", err)
	case isStop && errors.Is(err, client.ErrUnknown):
		return fmt.Errorf("%w; nothing says that anybody has the stop", advise(err))
	}
	return advise(err)
}

// An event is a change of an operation's state, or why there will be no more.
type event struct {
	device.Event
	err error
}

// receive submits a command and passes on what becomes of it, until ctx ends.
func receive(ctx context.Context, r *remote, command client.Command, events chan<- event) {
	pass := func(e device.Event, err error) bool {
		select {
		case events <- event{e, err}:
			return ctx.Err() == nil
		case <-ctx.Done():
			return false
		}
	}
	submission, err := r.Submit(ctx, r.device, command)
	var refused *client.OperationError
	switch {
	case errors.As(err, &refused):
		pass(device.Event{Operation: refused.Operation, Durable: true}, nil)
	case err != nil:
		pass(device.Event{}, err)
	default:
		submission.Events(ctx)(pass)
	}
}

// note says something besides the events.
func (s *sender) note(format string, args ...any) {
	s.screen.clear()
	fmt.Fprintf(s.notes, format+"\n", args...)
}

// print prints an event. The error says that the operation has ended other than completed.
func (s *sender) print(e device.Event) (ended bool, err error) {
	op := e.Operation
	if s.asJSON {
		err = json.NewEncoder(s.screen.out).Encode(e)
	} else {
		err = s.screen.println(s.screen.describeEvent(e))
	}
	if err == nil && op.State.Ended() && op.State != device.Completed {
		err = fmt.Errorf("%s: %s", op.Name, op.State)
	}
	return op.State.Ended(), err
}

// progress shows where the carousel is while an operation waits or runs.
func progress(op device.Operation, s device.Snapshot) string {
	if op.State == "" || s.Angle == nil {
		return ""
	}
	text := fmt.Sprintf("%s  %v", op.State, *s.Angle)
	if s.TargetAngle != nil {
		text += fmt.Sprintf(" → %v", *s.TargetAngle)
	}
	if s.Operation != nil && s.Operation.ID == op.ID {
		return printable(text + "  " + describe(op.Name, op.Parameters))
	}
	return printable(text + "  " + s.Message)
}
