// Package payload reads the JSON that people and programs send to a device. A payload says exactly what
// it means: names count with their case, none comes twice, and a value of another kind is refused, with
// what would be right. It is pure; every error is a [device.Error] with invalid_payload.
package payload

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
	// maxField is the longest value of a field, in bytes.
	maxField = 1000
	// maxID is the longest id that a sender may give, in characters.
	maxID = 64
)

// A Kind is what a field holds, in words for who has sent something else.
type Kind string

// The kinds.
const (
	Text    Kind = `a string, as in "A"`
	Number  Kind = "a number, as in 12.5"
	Whole   Kind = "a whole number"
	Truth   Kind = "true or false"
	Instant Kind = `a time as in "2026-11-23T08:00:00Z" (RFC 3339)`
	Numbers Kind = `an object of numbers, as in {"pulse_max": 10}`
)

// Kinds are those of all parameters of operations, and of the id.
var Kinds = map[string]Kind{
	"hotel": Text, "angle": Number, "precise": Truth, "tolerance": Number, "overrides": Numbers,
	"speed": Whole, "state": Text, "port": Text, "baud": Whole, "motor_id": Whole,
	"wait_seconds": Number, "reapply": Truth, "id": Text,
	"expires_at": Instant, "timeout_seconds": Number, "retries": Whole, "retry_delay_seconds": Number,
}

// Object reads a JSON object. After an error it returns the fields before it.
func Object(text []byte) (map[string]json.RawMessage, error) {
	fields := make(map[string]json.RawMessage)
	if text = bytes.TrimLeft(text, " \t\r\n"); len(text) > 0 && text[0] != '{' {
		return fields, Invalid("it must be a JSON object, not %s", Quote(text))
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
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
			return fields, Invalid("the field %q is given twice", Shorten(name.(string)))
		}
		fields[name.(string)] = value
	}
	if _, err := decoder.Token(); err != nil {
		return fields, notJSON(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fields, Invalid("there is something behind the JSON object")
	}
	return fields, nil
}

func notJSON(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return Invalid("the payload is not valid JSON: it ends too early")
	}
	return Invalid("the payload is not valid JSON: %v", err)
}

// Check refuses fields that what takes them does not know.
func Check(fields map[string]json.RawMessage, what string, known []string) error {
	for name := range fields {
		if !slices.Contains(known, name) {
			return Invalid("unknown field %q; %s takes %s", Shorten(name), what, strings.Join(known, ", "))
		}
	}
	return nil
}

// Parameters reads the parameters of an operation, of which it knows these.
func Parameters(p *device.Parameters, fields map[string]json.RawMessage, operation device.Name, known []string) error {
	if err := Check(fields, string(operation), known); err != nil {
		return err
	}
	if value := operation.Value(); value != "" && fields[value] == nil {
		return Invalid("the field %q is missing", value)
	}
	for _, name := range known {
		if raw, given := fields[name]; given {
			if err := Field(p, name, Kinds[name], raw); err != nil {
				return err
			}
		}
	}
	return nil
}

// Field reads the value of one field into a struct that has it, by exactly that name.
func Field(into any, name string, kind Kind, raw json.RawMessage) error {
	if len(raw) > maxField {
		return Invalid("%s has %d bytes; at most %d are read", name, len(raw), maxField)
	}
	if !json.Valid(raw) /* by itself, so that it is no other field */ || bytes.Equal(raw, []byte("null")) ||
		json.Unmarshal(fmt.Appendf(nil, "{%q:%s}", name, raw), into) != nil {
		return Invalid("%s must be %s, not %s", name, kind, Quote(raw))
	}
	if kind == Numbers {
		_, err := Object(raw) // none of its names comes twice either
		return err
	}
	return nil
}

// ID reads the id that a sender gives to a command.
func ID(raw json.RawMessage) (string, error) {
	var id *string
	if json.Unmarshal(raw, &id) != nil || id == nil || *id == "" || utf8.RuneCountInString(*id) > maxID ||
		strings.ContainsFunc(*id, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", Invalid("id must be a string of 1 to %d printable characters, not %s", maxID, Quote(raw))
	}
	return *id, nil
}

// Invalid makes the error of a payload.
func Invalid(format string, args ...any) error {
	return device.Errorf(device.CodeInvalidPayload, format, args...)
}

// Quote shows a piece of a payload as it came, if that can be shown.
func Quote(text []byte) string {
	short := Shorten(string(text))
	if strings.ContainsFunc(short, func(r rune) bool { return !unicode.IsPrint(r) }) || !utf8.ValidString(short) {
		return fmt.Sprintf("%q", short)
	}
	return short
}

// Shorten keeps a text that somebody sent at a length that can be shown.
func Shorten(text string) string {
	const most = 40
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}

// Join lists words for people.
func Join[S ~string](list []S) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}
