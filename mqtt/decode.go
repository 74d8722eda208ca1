package mqtt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plate-resort/plate-resort/device"
)

const (
	// maxPayload is the largest payload that is read, in bytes.
	maxPayload = 16 << 10
	// maxField is the longest value of a field, in bytes.
	maxField = 1000
	// maxID is the longest id that a sender may give, in characters.
	maxID = 64
	// buttonPayload is the bare payload of an operation without a value.
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
	if err != nil {
		c.Parameters = device.Parameters{} // not what the sender has said
	}
	if retained {
		return c, device.Errorf(device.CodeRetainedCommand,
			"a retained command is not obeyed, as it would come again at every reconnection; clear it with mosquitto_pub -r -n -t <this topic>, and send commands without -r")
	}
	return c, err
}

// decodePayload reads a bare value, or a JSON object with the operation's fields.
func decodePayload(c *device.Command, payload []byte) error {
	if !utf8.Valid(payload) {
		return invalid("the payload is not valid UTF-8 text")
	}
	if payload[0] == '{' {
		return decodeObject(c, payload)
	}
	value := c.Name.Value()
	switch {
	case value == "" && string(payload) == buttonPayload, c.Name == device.StopOperation:
		return nil
	case value == "":
		return invalid("send %s, or a JSON object such as {}, not %s", buttonPayload, quote(payload))
	case kinds[value] == text:
		payload, _ = json.Marshal(string(payload))
	}
	return decodeField(&c.Parameters, value, payload)
}

// decodeObject reads the fields of a JSON object. The sender's id comes first, so that the answer
// carries it whatever else is wrong.
func decodeObject(c *device.Command, payload []byte) error {
	fields, err := readObject(payload)
	known := slices.Concat(c.Name.Fields(), c.Name.Options())
	if !slices.Contains(known, "id") { // where it is a parameter, the operation's own id is ours to make
		if raw, ok := fields["id"]; ok {
			delete(fields, "id")
			if idErr := decodeID(c, raw); err == nil {
				err = idErr
			}
		}
		known = append(known, "id")
	}
	if err != nil {
		return err
	}
	for name := range fields {
		if !slices.Contains(known, name) {
			return invalid("unknown field %q; %s takes %s", shorten(name), c.Name, join(known))
		}
	}
	if value := c.Name.Value(); value != "" && fields[value] == nil {
		return invalid("the field %q is missing", value)
	}
	for _, name := range known {
		if raw, given := fields[name]; given {
			if err := decodeField(&c.Parameters, name, raw); err != nil {
				return err
			}
		}
	}
	return nil
}

// A kind is what a field holds, in words for who has sent something else.
type kind string

const (
	text    kind = `a string, as in "A"`
	number  kind = "a number, as in 12.5"
	whole   kind = "a whole number"
	truth   kind = "true or false"
	instant kind = `a time as in "2026-11-23T08:00:00Z" (RFC 3339)`
	numbers kind = `an object of numbers, as in {"pulse_max": 10}`
)

// kinds are those of all fields.
var kinds = map[string]kind{
	"hotel": text, "angle": number, "precise": truth, "tolerance": number, "overrides": numbers,
	"speed": whole, "state": text, "port": text, "baud": whole, "motor_id": whole,
	"wait_seconds": number, "reapply": truth, "id": text,
	"expires_at": instant, "timeout_seconds": number, "retries": whole, "retry_delay_seconds": number,
}

// decodeField reads the value of one field. Its name is one that the struct has exactly.
func decodeField(p *device.Parameters, name string, raw json.RawMessage) error {
	if len(raw) > maxField {
		return invalid("%s has %d bytes; at most %d are read", name, len(raw), maxField)
	}
	object, err := json.Marshal(map[string]json.RawMessage{name: raw})
	if err == nil && !bytes.Equal(raw, []byte("null")) {
		err = json.Unmarshal(object, p)
	} else {
		err = errors.New("no value")
	}
	if err != nil {
		return invalid("%s must be %s, not %s", name, kinds[name], quote(raw))
	}
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

// readObject reads a JSON object strictly: names count with their case, and none may come twice.
// After an error it returns the fields before it.
func readObject(payload []byte) (map[string]json.RawMessage, error) {
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

func join[S ~string](list []S) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}
