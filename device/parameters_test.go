package device_test

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

func TestEachParameterHasItsBounds(t *testing.T) {
	on, off, nan := "ON", "OFF", math.NaN()
	move := func(p device.Parameters) device.Command { return command("1", device.HomeOperation, p) }
	hotelA := func(p device.Parameters) device.Command {
		p.Hotel = new("A")
		return command("1", device.HotelOperation, p)
	}
	connect := func(p device.Parameters) device.Command {
		if p.State == nil {
			p.State = &on
		}
		return command("1", device.ConnectionOperation, p)
	}
	boot := func(p device.Parameters) device.Command { return command("1", device.RebootOperation, p) }
	degrees := func(d device.Degrees) *device.Degrees { return &d }
	override := func(name string, value *float64) device.Command {
		return hotelA(device.Parameters{Precise: new(true), Overrides: map[string]*float64{name: value}})
	}
	tolerance := func(d device.Degrees) device.Command { return hotelA(device.Parameters{Tolerance: degrees(d)}) }
	baud := func(n int) device.Command { return connect(device.Parameters{Baud: &n}) }
	motorID := func(n int) device.Command { return connect(device.Parameters{MotorID: &n}) }
	wait := func(s float64) device.Command { return boot(device.Parameters{WaitSeconds: &s}) }
	delay := func(s float64) device.Command { return move(device.Parameters{RetryDelaySeconds: &s}) }
	const names = "switch_error, stage1_timeout, pulse_pwm_start, pulse_duration, pulse_rest, pwm_step, pwm_max, " +
		"motion_threshold, pwm_backoff_step, max_step_factor, pulse_max, stall_pulses"
	overrides := func(p map[string]*float64) device.Command {
		return hotelA(device.Parameters{Precise: new(true), Overrides: p})
	}

	for name, c := range map[string]struct {
		command device.Command
		want    string // the message of its rejection; "" when it is accepted
	}{
		"tolerance least":    {tolerance(0.1), ""},
		"tolerance most":     {tolerance(5), ""},
		"tolerance below":    {tolerance(0.0999), "tolerance is 0.0999; it must be from 0.1 to 5 degrees"},
		"tolerance beyond":   {tolerance(5.01), "tolerance is 5.01; it must be from 0.1 to 5 degrees"},
		"tolerance NaN":      {tolerance(device.Degrees(nan)), "tolerance is NaN; it must be from 0.1 to 5 degrees"},
		"baud least":         {baud(9600), ""},
		"baud most":          {baud(1000000), ""},
		"baud between":       {baud(12345), "baud is 12345; it must be one of 9600 57600 1000000"},
		"baud 0":             {baud(0), "baud is 0; it must be one of 9600 57600 1000000"},
		"motor_id least":     {motorID(0), ""},
		"motor_id most":      {motorID(252), ""},
		"motor_id below":     {motorID(-1), "motor_id is -1; it must be from 0 to 252"},
		"motor_id beyond":    {motorID(253), "motor_id is 253; it must be from 0 to 252"},
		"wait least":         {wait(0.1), ""},
		"wait most":          {wait(3600), ""},
		"wait below":         {wait(0), "wait_seconds is 0; it must be from 0.1 to 3600 seconds"},
		"wait beyond":        {wait(3600.5), "wait_seconds is 3600.5; it must be from 0.1 to 3600 seconds"},
		"wait NaN":           {wait(nan), "wait_seconds is NaN; it must be from 0.1 to 3600 seconds"},
		"timeout least":      {within(0.1, home("1")), ""},
		"timeout most":       {within(3600, home("1")), ""},
		"timeout below":      {within(0.09, home("1")), "timeout_seconds is 0.09; it must be from 0.1 to 3600 seconds"},
		"timeout beyond":     {within(1e30, home("1")), "timeout_seconds is 1" + strings.Repeat("0", 30) + "; it must be from 0.1 to 3600 seconds"},
		"timeout immediate":  {within(-1, refresh("1")), "timeout_seconds is -1; it must be from 0.1 to 3600 seconds"},
		"retries least":      {retries(0, home("1")), ""},
		"retries most":       {retries(100, home("1")), ""},
		"retries below":      {retries(-1, home("1")), "retries is -1; it must be from 0 to 100"},
		"retries beyond":     {retries(101, home("1")), "retries is 101; it must be from 0 to 100"},
		"retry delay least":  {delay(0), ""},
		"retry delay most":   {delay(3600), ""},
		"retry delay below":  {delay(-0.1), "retry_delay_seconds is -0.1; it must be from 0 to 3600 seconds"},
		"retry delay beyond": {delay(math.Inf(1)), "retry_delay_seconds is +Inf; it must be from 0 to 3600 seconds"},
		"state":              {connection("1", "on"), `state is "on"; it must be ON or OFF`},
		"state OFF and port": {connect(device.Parameters{State: &off, Port: &on}), "port, baud and motor_id go with the state ON only"},
		"state OFF and baud": {connect(device.Parameters{State: &off, Baud: new(57600)}), "port, baud and motor_id go with the state ON only"},
		"state OFF and id":   {connect(device.Parameters{State: &off, MotorID: new(1)}), "port, baud and motor_id go with the state ON only"},
		"no port":            {connect(device.Parameters{Port: new("")}), "port is empty; it must be the name of a serial port, such as /dev/ttyUSB0"},
		"override":           {override("pulse_pwm_start", new(1.0)), ""},
		"override below":     {override("pulse_duration", new(0.0)), "the override pulse_duration is 0; it must be from 0.05 to 2 seconds"},
		"override beyond":    {override("pwm_step", new(886.0)), "the override pwm_step is 886; it must be from 1 to 885 PWM units of 0.113 %"},
		"override unknown":   {override("pulse", new(1.0)), `unknown override "pulse"; there are ` + names},
		"override of 0":      {override("pulse_max", new(0.0)), "the override pulse_max is 0; it must be from 1 to 1000"},
		"override of a half": {override("pulse_max", new(2.5)), "the override pulse_max is 2.5; it must be a whole number"},
		"override NaN":       {override("pulse_max", &nan), "the override pulse_max is NaN; it must be from 1 to 1000"},
		"override null":      {override("pulse_max", nil), "the override pulse_max is null; it must be a number"},
		"override start":     {override("pulse_pwm_start", new(601.0)), "pulse_pwm_start would be 601; it must not be above pwm_max, 600"},
		"override of a plain move": {hotelA(device.Parameters{Overrides: map[string]*float64{"pulse_max": new(3.0)}}),
			"overrides other than switch_error are for a precise move, and this one is plain"},
		"override both": {overrides(map[string]*float64{"pulse_pwm_start": new(700.0), "pwm_max": new(700.0)}), ""},
		"no hotel":      {command("1", device.HotelOperation, device.Parameters{}), `the field "hotel" is missing`},
		"no angle":      {command("1", device.AngleOperation, device.Parameters{Hotel: new("A")}), `the field "angle" is missing`},
		"no speed":      {command("1", device.SpeedOperation, device.Parameters{}), `the field "speed" is missing`},
		"no state":      {command("1", device.ConnectionOperation, device.Parameters{}), `the field "state" is missing`},
		"no target":     {command("1", device.CancelOperation, device.Parameters{}), `the field "id" is missing`},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.submit(c.command)
				op := r.events[0]
				got := ""
				if op.State == device.Rejected {
					got = op.Error.Message
					if op.Error.Code != device.CodeInvalidPayload || len(r.events) != 1 {
						t.Errorf("the answers are %d, the first %s", len(r.events), brief(op))
					}
				}
				if got != c.want {
					t.Errorf("the message is %q, want %q", got, c.want)
				}
			})
		})
	}
}

// precise are the settings of precise moves that the tests are made for.
var precise = device.Precise{
	SwitchError: 3, Stage1Timeout: 8 * time.Second, PulsePWMStart: 180, PulseDuration: 300 * time.Millisecond,
	PulseRest: 200 * time.Millisecond, PWMStep: 25, PWMMax: 600, MotionThreshold: 0.12, PWMBackoffStep: 60,
	MaxStepFactor: 1.5, PulseMax: 25, StallPulses: 6,
}

func TestAMoveIsAskedForAsTheCommandSays(t *testing.T) {
	tolerance, yes, no := device.Degrees(0.25), true, false
	other := device.Precise{
		SwitchError: 4, Stage1Timeout: 9 * time.Second, PulsePWMStart: 100, PulseDuration: 250 * time.Millisecond,
		PulseRest: 150 * time.Millisecond, PWMStep: 20, PWMMax: 500, MotionThreshold: 0.25, PWMBackoffStep: 50,
		MaxStepFactor: 2, PulseMax: 30, StallPulses: 7,
	}
	overrides := map[string]*float64{
		"switch_error": new(4.0), "stage1_timeout": new(9.0), "pulse_pwm_start": new(100.0), "pulse_duration": new(0.25),
		"pulse_rest": new(0.15), "pwm_step": new(20.0), "pwm_max": new(500.0), "motion_threshold": new(0.25),
		"pwm_backoff_step": new(50.0), "max_step_factor": new(2.0), "pulse_max": new(30.0), "stall_pulses": new(7.0),
	}
	hotelB := func(p device.Parameters) device.Command {
		p.Hotel = new("B")
		return command("1", device.HotelOperation, p)
	}
	for name, c := range map[string]struct {
		command device.Command
		want    device.Move
	}{
		"hotel": {hotel("1", "B"), device.Move{Goal: 109, Tolerance: 0.5, Window: 3}},
		"angle": {angle("1", 12.5), device.Move{Goal: 12.5, Tolerance: 0.5, Window: 3}},
		"home":  {home("1"), device.Move{Tolerance: 0.5, Window: 3}},
		// What the operation has no use for does not turn it elsewhere.
		"home with a hotel": {command("1", device.HomeOperation, hotel("", "B").Parameters), device.Move{Tolerance: 0.5, Window: 3}},
		"tolerance":         {hotelB(device.Parameters{Tolerance: &tolerance}), device.Move{Goal: 109, Tolerance: 0.25, Window: 0.25}},
		"timeout": {within(2.5, angle("1", 90)),
			device.Move{Goal: 90, Tolerance: 0.5, Window: 3, Timeout: 2500 * time.Millisecond}},
		"precise":     {hotelB(device.Parameters{Precise: &yes}), device.Move{Goal: 109, Tolerance: 0.5, Window: 3, Precise: &precise}},
		"not precise": {hotelB(device.Parameters{Precise: &no}), device.Move{Goal: 109, Tolerance: 0.5, Window: 3}},
		"precise and a tolerance": {hotelB(device.Parameters{Precise: &yes, Tolerance: &tolerance}),
			device.Move{Goal: 109, Tolerance: 0.25, Window: 3, Precise: &precise}},
		"precise and a wide tolerance": {hotelB(device.Parameters{Precise: &yes, Tolerance: new(device.Degrees(4))}),
			device.Move{Goal: 109, Tolerance: 4, Window: 4, Precise: &precise}},
		"overrides": {hotelB(device.Parameters{Precise: &yes, Overrides: overrides}),
			device.Move{Goal: 109, Tolerance: 0.5, Window: 4, Precise: &other}},
		"overrides of what is not precise": {hotelB(device.Parameters{Overrides: map[string]*float64{"switch_error": new(4.0)}}),
			device.Move{Goal: 109, Tolerance: 0.5, Window: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.submit(c.command)
				if diff := cmp.Diff(c.want, r.move(1).Move); diff != "" {
					t.Errorf("the move differs (-want +got):\n%s", diff)
				}
				r.arrive(1)
			})
		})
	}
}

func TestMovesArePreciseUnlessTheCommandSaysOtherwise(t *testing.T) {
	for name, c := range map[string]struct {
		precise *bool
		want    bool
	}{"nothing": {nil, true}, "no": {new(false), false}, "yes": {new(true), true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRigWith(t, devicetest.New(), new(device.Memory), func(c *device.Config) { c.IsPrecise = true })
				r.start()
				r.motor.Find()
				r.submit(command("1", device.AngleOperation, device.Parameters{Angle: new(device.Degrees(90)), Precise: c.precise}))
				if got := r.move(1).Move.Precise != nil; got != c.want {
					t.Errorf("the move is precise: %v", got)
				}
				r.arrive(1)
			})
		})
	}
}
