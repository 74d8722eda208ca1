package device_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plate-resort/plate-resort/device"
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
		return hotelA(device.Parameters{Overrides: map[string]*float64{name: value}})
	}
	tolerance := func(d device.Degrees) device.Command { return hotelA(device.Parameters{Tolerance: degrees(d)}) }
	baud := func(n int) device.Command { return connect(device.Parameters{Baud: &n}) }
	motorID := func(n int) device.Command { return connect(device.Parameters{MotorID: &n}) }
	wait := func(s float64) device.Command { return boot(device.Parameters{WaitSeconds: &s}) }
	delay := func(s float64) device.Command { return move(device.Parameters{RetryDelaySeconds: &s}) }
	names := strings.Join(device.Overrides, ", ")

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
		"baud most":          {baud(4500000), ""},
		"baud below":         {baud(9599), "baud is 9599; it must be from 9600 to 4500000 bits a second"},
		"baud beyond":        {baud(4500001), "baud is 4500001; it must be from 9600 to 4500000 bits a second"},
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
		"override":           {override("pulse_pwm_start", new(0.001)), ""},
		"override unknown":   {override("pulse", new(1.0)), `unknown override "pulse"; there are ` + names},
		"override of 0":      {override("pulse_max", new(0.0)), `the override "pulse_max" must be a number above 0`},
		"override NaN":       {override("pulse_max", &nan), `the override "pulse_max" must be a number above 0`},
		"override null":      {override("pulse_max", nil), `the override "pulse_max" must be a number above 0`},
		"no hotel":           {command("1", device.HotelOperation, device.Parameters{}), `the field "hotel" is missing`},
		"no angle":           {command("1", device.AngleOperation, device.Parameters{Hotel: new("A")}), `the field "angle" is missing`},
		"no speed":           {command("1", device.SpeedOperation, device.Parameters{}), `the field "speed" is missing`},
		"no state":           {command("1", device.ConnectionOperation, device.Parameters{}), `the field "state" is missing`},
		"no target":          {command("1", device.CancelOperation, device.Parameters{}), `the field "id" is missing`},
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

func TestAMoveIsAskedForAsTheCommandSays(t *testing.T) {
	tolerance, yes := device.Degrees(0.25), true
	for name, c := range map[string]struct {
		command device.Command
		want    device.Move
		note    string
	}{
		"hotel": {hotel("1", "B"), device.Move{Goal: 109}, ""},
		"angle": {angle("1", 12.5), device.Move{Goal: 12.5}, ""},
		"home":  {home("1"), device.Move{}, ""},
		// What the operation has no use for does not turn it elsewhere.
		"home with a hotel": {command("1", device.HomeOperation, hotel("", "B").Parameters), device.Move{}, ""},
		"tolerance": {command("1", device.HotelOperation, device.Parameters{Hotel: new("B"), Tolerance: &tolerance}),
			device.Move{Goal: 109, Tolerance: 0.25}, ""},
		"timeout": {within(2.5, angle("1", 90)), device.Move{Goal: 90, Timeout: 2500 * time.Millisecond}, ""},
		"precise": {command("1", device.HotelOperation, device.Parameters{Hotel: new("B"), Precise: &yes}),
			device.Move{Goal: 109}, "precise is not available yet; this was a plain move"},
		"not precise": {command("1", device.HotelOperation, device.Parameters{Hotel: new("B"), Precise: new(false)}),
			device.Move{Goal: 109}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.submit(c.command)
				if diff := cmp.Diff(c.want, r.move(1).Move); diff != "" {
					t.Errorf("the move differs (-want +got):\n%s", diff)
				}
				r.arrive(1)
				if got := r.last("1").Result.Note; got != c.note {
					t.Errorf("the note is %q, want %q", got, c.note)
				}
			})
		})
	}
}
