package device_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// A situation is a state of the device, with what it shows and what it accepts.
type situation struct {
	name    string
	arrange func(r *rig)
	status  device.Status
	allowed []device.Name
	refusal device.Code // of a move that is not allowed
}

var (
	everything = device.Names
	noMoves    = []device.Name{device.StopOperation, device.ResetOperation}
)

func lost(r *rig)   { r.motor.Lose("cable out") }
func moving(r *rig) { r.submit(home("runs")) }
func full(r *rig) {
	moving(r)
	for i := range queueSize {
		r.submit(home(fmt.Sprint("waits-", i)))
	}
}
func latched(r *rig) { r.stop("stopped") }
func never(r *rig) {
	r.motor.Set(func(s *device.MotorStatus) { *s = device.MotorStatus{Connection: device.Connecting} })
}
func warned(r *rig) { r.Warn("disk", "the disk is full") }
func faulty(r *rig) { r.motor.Fault("overload") }

var situations = []situation{
	{"ready", func(*rig) {}, device.StatusReady, everything, ""},
	{"never contacted", never, device.StatusUnknown, noMoves, device.CodeMotorDisconnected},
	{"connecting again", func(r *rig) {
		r.motor.Set(func(s *device.MotorStatus) { s.Connection, s.Problem = device.Connecting, "" })
	}, device.StatusRequiresInit, noMoves, device.CodeMotorDisconnected},
	{"disconnected", lost, device.StatusRequiresInit, noMoves, device.CodeMotorDisconnected},
	{"moving", moving, device.StatusBusy, everything, ""},
	{"queue almost full", func(r *rig) { r.submit(home("runs"), home("1"), home("2")) }, device.StatusBusy, everything, ""},
	{"queue full", full, device.StatusBusy, noMoves, device.CodeQueueFull},
	{"latched", latched, device.StatusEStop, noMoves, device.CodeEmergencyStopped},
	{"latched while moving", func(r *rig) { r.motor.HoldHalts(true); full(r); latched(r) },
		device.StatusEStop, noMoves, device.CodeEmergencyStopped},
	{"latched and disconnected", func(r *rig) { latched(r); lost(r) },
		device.StatusEStop, noMoves, device.CodeEmergencyStopped},
	{"latched and fault", func(r *rig) { latched(r); faulty(r) },
		device.StatusEStop, noMoves, device.CodeEmergencyStopped},
	{"stop not confirmed", func(r *rig) { r.motor.HoldStops(true); latched(r) },
		device.StatusEStop, noMoves, device.CodeEmergencyStopped},
	{"reset under way", func(r *rig) { latched(r); r.motor.HoldResets(true); r.submit(reset("resets")) },
		device.StatusEStop, noMoves, device.CodeEmergencyStopped},
	{"reset", func(r *rig) { latched(r); r.submit(reset("resets")) }, device.StatusReady, everything, ""},
	{"fault", faulty, device.StatusError, noMoves, device.CodeMotorFault},
	{"fault and disconnected", func(r *rig) { faulty(r); lost(r) },
		device.StatusError, noMoves, device.CodeMotorDisconnected},
	{"warned", warned, device.StatusDegraded, everything, ""},
	{"warned by the motor", func(r *rig) {
		r.motor.Set(func(s *device.MotorStatus) { s.Warnings = []string{"71 °C"} })
	}, device.StatusDegraded, everything, ""},
	{"warned while moving", func(r *rig) { moving(r); warned(r) }, device.StatusDegraded, everything, ""},
	{"warned with a full queue", func(r *rig) { full(r); warned(r) }, device.StatusDegraded, noMoves, device.CodeQueueFull},
	{"warned and disconnected", func(r *rig) { warned(r); lost(r) },
		device.StatusRequiresInit, noMoves, device.CodeMotorDisconnected},
	{"shutting down", func(r *rig) { r.motor.HoldHalts(true); moving(r); r.cancel() },
		device.StatusBusy, []device.Name{device.StopOperation}, device.CodeInterrupted},
}

// What a client may send is what the snapshot says, in every situation and for every operation.
func TestAllowedActionsAreWhatIsAccepted(t *testing.T) {
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			t.Run("snapshot", func(t *testing.T) {
				inBubble(t, func(t *testing.T, r *rig) {
					s.arrange(r)
					r.status(s.status)
					if got := r.Snapshot().AllowedActions; !slices.Equal(got, s.allowed) {
						t.Errorf("allowed are %v, want %v", got, s.allowed)
					}
				})
			})
			for _, name := range device.Names {
				t.Run(string(name), func(t *testing.T) {
					inBubble(t, func(t *testing.T, r *rig) {
						s.arrange(r)
						r.settle()
						allowed := slices.Contains(r.Snapshot().AllowedActions, name)
						op := r.try(name)
						if accepted := op.State != device.Rejected; accepted != allowed {
							t.Fatalf("allowed is %v, accepted is %v: %+v", allowed, accepted, op)
						}
						if !allowed && op.Error.Code != s.refusal {
							t.Errorf("the reason is %s, want %s", op.Error.Code, s.refusal)
						}
					})
				})
			}
		})
	}
}

// try sends a correct command with the id "try", and returns its first event.
func (r *rig) try(name device.Name) device.Operation {
	r.t.Helper()
	switch name {
	case device.HotelOperation:
		r.submit(hotel("try", "B"))
	case device.AngleOperation:
		r.submit(angle("try", 90))
	case device.StopOperation:
		r.stop("try")
		for _, p := range r.motor.Presses() {
			p.Answer(nil)
		}
	case device.ResetOperation:
		r.submit(reset("try"))
		for _, m := range r.motor.Moves() { // a reset waits for what the stop has cancelled
			m.Arrive()
		}
		r.settle()
		for _, c := range r.motor.Resets() {
			c.Answer(nil)
		}
	default:
		r.submit(device.Command{ID: "try", Name: name, Source: "test"})
	}
	r.settle()
	for _, op := range r.events {
		if op.ID == "try" {
			return op
		}
	}
	r.t.Fatalf("%s has no answer", name)
	return device.Operation{}
}

func TestOfSeveralStatusesTheFirstIsShown(t *testing.T) {
	order := []struct {
		status  device.Status
		arrange func(r *rig)
	}{
		{device.StatusEStop, latched},
		{device.StatusError, func(r *rig) {
			r.motor.Set(func(s *device.MotorStatus) { s.HardwareError = []string{"overload"} })
		}},
		{device.StatusUnknown, func(r *rig) { r.motor.Set(func(s *device.MotorStatus) { s.Contacted = false }) }},
		{device.StatusRequiresInit, func(r *rig) {
			r.motor.Set(func(s *device.MotorStatus) { s.Connection = device.Disconnected })
		}},
		{device.StatusDegraded, warned},
		{device.StatusBusy, moving},
	}
	for set := range 1 << len(order) {
		want, names := device.StatusReady, []string{}
		for i, c := range slices.Backward(order) {
			if set&(1<<i) != 0 {
				want, names = c.status, append(names, string(c.status))
			}
		}
		t.Run(strings.Join(names, "+"), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.motor.HoldHalts(true) // what runs goes on under the others
				for i, c := range slices.Backward(order) {
					if set&(1<<i) != 0 {
						c.arrange(r)
					}
				}
				r.status(want)
			})
		})
	}
}

func TestWarningsAreShownUntilTheyAreTakenBack(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Warn("stop", "the stop is not connected")
		r.Warn("disk", "the disk is full")
		r.motor.Set(func(s *device.MotorStatus) { s.Warnings = []string{"71 °C"} })
		r.status(device.StatusDegraded)
		if got, want := r.Snapshot().Message, "the disk is full; the stop is not connected; 71 °C"; got != want {
			t.Errorf("the message is %q, want %q", got, want)
		}
		r.Warn("stop", "")
		r.Warn("disk", "")
		r.status(device.StatusDegraded)
		if got, want := r.Snapshot().Message, "71 °C"; got != want {
			t.Errorf("the message is %q, want %q", got, want)
		}
		r.motor.Set(func(s *device.MotorStatus) { s.Warnings = nil })
		r.status(device.StatusReady)
	})
}

// A flicker is a motor that is lost and found between one look and the next.
type flicker struct {
	*devicetest.Motor
	looks atomic.Uint64
}

func (f *flicker) Status() device.MotorStatus {
	s := f.Motor.Status()
	if f.looks.Add(1)%2 == 0 {
		s.Connection, s.Problem = device.Disconnected, "cable out"
	}
	return s
}

func TestASnapshotIsOfOneMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		motor := &flicker{Motor: devicetest.New()}
		r := wrapRig(t, motor, motor.Motor, new(device.Memory))
		r.start()
		for i := range 10 {
			motor.Set(func(s *device.MotorStatus) { s.Angle = device.Degrees(i) })
			r.settle()
			s := r.Snapshot()
			for _, name := range []device.Name{device.HotelOperation, device.AngleOperation, device.HomeOperation} {
				if slices.Contains(s.AllowedActions, name) != (s.Connection == device.Connected) {
					t.Fatalf("the motor is %s, and allowed are %v", s.Connection, s.AllowedActions)
				}
			}
		}
	})
}
