package mqtt

import (
	"encoding/json"
	"fmt"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/payload"
)

// Encode makes the payload that asks for an operation: the reverse of what the device reads. The value
// is that of the operation's value field, and the parameters are further fields; they are given as
// people write them. An empty id leaves it to the device.
func Encode(name device.Name, value string, parameters map[string]string, id string) ([]byte, error) {
	if !name.Known() {
		return nil, fmt.Errorf("there is no operation %q; there are %s", name, payload.Join(device.Names))
	}
	fields := make(map[string]json.RawMessage)
	set := func(field, value string) error {
		if payload.Kinds[field] == payload.Text || payload.Kinds[field] == payload.Instant || !json.Valid([]byte(value)) {
			quoted, err := json.Marshal(value)
			fields[field] = quoted
			return err
		}
		fields[field] = json.RawMessage(value)
		return nil
	}
	for field, value := range parameters {
		if err := set(field, value); err != nil {
			return nil, err
		}
	}
	field := name.Value()
	switch {
	case field != "" && value != "":
		if err := set(field, value); err != nil {
			return nil, err
		}
	case value != "":
		return nil, fmt.Errorf("%s takes no value, so what is %q?", name, value)
	}
	if id != "" {
		if err := set("id", id); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	if name == device.StopOperation { // which takes anything
		return text, nil
	}
	if _, err := decode(name, text, false); err != nil {
		return nil, err
	}
	return text, nil
}
