package device_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// call returns the nth call of the method, from 1, and fails if there are not exactly n.
func (r *rig) call(method devicetest.Method, n int) *devicetest.Call {
	r.t.Helper()
	r.settle()
	calls := r.motor.Calls(method)
	if len(calls) != n {
		r.t.Fatalf("%s was called %d times, want %d", method, len(calls), n)
	}
	if n == 0 {
		return nil
	}
	return calls[n-1]
}

func TestASpeedIsSetWhileAMoveRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(home("move"))
		r.submit(speed("speed", 120))
		r.expect("move queued", "move running", "speed completed")
		if c := r.call(devicetest.SetSpeed, 1); c.Speed != 120 {
			t.Errorf("the speed was set to %d", c.Speed)
		}
		if s := r.View().State; s.Speed != 120 || s.Operation == nil || s.Operation.ID != "move" {
			t.Errorf("the state has speed %d and runs %+v", s.Speed, s.Operation)
		}
		if r.move(1).Ended() {
			t.Error("the move has ended")
		}
	})
}

func TestASpeedIsUpToTheMotorsLimit(t *testing.T) {
	for limit, cases := range map[int]map[int]string{
		445: {1: "", 445: "",
			0:   "speed is 0; it must be from 1 to 445 profile velocity units of 0.229 rpm",
			-1:  "speed is -1; it must be from 1 to 445 profile velocity units of 0.229 rpm",
			446: "speed is 446; it must be from 1 to 445 profile velocity units of 0.229 rpm"},
		100: {100: "", 101: "speed is 101; it must be from 1 to 100 profile velocity units of 0.229 rpm"},
		0:   {446: "", 32768: "speed is 32768; it must be from 1 to 32767 profile velocity units of 0.229 rpm"}, // unknown
	} {
		for value, want := range cases {
			t.Run(fmt.Sprintf("%d of %d", value, limit), func(t *testing.T) {
				inBubble(t, func(t *testing.T, r *rig) {
					r.motor.Set(func(s *device.MotorStatus) { s.SpeedLimit = limit })
					r.submit(speed("1", value))
					op := r.last("1")
					if want == "" {
						if op.State != device.Completed {
							t.Errorf("ended as %s", brief(op))
						}
						return
					}
					if got := brief(op); got != "1 rejected invalid_payload" {
						t.Fatal(got)
					}
					if got := op.Error.Message; got != want {
						t.Errorf("the message is %q, want %q", got, want)
					}
					r.call(devicetest.SetSpeed, 0)
				})
			})
		}
	}
}

// The last speed that was sent is the one that stays.
func TestSpeedsReachTheMotorInTheirOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		var commands []device.Command
		var want []int
		for i := range 8 { // as many as may be under way
			commands, want = append(commands, speed(fmt.Sprint(i), i+1)), append(want, i+1)
		}
		r.submit(commands...)
		var got []int
		for _, c := range r.motor.Calls(devicetest.SetSpeed) {
			got = append(got, c.Speed)
		}
		if !slices.Equal(got, want) {
			t.Errorf("the motor was told %v", got)
		}
	})
}

// A speed that hangs holds up the next one, for as long as both have.
func TestASpeedThatHangsTimesOut(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.Hold(devicetest.SetSpeed, true)
		r.submit(within(2, speed("1", 10)), speed("2", 20))
		r.motor.Hold(devicetest.SetSpeed, false)
		time.Sleep(2*time.Second - 1)
		r.expect()
		time.Sleep(time.Nanosecond)
		r.expect("1 failed timeout", "2 completed")
	})
}

func TestARefreshSaysWhatTheMotorIsLike(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.Hold(devicetest.Refresh, true)
		r.submit(refresh("1"))
		r.expect()
		r.motor.SetReading(func(m *device.Reading) {
			m.Angle, m.Temperature, m.Voltage, m.Velocity = 109.036, 71, 11.9, 0
			m.Current, m.Load = new(-134.5), new(2.5)
		})
		time.Sleep(250 * time.Millisecond)
		r.call(devicetest.Refresh, 1).Answer(nil)
		r.expect("1 completed")
		at := time.Date(2000, 1, 1, 0, 0, 0, 250e6, time.UTC) // in a bubble time begins in the year 2000
		want := &device.Result{
			Angle: new(device.Degrees(109.04)),
			Health: &device.Health{
				Status: "warning", Warnings: []string{"Temperature 71 °C is above 70 °C"}, HardwareError: []string{},
				Temperature: new(71), Voltage: new(11.9), Current: new(-134.5), Load: new(2.5),
				Angle: new(device.Degrees(109.04)), Velocity: new(0.0),
				Model: "XC330-T288", ModelNumber: 1220, Firmware: 52, Version: "1.2.0", UpdatedAt: at,
			},
			DurationSeconds: 0.25,
		}
		if diff := cmp.Diff(want, r.last("1").Result); diff != "" {
			t.Errorf("the result differs (-want +got):\n%s", diff)
		}
	})
}

func TestAnImmediateOperationHasItsTime(t *testing.T) {
	for method, c := range map[devicetest.Method]device.Command{
		devicetest.SetSpeed: speed("1", 10), devicetest.Refresh: refresh("1"), devicetest.Release: connection("1", "OFF"),
	} {
		for timeout, sent := range map[time.Duration]device.Command{
			immediateTimeout: c, 300 * time.Millisecond: within(0.3, c),
		} {
			t.Run(fmt.Sprint(method, " ", timeout), func(t *testing.T) {
				inBubble(t, func(t *testing.T, r *rig) {
					r.motor.Hold(method, true)
					r.submit(sent)
					time.Sleep(timeout - 1)
					r.expect()
					time.Sleep(time.Nanosecond)
					r.expect("1 failed timeout")
				})
			})
		}
	}
}

// Who sent it has the answer at once, and can send it again.
func TestAnImmediateOperationIsTriedOnce(t *testing.T) {
	for method, c := range map[devicetest.Method]device.Command{
		devicetest.SetSpeed: speed("1", 10), devicetest.Refresh: refresh("1"),
	} {
		t.Run(string(method), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.motor.Hold(method, true)
				r.submit(retries(5, c))
				r.call(method, 1).Answer(device.Errorf(device.CodeSerialError, "garbage"))
				r.expect("1 failed serial_error")
				time.Sleep(time.Minute)
				r.call(method, 1)
			})
		})
	}
}
