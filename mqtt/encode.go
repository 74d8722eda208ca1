package mqtt

import (
	"encoding/json"
	"fmt"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/payload"
)

// Fields makes the fields of the JSON payload that asks for an operation: the reverse of what the device
// reads. The value is that of the operation's value field, and the parameters are further fields; they
// are given as people write them. Texts stay strings, everything else is JSON.
func Fields(name device.Name, value string, parameters map[string]string) (map[string]any, error) {
	if !name.Known() {
		return nil, fmt.Errorf("there is no operation %q; there are %s", name, payload.Join(device.Names))
	}
	fields := make(map[string]any)
	set := func(field, value string) {
		if payload.Kinds[field] == payload.Text || payload.Kinds[field] == payload.Instant || !json.Valid([]byte(value)) {
			fields[field] = value
		} else {
			fields[field] = json.RawMessage(value)
		}
	}
	for field, value := range parameters {
		set(field, value)
	}
	switch field := name.Value(); {
	case field != "" && value != "":
		set(field, value)
	case value != "":
		return nil, fmt.Errorf("%s takes no value, so what is %q?", name, value)
	}
	if name == device.StopOperation { // which takes anything
		return fields, nil
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	_, err = decode(name, text, false)
	return fields, err
}
