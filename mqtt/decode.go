package mqtt

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/payload"
)

const (
	// MaxPayload is the largest payload that is read, in bytes.
	MaxPayload = 16 << 10
	// buttonPayload is the bare payload of an operation without a value.
	buttonPayload = "PRESS"
)

// errEmpty is for a payload that says nothing, as clearing a retained message looks like.
var errEmpty = errors.New("empty payload")

// decode makes a command of a message on the input topic of an operation. It is pure. The error is
// errEmpty for what is to be ignored, or a [device.Error]; the command then holds what could be read for
// the answer.
func decode(name device.Name, text []byte, retained bool) (device.Command, error) {
	c := device.Command{Name: device.Name(payload.Shorten(string(name))), Source: source}
	err := read(text, retained, func(text []byte) error {
		if !name.Known() {
			return device.Errorf(device.CodeUnknownOperation, "there is no operation %q; there are %s", c.Name, payload.Join(device.Names))
		}
		err := decodePayload(&c, text)
		if err != nil {
			c.Parameters = device.Parameters{} // not what the sender has said
		}
		return err
	})
	return c, err
}

// decodeSchedule is decode for the input of a schedule.
func decodeSchedule(s Schedules, name string, text []byte, retained bool) (device.Command, error) {
	shown := payload.Shorten(name)
	c := device.Command{Name: device.ScheduleOperation, Parameters: device.Parameters{Name: &shown}}
	err := read(text, retained, func(text []byte) (err error) {
		c, err = s.Command(name, text)
		return err
	})
	c.Source = source
	return c, err
}

// read has what a message says decoded, unless there is nothing to be decoded or it is too much. What is
// retained is decoded too, for the answer.
func read(text []byte, retained bool, decode func([]byte) error) error {
	if len(text) > MaxPayload {
		return device.Errorf(device.CodePayloadTooLarge, "the payload has %d bytes; at most %d are read", len(text), MaxPayload)
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return errEmpty
	}
	if !utf8.Valid(text) {
		return payload.Invalid("the payload is not valid UTF-8 text")
	}
	err := decode(text)
	if retained {
		return device.Errorf(device.CodeRetainedCommand,
			"a retained command is not obeyed, as it would come again at every reconnection; clear it with mosquitto_pub -r -n -t <this topic>, and send commands without -r")
	}
	return err
}

// decodePayload reads a bare value, or a JSON object with the operation's fields.
func decodePayload(c *device.Command, text []byte) error {
	if text[0] == '{' {
		return decodeObject(c, text)
	}
	value := c.Name.Value()
	switch {
	case value == "" && string(text) == buttonPayload, c.Name == device.StopOperation:
		return nil
	case value == "":
		return payload.Invalid("send %s, or a JSON object such as {}, not %s", buttonPayload, payload.Quote(text))
	case payload.Kinds[value] == payload.Text:
		text, _ = json.Marshal(string(text))
	}
	return payload.Field(&c.Parameters, value, payload.Kinds[value], text)
}

// decodeObject reads the fields of a JSON object. The sender's id comes first, so that the answer
// carries it whatever else is wrong.
func decodeObject(c *device.Command, text []byte) error {
	fields, err := payload.Object(text)
	known := slices.Concat(c.Name.Fields(), c.Name.Options())
	if !slices.Contains(known, "id") { // where it is a parameter, the operation's own id is ours to make
		if raw, ok := fields["id"]; ok {
			delete(fields, "id")
			var idErr error
			if c.ID, idErr = payload.ID(raw); err == nil {
				err = idErr
			}
		}
		known = append(known, "id")
	}
	if err != nil {
		return err
	}
	return payload.Parameters(&c.Parameters, fields, c.Name, known)
}
