package device_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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

// What is allowed, by what prevents the rest.
var (
	everything = device.Names
	noneQueued = without(func(n device.Name) bool { return n.Queues() })
	noMoves    = without(device.Name.Moves)
	notMidway  = without(func(n device.Name) bool {
		return n == device.SpeedOperation || n == device.ResetOperation || n == device.RefreshOperation
	})
	noMotor = []device.Name{device.StopOperation, device.ResetOperation, device.ConnectionOperation, device.CancelOperation}
)

func without(what func(device.Name) bool) []device.Name {
	return slices.DeleteFunc(slices.Clone(device.Names), what)
}

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

func released(r *rig) { r.submit(connection("off", "OFF")) }
func retrying(r *rig) {
	moving(r)
	r.move(1).Fail(device.Errorf(device.CodeTimeout, "too slow"))
	r.settle()
}
func reading(change func(*device.Reading)) func(*rig) {
	return func(r *rig) { r.motor.SetReading(change) }
}

var situations = []situation{
	{"ready", func(*rig) {}, device.StatusReady, everything, ""},
	{"never contacted", never, device.StatusUnknown, noMotor, device.CodeMotorDisconnected},
	{"connecting again", func(r *rig) {
		r.motor.Set(func(s *device.MotorStatus) { s.Connection, s.Problem = device.Connecting, "" })
	}, device.StatusRequiresInit, noMotor, device.CodeMotorDisconnected},
	{"disconnected", lost, device.StatusRequiresInit, noMotor, device.CodeMotorDisconnected},
	{"moving", moving, device.StatusBusy, everything, ""},
	{"queue almost full", func(r *rig) { r.submit(home("runs"), home("1"), home("2")) }, device.StatusBusy, everything, ""},
	{"queue full", full, device.StatusBusy, noneQueued, device.CodeQueueFull},
	{"latched", latched, device.StatusEStop, noMoves, device.CodeEmergencyStopped},
	{"latched while moving", func(r *rig) { r.motor.HoldHalts(true); full(r); latched(r) },
		device.StatusEStop, noMoves, device.CodeEmergencyStopped},
	{"latched and disconnected", func(r *rig) { latched(r); lost(r) },
		device.StatusEStop, noMotor, device.CodeEmergencyStopped},
	{"latched and fault", func(r *rig) { latched(r); faulty(r) },
		device.StatusEStop, noMoves, device.CodeEmergencyStopped},
	{"latched and released", func(r *rig) { latched(r); released(r) },
		device.StatusEStop, noMotor, device.CodeEmergencyStopped},
	{"latched while retrying", func(r *rig) { retrying(r); latched(r) },
		device.StatusEStop, noMoves, device.CodeEmergencyStopped},
	{"stop not confirmed", func(r *rig) { r.motor.HoldStops(true); latched(r) },
		device.StatusEStop, noMoves, device.CodeEmergencyStopped},
	{"reset under way", func(r *rig) { latched(r); r.motor.HoldResets(true); r.submit(reset("resets")) },
		device.StatusEStop, noMoves, device.CodeEmergencyStopped},
	{"reset", func(r *rig) { latched(r); r.submit(reset("resets")) }, device.StatusReady, everything, ""},
	{"fault", faulty, device.StatusError, noMoves, device.CodeMotorFault},
	{"fault and disconnected", func(r *rig) { faulty(r); lost(r) },
		device.StatusError, noMotor, device.CodeMotorDisconnected},
	{"fault and released", func(r *rig) { faulty(r); released(r) },
		device.StatusError, noMotor, device.CodeMotorDisconnected},
	{"torque off", func(r *rig) { r.motor.Set(func(s *device.MotorStatus) { s.Torque = false }) },
		device.StatusError, noMoves, device.CodeMotorFault},
	{"rebooted without its settings", func(r *rig) {
		no := false
		r.submit(command("reboots", device.RebootOperation, device.Parameters{Reapply: &no}))
	}, device.StatusError, noMoves, device.CodeMotorFault},
	{"rebooting", func(r *rig) { r.motor.Hold(devicetest.Reboot, true); r.submit(reboot("reboots")) },
		device.StatusBusy, notMidway, device.CodeMotorDisconnected},
	{"released", released, device.StatusRequiresInit, noMotor, device.CodeMotorDisconnected},
	{"released while moving", func(r *rig) { r.motor.HoldHalts(true); full(r); released(r) },
		device.StatusRequiresInit, noMotor, device.CodeMotorDisconnected},
	{"release not confirmed", func(r *rig) { r.motor.Hold(devicetest.Release, true); released(r) },
		device.StatusRequiresInit, noMotor, device.CodeMotorDisconnected},
	{"released and lost", func(r *rig) { released(r); lost(r) },
		device.StatusRequiresInit, noMotor, device.CodeMotorDisconnected},
	{"connecting by command", func(r *rig) { released(r); lost(r); r.submit(connection("on", "ON")) },
		device.StatusRequiresInit, noMotor, device.CodeMotorDisconnected},
	{"connected by command", func(r *rig) { released(r); r.submit(connection("on", "ON")) },
		device.StatusReady, everything, ""},
	{"retrying", retrying, device.StatusBusy, everything, ""},
	{"retrying with a full queue", func(r *rig) { retrying(r); r.submit(home("1"), home("2"), home("3")) },
		device.StatusBusy, noneQueued, device.CodeQueueFull},
	{"retrying without a motor", func(r *rig) { retrying(r); lost(r) },
		device.StatusRequiresInit, noMotor, device.CodeMotorDisconnected},
	{"retrying with a fault", func(r *rig) { retrying(r); faulty(r) },
		device.StatusError, noMoves, device.CodeMotorFault},
	{"warned", warned, device.StatusDegraded, everything, ""},
	{"too hot", reading(func(m *device.Reading) { m.Temperature = 71 }), device.StatusDegraded, everything, ""},
	{"too much current", reading(func(m *device.Reading) { m.Current = new(-2000.5) }), device.StatusDegraded, everything, ""},
	{"too little voltage", reading(func(m *device.Reading) { m.Voltage = 9.9 }), device.StatusDegraded, everything, ""},
	{"too much voltage", reading(func(m *device.Reading) { m.Voltage = 14.1 }), device.StatusDegraded, everything, ""},
	{"at its limits", reading(func(m *device.Reading) { m.Temperature, m.Current, m.Voltage = 70, new(2000.0), 14 }),
		device.StatusReady, everything, ""},
	{"at its other limits", reading(func(m *device.Reading) { m.Current, m.Voltage = new(-2000.0), 10 }),
		device.StatusReady, everything, ""},
	{"warned while moving", func(r *rig) { moving(r); warned(r) }, device.StatusDegraded, everything, ""},
	{"warned with a full queue", func(r *rig) { full(r); warned(r) }, device.StatusDegraded, noneQueued, device.CodeQueueFull},
	{"warned and disconnected", func(r *rig) { warned(r); lost(r) },
		device.StatusRequiresInit, noMotor, device.CodeMotorDisconnected},
	{"shutting down", func(r *rig) { r.motor.HoldHalts(true); moving(r); r.cancel() },
		device.StatusBusy, []device.Name{device.StopOperation}, device.CodeInterrupted},
}

// because is why an operation that is not allowed in the situation is refused: only moves are refused
// for what only moves must not do.
func (s situation) because(name device.Name) device.Code {
	if !name.Moves() && (s.refusal == device.CodeEmergencyStopped || s.refusal == device.CodeMotorFault) {
		return device.CodeMotorDisconnected
	}
	return s.refusal
}

// What a client may send is what the snapshot says, in every situation and for every operation.
func TestAllowedActionsAreWhatIsAccepted(t *testing.T) {
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			t.Run("snapshot", func(t *testing.T) {
				inBubble(t, func(t *testing.T, r *rig) {
					s.arrange(r)
					r.status(s.status)
					if got := r.View().State.AllowedActions; !slices.Equal(got, s.allowed) {
						t.Errorf("allowed are %v, want %v", got, s.allowed)
					}
				})
			})
			for _, name := range device.Names {
				t.Run(string(name), func(t *testing.T) {
					inBubble(t, func(t *testing.T, r *rig) {
						s.arrange(r)
						r.settle()
						allowed := slices.Contains(r.View().State.AllowedActions, name)
						op := r.try(name)
						if accepted := op.State != device.Rejected; accepted != allowed {
							t.Fatalf("allowed is %v, accepted is %v: %+v", allowed, accepted, op)
						}
						if !allowed && op.Error.Code != s.because(name) {
							t.Errorf("the reason is %s, want %s", op.Error.Code, s.because(name))
						}
					})
				})
			}
		})
	}
}

// try sends a correct command with the id "try", lets everything come to its end, and returns its first
// event.
func (r *rig) try(name device.Name) device.Operation {
	r.t.Helper()
	if name == device.StopOperation {
		r.stop("try")
	} else {
		r.submit(map[device.Name]device.Command{
			device.HotelOperation:      hotel("try", "B"),
			device.AngleOperation:      angle("try", 90),
			device.HomeOperation:       home("try"),
			device.SpeedOperation:      speed("try", 60),
			device.ResetOperation:      reset("try"),
			device.ConnectionOperation: connection("try", "ON"),
			device.RebootOperation:     reboot("try"),
			device.RefreshOperation:    refresh("try"),
			device.CancelOperation:     cancel("try", "all"),
		}[name])
	}
	for range 2 { // some wait for others
		for _, m := range r.motor.Moves() {
			m.Arrive()
		}
		for _, p := range r.motor.Presses() {
			p.Answer(nil)
		}
		for _, c := range r.motor.Resets() {
			c.Answer(nil)
		}
		for _, c := range r.motor.Calls(devicetest.Release) {
			c.Answer(nil)
		}
		r.settle()
	}
	time.Sleep(immediateTimeout)
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
		{device.StatusRequiresInit, func(r *rig) {
			r.motor.Set(func(s *device.MotorStatus) { s.Connection = device.Released })
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
		r.motor.SetReading(func(m *device.Reading) { m.Temperature = 71 })
		r.status(device.StatusDegraded)
		if got, want := r.View().State.Message, "the disk is full; the stop is not connected; Temperature 71 °C is above 70 °C"; got != want {
			t.Errorf("the message is %q, want %q", got, want)
		}
		r.Warn("stop", "")
		r.Warn("disk", "")
		r.status(device.StatusDegraded)
		if got, want := r.View().State.Message, "Temperature 71 °C is above 70 °C"; got != want {
			t.Errorf("the message is %q, want %q", got, want)
		}
		r.motor.SetReading(func(m *device.Reading) { m.Temperature = 70 })
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
			motor.SetReading(func(m *device.Reading) { m.Angle = device.Degrees(i) })
			r.settle()
			s := r.View().State
			for _, name := range []device.Name{device.HotelOperation, device.AngleOperation, device.HomeOperation} {
				if slices.Contains(s.AllowedActions, name) != (s.Connection == device.Connected) {
					t.Fatalf("the motor is %s, and allowed are %v", s.Connection, s.AllowedActions)
				}
			}
		}
	})
}
