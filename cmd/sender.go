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
	var (
		operation device.Operation // as far as it is accepted
		snapshot  device.Snapshot
		lost      bool
		presence  = mqtt.Online    // "" when the broker has not told yet
		away      <-chan time.Time // when there is no more hope for a device that has accepted it
		noted     bool             // that it is offline
	)
	for {
		select {
		case e := <-events:
			if e.err != nil {
				return explain(command, e.err)
			}
			operation = e.Operation
			if ended, err := s.print(e.Event); ended || err != nil || s.noWait {
				return err
			}
		case m := <-messages:
			switch m.Topic {
			case client.State:
				if err := json.Unmarshal(m.Payload, &snapshot); err != nil {
					return fmt.Errorf("the state of device %s: %w", r.device, err)
				}
			case client.Availability:
				presence = string(m.Payload)
			case client.Broker:
				var connection client.Connection
				if err := json.Unmarshal(m.Payload, &connection); err != nil {
					return err
				}
				switch {
				case !connection.Connected && !lost:
					s.note("no connection to the broker, waiting for it: %s", connection.Error)
				case connection.Connected && lost:
					s.note("connected to the broker again")
				}
				if connection.Connected && lost {
					presence = ""
				}
				lost = !connection.Connected
			}
		case <-away:
			return fmt.Errorf("%w; it may go on with what it has accepted when it is back%s",
				r.problem(client.ErrOffline), advice(operation, "; to learn what becomes of it, send it again then with --param id="+operation.ID))
		case <-ctx.Done():
			if operation.ID == "" {
				return errors.New("ended before the device has answered: it may have the command all the same")
			}
			return fmt.Errorf("waiting no longer; the operation goes on%s",
				advice(operation, fmt.Sprintf(", and this cancels it:\n  plate-resort send cancel %s%v", operation.ID, s.flags)))
		}
		switch gone := operation.ID != "" && !lost && presence != mqtt.Online; {
		case !gone: // before it has accepted it, the client knows what to do
			away = nil
		case away == nil:
			away = time.After(awayPatience)
		}
		switch {
		case away != nil && presence == mqtt.Offline && !noted:
			noted = true
			s.note("device %s is offline; waiting %v for it", r.device, awayPatience)
		case presence == mqtt.Online && noted:
			noted = false
			s.note("device %s is back", r.device)
		}
		s.screen.show(progress(operation, snapshot))
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
