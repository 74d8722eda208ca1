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

// returnPatience is how long a device that has accepted an operation may be offline, as when its process is started
// again.
const returnPatience = 10 * time.Second

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

// send sends the command and follows its operation to its end, or to its first event if it shall not wait. The
// error says that it is not completed.
func (s *sender) send(ctx context.Context, r *remote, command client.Command) error {
	submission, err := r.Submit(ctx, r.device, command)
	if refused := new(client.OperationError); errors.As(err, &refused) {
		_, err := s.print(device.Event{Operation: refused.Operation, Durable: true})
		return err
	}
	isStop := command.Input == string(device.StopOperation)
	switch {
	case err == nil:
		return s.follow(ctx, r, submission)
	case ctx.Err() != nil:
		return errors.New("ended before the device has answered: it may have the command all the same")
	case isStop && errors.Is(err, client.ErrOffline):
		return fmt.Errorf("%w; the broker keeps the stop for it, and it is obeyed when the device is back", err)
	case isStop && errors.Is(err, client.ErrUnknown):
		return fmt.Errorf("%w; nothing says that anybody has the stop", advise(err))
	}
	return advise(err)
}

// follow prints the events of an operation that was accepted. Between them it shows where the carousel is.
func (s *sender) follow(ctx context.Context, r *remote, submission *client.Submission) error {
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.screen.clear()
	events := make(chan event)
	go receive(following, submission, events)
	messages := r.Watch(following)
	var (
		operation device.Operation
		snapshot  device.Snapshot
		lost      bool
		away      <-chan time.Time
	)
	for {
		select {
		case e := <-events:
			if e.err != nil {
				return e.err
			}
			operation = e.Operation
			if ended, err := s.print(e.Event); ended || err != nil || s.noWait {
				return err
			}
		case m := <-messages:
			switch m.Topic {
			case client.State:
				if err := read(m, &snapshot); err != nil {
					return fmt.Errorf("the state of device %s: %w", r.device, err)
				}
			case client.Availability:
				online := string(m.Payload) == mqtt.Online
				switch {
				case !online && away == nil:
					away = time.After(returnPatience)
					s.note("device %s is offline; waiting %v for it", r.device, returnPatience)
				case online && away != nil:
					away = nil
					s.note("device %s is back", r.device)
				}
			case client.Broker:
				var connection client.Connection
				if err := read(m, &connection); err != nil {
					return err
				}
				switch {
				case !connection.Connected && !lost:
					s.note("no connection to the broker, waiting for it: %s", connection.Error)
				case connection.Connected && lost:
					s.note("connected to the broker again")
				}
				lost = !connection.Connected
			}
		case <-away:
			return fmt.Errorf("%w; what it has accepted may go on when it is back: send it again with --param id=%s then, "+
				"to learn what becomes of it", r.problem(client.ErrOffline), submission.ID)
		case <-ctx.Done():
			return fmt.Errorf("waiting no longer; the operation goes on, and this cancels it:\n  plate-resort send cancel %s%v",
				submission.ID, s.flags)
		}
		s.screen.show(progress(operation, snapshot))
	}
}

// An event is a change of an operation's state, or why there will be no more.
type event struct {
	device.Event
	err error
}

// receive passes the events of a submission on, until ctx ends.
func receive(ctx context.Context, submission *client.Submission, events chan<- event) {
	for e, err := range submission.Events(ctx) {
		if ctx.Err() != nil {
			return
		}
		select {
		case events <- event{e, err}:
		case <-ctx.Done():
			return
		}
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
