package scheduler

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/payload"
)

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// CheckName refuses what is no name of a schedule.
func CheckName(name string) error {
	if !namePattern.MatchString(name) {
		return payload.Invalid("the schedule's name is %q; it must be up to 64 small letters, digits, - and _, and begin with a letter or a digit",
			payload.Shorten(name))
	}
	return nil
}

// Command makes the command that sets the schedule of that name, or deletes it: {"delete": true}. After an
// error it holds what could be read for the answer.
func (s *Scheduler) Command(name string, text []byte) (device.Command, error) {
	shown := payload.Shorten(name)
	c := device.Command{Name: device.ScheduleOperation, Parameters: device.Parameters{Name: &shown}}
	if len(text) == 0 || text[0] != '{' {
		return c, payload.Invalid(`send a JSON object, as in {"cron": "0 8 * * 1-5", "operation": "home"}, not %s`, payload.Quote(text))
	}
	fields, err := payload.Object(text)
	if raw, ok := fields["id"]; ok {
		delete(fields, "id")
		var idErr error
		if c.ID, idErr = payload.ID(raw); err == nil {
			err = idErr
		}
	}
	if err == nil {
		err = CheckName(name)
	}
	if err != nil {
		return c, err
	}
	if raw, ok := fields["delete"]; ok {
		if !bytes.Equal(raw, []byte("true")) || len(fields) > 1 {
			return c, payload.Invalid(`to delete a schedule, send {"delete": true}; to set one, send it without delete`)
		}
		c.Parameters.Schedule = []byte(`{"delete":true}`)
		c.Work = func() (func(context.Context) error, *device.Error) { return s.delete(name) }
		return c, nil
	}
	schedule, err := decode(fields)
	if err != nil {
		return c, err
	}
	c.Parameters.Schedule = schedule.content()
	c.Work = func() (func(context.Context) error, *device.Error) { return s.set(name, schedule) }
	return c, nil
}

// set has a schedule set, unless the device would not carry it out. What says nothing new changes nothing.
func (s *Scheduler) set(name string, schedule Schedule) (func(context.Context) error, *device.Error) {
	return s.request(request{name: name, schedule: &schedule}, func(*Schedule) *device.Error {
		if schedule.At != nil && schedule.Enabled {
			if err := s.isToCome(*schedule.At); err != nil {
				return err
			}
		}
		err := s.device.Validate(device.Command{Name: schedule.Operation, Parameters: schedule.Parameters})
		var refusal *device.Error
		if errors.As(err, &refusal) {
			return refusal
		}
		return nil
	})
}

// isToCome refuses a time that would never come.
func (s *Scheduler) isToCome(at time.Time) *device.Error {
	now, known := s.clock.now(), s.clock.latest()
	switch {
	case at.After(latest(now, known)):
		return nil
	case at.After(now) && s.clock.behind():
		return device.Errorf(device.CodeClockUntrusted, "at is %s, and it has been %s already, though the device's clock says %s; "+
			"set the clock, or if it is right now and was ahead then, delete all schedules first and then set them again",
			at.Format(time.RFC3339), known.Format(time.RFC3339), now.Format(time.RFC3339))
	}
	return device.Errorf(device.CodeInvalidPayload, "at is %s, which has passed: the device's clock says %s",
		at.Format(time.RFC3339), now.Format(time.RFC3339))
}

func (s *Scheduler) delete(name string) (func(context.Context) error, *device.Error) {
	return s.request(request{name: name}, func(old *Schedule) *device.Error {
		if old == nil {
			return device.Errorf(device.CodeInvalidPayload, "there is no schedule %q", name)
		}
		return nil
	})
}

func (s *Scheduler) request(r request, check func(old *Schedule) *device.Error) (func(context.Context) error, *device.Error) {
	saved, refusal := s.inbox.put(r, check)
	if saved == nil || refusal != nil {
		return func(context.Context) error { return nil }, refusal
	}
	return func(ctx context.Context) error {
		timeout := time.NewTimer(saveTimeout)
		defer timeout.Stop()
		select {
		case <-saved:
		case <-timeout.C: // it counts all the same, and the saver has warned
		case <-s.ended:
			select {
			case <-saved:
			default:
				return errShutDown
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		return nil
	}, nil
}
