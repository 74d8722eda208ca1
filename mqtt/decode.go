package mqtt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plate-resort/plate-resort/device"
)

const (
	// maxPayload is the largest payload that is read, in bytes.
	maxPayload = 16 << 10
	// maxID is the longest id that a sender may give, in characters.
	maxID = 64
	// buttonPayload is the bare payload of an operation without parameters.
	buttonPayload = "PRESS"
)

// errEmpty is for a payload that says nothing, as clearing a retained message looks like.
var errEmpty = errors.New("empty payload")

// decode makes a command of a message on an input topic. It is pure. The error is errEmpty for what
// is to be ignored, or a [device.Error]; the command then holds what could be read for the answer.
func decode(name device.Name, payload []byte, retained bool) (device.Command, error) {
	c := device.Command{Name: device.Name(shorten(string(name))), Source: "mqtt"}
	if len(payload) > maxPayload {
		return c, device.Errorf(device.CodePayloadTooLarge, "the payload has %d bytes; at most %d are read", len(payload), maxPayload)
	}
	payload = bytes.TrimSpace(payload)
	if len(payload) == 0 {
		return c, errEmpty
	}
	if !name.Known() {
		return c, device.Errorf(device.CodeUnknownOperation, "there is no operation %q; there are %s", c.Name, join(device.Names))
	}
	err := decodePayload(&c, payload)
	if retained {
		return c, device.Errorf(device.CodeRetainedCommand,
			"a retained command is not obeyed, as it would come again at every reconnection; clear it with mosquitto_pub -r -n -t <this topic>, and send commands without -r")
	}
	if err != nil {
		return c, err
	}
	return c, nil
}

// decodePayload reads a bare value, or a JSON object with the value's field and an id.
func decodePayload(c *device.Command, payload []byte) error {
	if !utf8.Valid(payload) {
		return invalid("the payload is not valid UTF-8 text")
	}
	value := valueField(c.Name)
	if payload[0] != '{' {
		bare := string(payload)
		switch c.Name {
		case device.HotelOperation:
			if shorten(bare) != bare {
				return invalid("%q is no hotel", shorten(bare))
			}
			c.Parameters.Hotel = &bare
			return nil
		case device.AngleOperation:
			return decodeAngle(c, payload)
		case device.StopOperation:
			return nil
		}
		if bare != buttonPayload {
			return invalid("send %s, or a JSON object such as {}, not %s", buttonPayload, quote(payload))
		}
		return nil
	}
	fields, err := decodeObject(payload)
	// The id comes first, so that the answer carries it whatever else is wrong.
	if raw, ok := fields["id"]; ok {
		if idErr := decodeID(c, raw); idErr != nil && err == nil {
			err = idErr
		}
		delete(fields, "id")
	}
	if err != nil {
		return err
	}
	raw, given := fields[value]
	delete(fields, value)
	for field := range fields {
		return invalid("unknown field %q; %s takes %s", shorten(field), c.Name, join(append(notEmpty(value), "id")))
	}
	switch {
	case value == "":
		return nil
	case !given:
		return invalid("the field %q is missing", value)
	case c.Name == device.AngleOperation:
		return decodeAngle(c, raw)
	default:
		return decodeHotel(c, raw)
	}
}

// valueField is the field of the JSON object that stands for the bare payload; a button has none.
func valueField(name device.Name) string {
	switch name {
	case device.HotelOperation, device.AngleOperation:
		return string(name)
	}
	return ""
}

func decodeHotel(c *device.Command, raw json.RawMessage) error {
	var hotel *string
	if json.Unmarshal(raw, &hotel) != nil || hotel == nil {
		return invalid(`hotel must be a string, as in {"hotel": "A"}, not %s`, quote(raw))
	}
	if shorten(*hotel) != *hotel {
		return invalid("%q is no hotel", shorten(*hotel))
	}
	c.Parameters.Hotel = hotel
	return nil
}

func decodeAngle(c *device.Command, raw json.RawMessage) error {
	var angle *device.Degrees
	if json.Unmarshal(raw, &angle) != nil || angle == nil {
		return invalid("angle must be a number of degrees, 0 or more and less than 360, as in 90 or 12.5, not %s", quote(raw))
	}
	c.Parameters.Angle = angle
	return nil
}

func decodeID(c *device.Command, raw json.RawMessage) error {
	var id *string
	if json.Unmarshal(raw, &id) != nil || id == nil || *id == "" || utf8.RuneCountInString(*id) > maxID ||
		strings.ContainsFunc(*id, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return invalid("id must be a string of 1 to %d printable characters, not %s", maxID, quote(raw))
	}
	c.ID = *id
	return nil
}

// decodeObject reads a JSON object strictly: names count with their case, and none may come twice.
// After an error it returns the fields before it.
func decodeObject(payload []byte) (map[string]json.RawMessage, error) {
	fields := make(map[string]json.RawMessage)
	decoder := json.NewDecoder(bytes.NewReader(payload))
	if _, err := decoder.Token(); err != nil {
		return fields, notJSON(err)
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return fields, notJSON(err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return fields, notJSON(err)
		}
		if _, twice := fields[name.(string)]; twice {
			return fields, invalid("the field %q is given twice", shorten(name.(string)))
		}
		fields[name.(string)] = value
	}
	if _, err := decoder.Token(); err != nil {
		return fields, notJSON(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fields, invalid("there is something behind the JSON object")
	}
	return fields, nil
}

func notJSON(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid("the payload is not valid JSON: it ends too early")
	}
	return invalid("the payload is not valid JSON: %v", err)
}

func invalid(format string, args ...any) error {
	return device.Errorf(device.CodeInvalidPayload, format, args...)
}

// quote shows a piece of a payload as it came, if that can be shown.
func quote(text []byte) string {
	short := shorten(string(text))
	if strings.ContainsFunc(short, func(r rune) bool { return !unicode.IsPrint(r) }) || !utf8.ValidString(short) {
		return fmt.Sprintf("%q", short)
	}
	return short
}

// shorten keeps a text that somebody sent at a length that can be shown.
func shorten(text string) string {
	const most = 40
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}

func notEmpty(field string) []string {
	if field == "" {
		return nil
	}
	return []string{field}
}

func join[S ~string](list []S) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}
