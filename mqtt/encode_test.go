package mqtt

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plate-resort/plate-resort/device"
)

func TestFieldsAreWhatTheDeviceReads(t *testing.T) {
	for _, test := range []struct {
		name       device.Name
		value      string
		parameters map[string]string
		want       device.Parameters
	}{
		{"hotel", "7", nil, hotel("7")}, // a name, whatever it looks like
		{"hotel", "B", map[string]string{"precise": "true", "tolerance": "0.3"},
			device.Parameters{Hotel: new("B"), Precise: new(true), Tolerance: new(device.Degrees(0.3))}},
		{"angle", "12.5", map[string]string{"retries": "2"}, device.Parameters{Angle: new(device.Degrees(12.5)), Retries: new(2)}},
		{"home", "", nil, device.Parameters{}},
		{"connection", "ON", map[string]string{"port": "1"}, device.Parameters{State: new("ON"), Port: new("1")}},
	} {
		fields, err := Fields(test.name, test.value, test.parameters)
		if err != nil {
			t.Errorf("%s %s: %v", test.name, test.value, err)
			continue
		}
		fields["id"] = "x"
		payload, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(test.name, payload, false)
		want := device.Command{ID: "x", Name: test.name, Parameters: test.want, Source: "mqtt"}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v, (-want +got)\n%s", payload, err, diff)
		}
	}
}

func TestFieldsRefuseWhatTheDeviceWouldRefuse(t *testing.T) {
	for _, test := range []struct {
		name       device.Name
		value      string
		parameters map[string]string
		message    string
	}{
		{"dance", "", nil, `there is no operation "dance"; there are hotel, angle, home, speed, stop, reset, connection, reboot, refresh, cancel`},
		{"hotel", "", nil, `the field "hotel" is missing`},
		{"home", "now", nil, `home takes no value, so what is "now"?`},
		{"angle", "left", nil, `angle must be a number, as in 12.5, not "left"`},
		{"home", "", map[string]string{"hotel": "B"}, `unknown field "hotel"; home takes expires_at, timeout_seconds, retries, retry_delay_seconds, id`},
	} {
		fields, err := Fields(test.name, test.value, test.parameters)
		if err == nil || err.Error() != test.message {
			t.Errorf("%s %s: %v, %v\nwant %s", test.name, test.value, fields, err, test.message)
		}
	}
}
