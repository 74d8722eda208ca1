package device

import "context"

// ScheduleOperation sets or deletes a schedule, which makes commands at its times. It is not one of
// [Names]: it has no input of its own name, and it does nothing to the motor.
const ScheduleOperation Name = "schedule"

// A Work is what an operation does that is not the core's own. Run calls it when everything else about
// the command is in order, in the order of the commands; it must not wait. What it returns waits for the
// end; or it refuses.
type Work func() (wait func(context.Context) error, refusal *Error)

// maxSchedules is how many schedules may be on their way to the store at once.
const maxSchedules = 100

// Validate tells why the device would never accept the command, or nil. It says nothing about whether it
// can be carried out now. Safe for concurrent use.
func (d *Device) Validate(c Command) error {
	if err := d.validate(c); err != nil {
		return err
	}
	return nil
}

// Observe has f called with every operation that the device remembers, and then with every change of
// one, also with every rejection. It is called before Run, once. f is called by many goroutines, and must
// not wait.
func (d *Device) Observe(f func(Operation)) {
	for _, e := range d.accepted.byID {
		f(e.operation)
	}
	d.observe = f
}
