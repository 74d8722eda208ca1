package mqtt

import (
	"encoding/json"
	"fmt"

	"github.com/plate-resort/plate-resort/device"
)

// Encode makes the payload that asks for an operation: the reverse of what the device reads. The value
// is that of the operation's value field, and the parameters are further fields; they are given as
// people write them. An empty id leaves it to the device.
func Encode(name device.Name, value string, parameters map[string]string, id string) ([]byte, error) {
	if !name.Known() {
		return nil, fmt.Errorf("there is no operation %q; there are %s", name, join(device.Names))
	}
	fields := make(map[string]json.RawMessage)
	set := func(field, value string) error {
		if kinds[field] == text || kinds[field] == instant || !json.Valid([]byte(value)) {
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
	payload, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	if name == device.StopOperation { // which takes anything
		return payload, nil
	}
	if _, err := decode(name, payload, false); err != nil {
		return nil, err
	}
	return payload, nil
}
