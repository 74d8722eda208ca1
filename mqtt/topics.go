package mqtt

import (
	"strings"

	"github.com/plate-resort/plate-resort/device"
)

// Topics are the topics of one device.
type Topics struct {
	root string
}

// NewTopics returns the topics of a device below a base topic.
func NewTopics(base, deviceID string) Topics { return Topics{base + "/" + deviceID} }

// Availability says whether the device process is connected: "online" or "offline".
func (t Topics) Availability() string { return t.root + "/availability" }

// State holds the device's [device.Snapshot].
func (t Topics) State() string { return t.root + "/state" }

// Operation carries every change of a [device.Operation].
func (t Topics) Operation() string { return t.root + "/operation" }

// Set is the input of an operation.
func (t Topics) Set(name device.Name) string { return t.root + "/" + string(name) + "/set" }

// inputs is the subscription that covers every input.
func (t Topics) inputs() string { return t.root + "/+/set" }

// operation returns the name of the operation whose input the topic is.
func (t Topics) operation(topic string) device.Name {
	return device.Name(strings.TrimSuffix(strings.TrimPrefix(topic, t.root+"/"), "/set"))
}
