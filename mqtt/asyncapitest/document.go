// Package asyncapitest judges messages by an AsyncAPI 3 document, for tests.
package asyncapitest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// A Document is an AsyncAPI document whose schemas are ready.
type Document struct {
	root     map[string]any
	channels []channel
}

type channel struct {
	address  string
	topic    *regexp.Regexp
	messages []message
}

type message struct {
	name   string
	text   bool // else JSON
	schema *jsonschema.Schema
}

// The document's name in its own references.
const location = "file:///asyncapi.json"

// parameter is one in a channel's address.
var parameter = regexp.MustCompile(`\\\{\w+\\\}`)

// Load reads a document in YAML. The parameters in the addresses of its channels stand for one level each,
// but for those that have a value here.
func Load(text string, parameters map[string]string) (*Document, error) {
	d := new(Document)
	if err := yaml.Unmarshal([]byte(text), &d.root); err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7) // what AsyncAPI's schemas are
	compiler.AssertFormat()
	if err := compiler.AddResource(location, d.root); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(d.Object("channels"))) {
		path := []string{"channels", name}
		c := channel{address: d.text(append(path, "address")...)}
		pattern := parameter.ReplaceAllStringFunc(regexp.QuoteMeta(c.address), func(p string) string {
			if value, ok := parameters[strings.Trim(p, `\{}`)]; ok {
				return regexp.QuoteMeta(value)
			}
			return `[^/]+`
		})
		c.topic = regexp.MustCompile("^" + pattern + "$")
		for _, key := range slices.Sorted(maps.Keys(d.Object(append(path, "messages")...))) {
			at := strings.Split(strings.TrimPrefix(d.text(append(path, "messages", key, "$ref")...), "#/"), "/")
			m := message{name: d.text(append(at, "name")...), text: d.text(append(at, "contentType")...) == "text/plain"}
			var err error
			if m.schema, err = compiler.Compile(location + "#/" + strings.Join(append(at, "payload"), "/")); err != nil {
				return nil, err
			}
			c.messages = append(c.messages, m)
		}
		d.channels = append(d.channels, c)
	}
	return d, nil
}

// Object returns what is at a path in the document; nil if that is no object.
func (d *Document) Object(path ...string) map[string]any {
	object, _ := d.at(path).(map[string]any)
	return object
}

func (d *Document) text(path ...string) string {
	text, _ := d.at(path).(string)
	return text
}

func (d *Document) at(path []string) (value any) {
	value = d.root
	for _, key := range path {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	return value
}

// Addresses lists the addresses of the channels.
func (d *Document) Addresses() (addresses []string) {
	for _, c := range d.channels {
		addresses = append(addresses, c.address)
	}
	return addresses
}

// ErrNoChannel is for a topic that the document does not have.
var ErrNoChannel = errors.New("the document has no channel with this topic")

// Validate returns nil if a payload on a topic is one of the messages of its channel.
func (d *Document) Validate(topic string, payload []byte) error {
	for _, c := range d.channels {
		if !c.topic.MatchString(topic) {
			continue
		}
		var errs []error
		for _, m := range c.messages {
			err := m.validate(payload)
			if err == nil {
				return nil
			}
			errs = append(errs, fmt.Errorf("%s: %w", m.name, err))
		}
		return errors.Join(errs...)
	}
	return ErrNoChannel
}

// validate takes a text with the white space around it away, as the device does.
func (m message) validate(payload []byte) error {
	if m.text {
		return m.schema.Validate(string(bytes.TrimSpace(payload)))
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	if err != nil {
		return err
	}
	return m.schema.Validate(value)
}
