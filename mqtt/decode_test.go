package mqtt

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plate-resort/plate-resort/device"
)

func hotel(name string) device.Parameters      { return device.Parameters{Hotel: &name} }
func angle(a device.Degrees) device.Parameters { return device.Parameters{Angle: &a} }

func TestDecode(t *testing.T) {
	for _, test := range []struct {
		name    device.Name
		payload string
		id      string
		want    device.Parameters
	}{
		{"hotel", "B", "", hotel("B")},
		{"hotel", " B\r\n", "", hotel("B")},
		{"hotel", "Grand Hotel", "", hotel("Grand Hotel")},
		{"hotel", `{"hotel":"B"}`, "", hotel("B")},
		{"hotel", "\t{ \"id\" : \"x 1\", \"hotel\" : \"B\" }\n", "x 1", hotel("B")},
		{"hotel", `{"hotel":"Zürich","id":"ü"}`, "ü", hotel("Zürich")},
		{"angle", "90", "", angle(90)},
		{"angle", "12.5\n", "", angle(12.5)},
		{"angle", "1e2", "", angle(100)},
		{"angle", "-1", "", angle(-1)}, // the device knows the range
		{"angle", `{"angle":0}`, "", angle(0)},
		{"home", "PRESS", "", device.Parameters{}},
		{"home", "{}", "", device.Parameters{}},
		{"reset", `{"id":"r"}`, "r", device.Parameters{}},
		{"hotel", `{"hotel":"B","id":"` + strings.Repeat("é", 64) + `"}`, strings.Repeat("é", 64), hotel("B")},
		{"hotel", `{"hotel":"B","precise":true,"tolerance":0.3,"overrides":{"pulse_max":10}}`, "", device.Parameters{
			Hotel: new("B"), Precise: new(true), Tolerance: new(device.Degrees(0.3)), Overrides: map[string]*float64{"pulse_max": new(10.0)}}},
		{"angle", `{"angle":1,"expires_at":"2026-11-23T08:00:00Z","timeout_seconds":60,"retries":2,"retry_delay_seconds":0.5}`, "", device.Parameters{
			Angle: new(device.Degrees(1)), ExpiresAt: new(time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)),
			TimeoutSeconds: new(60.0), Retries: new(2), RetryDelaySeconds: new(0.5)}},
		{"speed", "50", "", device.Parameters{Speed: new(50)}},
		{"speed", `{"speed":50,"id":"s"}`, "s", device.Parameters{Speed: new(50)}},
		{"connection", "OFF", "", device.Parameters{State: new("OFF")}},
		{"connection", `{"state":"ON","port":"/dev/ttyUSB1","baud":115200,"motor_id":0}`, "", device.Parameters{
			State: new("ON"), Port: new("/dev/ttyUSB1"), Baud: new(115200), MotorID: new(0)}},
		{"reboot", "PRESS", "", device.Parameters{}},
		{"reboot", `{"wait_seconds":2,"reapply":false}`, "", device.Parameters{WaitSeconds: new(2.0), Reapply: new(false)}},
		{"refresh", "PRESS", "", device.Parameters{}},
		{"cancel", "all", "", device.Parameters{Target: new("all")}},
		{"cancel", `{"id":"01JD"}`, "", device.Parameters{Target: new("01JD")}}, // the one to cancel, not the sender's
	} {
		want := device.Command{ID: test.id, Name: test.name, Parameters: test.want, Source: "mqtt"}
		got, err := decode(test.name, []byte(test.payload), false)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s %q: error %v, (-want +got)\n%s", test.name, test.payload, err, diff)
		}
	}
}

func TestDecodeRefusesWhatIsNotExactlyACommand(t *testing.T) {
	for _, test := range []struct {
		name    device.Name
		payload string
		id      string // is read all the same
		code    device.Code
		message string // a part of it
	}{
		{"hotel", `{"hotel":"B","speed":5}`, "", "invalid_payload", `unknown field "speed"; hotel takes hotel, precise, tolerance, overrides, expires_at, timeout_seconds, retries, retry_delay_seconds, id`},
		{"hotel", `{"Hotel":"B"}`, "", "invalid_payload", `unknown field "Hotel"`},
		{"hotel", `{"hotel":"B","hotel":"C","id":"1"}`, "", "invalid_payload", `the field "hotel" is given twice`},
		{"hotel", `{"id":"1","hotel":"B","hotel":"C"}`, "1", "invalid_payload", `the field "hotel" is given twice`},
		{"hotel", `{"id":"1"}`, "1", "invalid_payload", `the field "hotel" is missing`},
		{"hotel", `{"id":"1","hotel":5}`, "1", "invalid_payload", `hotel must be a string, as in "A", not 5`},
		{"hotel", strings.Repeat("x", 1000), "", "invalid_payload", `hotel has 1002 bytes; at most 1000 are read`},
		{"hotel", `{"hotel":null}`, "", "invalid_payload", `hotel must be a string`},
		{"hotel", `{"hotel":"B"} {}`, "", "invalid_payload", "something behind"},
		{"hotel", `{"hotel":"B"`, "", "invalid_payload", "it ends too early"},
		{"hotel", `{"hotel":B}`, "", "invalid_payload", "not valid JSON"},
		{"hotel", `{hotel}`, "", "invalid_payload", "not valid JSON"},
		{"hotel", "\xff\xfe", "", "invalid_payload", "UTF-8"},
		{"hotel", `{"hotel":"B","id":""}`, "", "invalid_payload", "id must be"},
		{"hotel", `{"hotel":"B","id":5}`, "", "invalid_payload", "id must be"},
		{"hotel", `{"hotel":"B","id":"a\u0007"}`, "", "invalid_payload", "id must be"},
		{"hotel", `{"hotel":"B","id":"` + strings.Repeat("x", 65) + `"}`, "", "invalid_payload", "id must be"},
		{"hotel", strings.Repeat(`{"a":`, 3000), "", "invalid_payload", "not valid JSON"},
		{"angle", "NaN", "", "invalid_payload", "angle must be a number"},
		{"angle", "Infinity", "", "invalid_payload", "angle must be a number"},
		{"angle", "1e999", "", "invalid_payload", "angle must be a number"},
		{"angle", "0x10", "", "invalid_payload", "angle must be a number"},
		{"angle", "90°", "", "invalid_payload", "angle must be a number"},
		{"angle", `90,"precise":true`, "", "invalid_payload", "angle must be a number"},
		{"angle", `90}`, "", "invalid_payload", "angle must be a number"},
		{"angle", "90 91", "", "invalid_payload", "angle must be a number"},
		{"angle", "null", "", "invalid_payload", "angle must be a number"},
		{"angle", `{"angle":"90"}`, "", "invalid_payload", "angle must be a number"},
		{"angle", `{"angle":1e999,"id":"big"}`, "big", "invalid_payload", "angle must be a number"},
		{"home", "ON", "", "invalid_payload", `send PRESS, or a JSON object such as {}, not ON`},
		{"home", "press", "", "invalid_payload", `not press`},
		{"home", "[]", "", "invalid_payload", `not []`},
		{"home", `{"angle":0}`, "", "invalid_payload", `unknown field "angle"; home takes expires_at`},
		{"hotel", `{"hotel":"B","precise":"yes"}`, "", "invalid_payload", `precise must be true or false, not "yes"`},
		{"hotel", `{"hotel":"B","tolerance":"0.5"}`, "", "invalid_payload", "tolerance must be a number"},
		{"hotel", `{"hotel":"B","overrides":[]}`, "", "invalid_payload", "overrides must be an object of numbers"},
		{"hotel", `{"hotel":"B","overrides":{"pulse_max":"ten"}}`, "", "invalid_payload", "overrides must be an object of numbers"},
		{"hotel", `{"hotel":"B","expires_at":"tomorrow"}`, "", "invalid_payload", "expires_at must be a time"},
		{"hotel", `{"hotel":"B","retries":1.5}`, "", "invalid_payload", "retries must be a whole number"},
		{"hotel", `{"hotel":"B","retries":1e99}`, "", "invalid_payload", "retries must be a whole number"},
		{"speed", "fast", "", "invalid_payload", "speed must be a whole number"},
		{"speed", "50.5", "", "invalid_payload", "speed must be a whole number"},
		{"speed", `{"speed":50,"retries":1}`, "", "invalid_payload", `unknown field "retries"; speed takes speed, expires_at, timeout_seconds, id`},
		{"connection", `{"port":"/dev/ttyUSB1"}`, "", "invalid_payload", `the field "state" is missing`},
		{"connection", `{"state":true}`, "", "invalid_payload", "state must be a string"},
		{"reboot", `{"reapply":1}`, "", "invalid_payload", "reapply must be true or false"},
		{"cancel", "{}", "", "invalid_payload", `the field "id" is missing`},
		{"cancel", `{"id":"a","reason":"b"}`, "", "invalid_payload", `unknown field "reason"; cancel takes id`},
		{"dance", "PRESS", "", "unknown_operation", `no operation "dance"; there are hotel, angle, home, speed, stop, reset, connection, reboot, refresh, cancel`},
		{"hotel", strings.Repeat("x", 16<<10+1), "", "payload_too_large", "16385 bytes; at most 16384"},
	} {
		got, err := decode(test.name, []byte(test.payload), false)
		var refusal *device.Error
		if !errors.As(err, &refusal) {
			t.Errorf("%s %.60q: %+v, %v, want %s", test.name, test.payload, got, err, test.code)
			continue
		}
		if refusal.Code != test.code || !strings.Contains(refusal.Message, test.message) {
			t.Errorf("%s %.60q:\n got %s: %s\nwant %s: …%s…", test.name, test.payload, refusal.Code, refusal.Message, test.code, test.message)
		}
		if got.ID != test.id {
			t.Errorf("%s %.60q: id %q, want %q", test.name, test.payload, got.ID, test.id)
		}
	}
}

func TestDecodeIgnoresAnEmptyPayload(t *testing.T) {
	for _, payload := range []string{"", "\n", " \t\r\n"} {
		for _, name := range append(device.Names, "dance") {
			if c, err := decode(name, []byte(payload), false); !errors.Is(err, errEmpty) {
				t.Errorf("%s %q: %+v, %v, want errEmpty", name, payload, c, err)
			}
		}
	}
}

func TestDecodeRefusesARetainedCommandAndReadsItsID(t *testing.T) {
	c, err := decode("hotel", []byte(`{"hotel":"B","id":"kept"}`), true)
	var refusal *device.Error
	if !errors.As(err, &refusal) || refusal.Code != device.CodeRetainedCommand || c.ID != "kept" {
		t.Errorf("got id %q, %v, want id kept and retained_command", c.ID, err)
	}
	if !strings.Contains(refusal.Message, "mosquitto_pub -r -n") {
		t.Errorf("the message does not say how to clear it: %s", refusal.Message)
	}
}
