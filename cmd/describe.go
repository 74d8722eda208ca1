package cmd

import (
	"fmt"

	"github.com/plate-resort/plate-resort/device"
)

// describe says in short what an operation is to do.
func describe(name device.Name, p device.Parameters) string {
	text := string(name)
	switch {
	case p.Hotel != nil:
		text += " " + *p.Hotel
	case p.Angle != nil:
		text += fmt.Sprintf(" %v", float64(*p.Angle))
	case p.Speed != nil:
		text += fmt.Sprintf(" %d", *p.Speed)
	case p.State != nil:
		text += " " + *p.State
	case p.Target != nil:
		text += " " + *p.Target
	case p.Name != nil:
		text += " " + *p.Name
	}
	return printable(text)
}

// describeEvent says what has become of an operation: its state, and what there is to say about it.
func (s *screen) describeEvent(e device.Event) string {
	op, c := e.Operation, plain
	switch op.State {
	case device.Completed:
		c = green
	case device.Retrying, device.Cancelled:
		c = yellow
	case device.Failed, device.Rejected, device.Expired, device.Interrupted:
		c = red
	}
	text := s.in(c, printable(string(op.State)))
	switch {
	case op.State == device.Queued && e.Durable:
		return text + " as " + printable(op.ID)
	case op.State == device.Queued:
		return text + " as " + printable(op.ID) + ", but not on the device's disk: should it end, that is forgotten"
	case op.Error != nil:
		return text + ": " + printable(op.Error.Message)
	case op.Result != nil:
		return text + describeResult(*op.Result)
	}
	return text
}

func describeResult(r device.Result) string {
	text := fmt.Sprintf(" in %v s", r.DurationSeconds)
	if r.Angle != nil {
		text += fmt.Sprintf(": at %v", *r.Angle)
	}
	if r.Deviation != nil {
		text += fmt.Sprintf(", %+.2f° from the goal", float64(*r.Deviation))
	}
	if r.Stage != "" {
		text += fmt.Sprintf(", in the %s stage", printable(string(r.Stage)))
	}
	switch {
	case r.Pulses == 1:
		text += " after 1 pulse"
	case r.Pulses > 1:
		text += fmt.Sprintf(" after %d pulses", r.Pulses)
	}
	return text
}
