package mqtt

import (
	"regexp"
	"strings"

	"github.com/plate-resort/plate-resort/device"
)

// DeviceIDPattern matches what may be the id of a device: a level of a topic, and a part of client ids and of the names
// in Home Assistant.
var DeviceIDPattern = regexp.MustCompile("^[a-z0-9][a-z0-9_-]{0,63}$")

// Topics are the topics of one device.
type Topics struct {
	root string
}

// NewTopics returns the topics of a device below a base topic.
func NewTopics(base, deviceID string) Topics { return Topics{base + "/" + deviceID} }

// Availability says whether the device process is connected: "online" or "offline".
func (t Topics) Availability() string { return t.root + "/availability" }

// Instance says which process is the device.
func (t Topics) Instance() string { return t.root + "/instance" }

// State holds the device's [device.Snapshot].
func (t Topics) State() string { return t.root + "/state" }

// Health holds the motor's [device.Health].
func (t Topics) Health() string { return t.root + "/health" }

// Queue holds the first operations that wait.
func (t Topics) Queue() string { return t.root + "/queue" }

// History holds the last operations that have ended.
func (t Topics) History() string { return t.root + "/history" }

// Schedules holds the schedules by name.
func (t Topics) Schedules() string { return t.root + "/schedules" }

// Log carries the lines of the process's log.
func (t Topics) Log() string { return t.root + "/log" }

// Operation carries every change of a [device.Operation].
func (t Topics) Operation() string { return t.root + "/operation" }

// Set is the input of an operation.
func (t Topics) Set(name device.Name) string { return t.root + "/" + string(name) + "/set" }

// SetSchedule is the input of a schedule.
func (t Topics) SetSchedule(name string) string { return t.Schedules() + "/" + name + "/set" }

// inputs covers every input but those of schedules.
func (t Topics) inputs() string { return t.root + "/+/set" }

// schedule returns the name of the schedule whose input the topic is.
func (t Topics) schedule(topic string) (name string, ok bool) {
	level, isInput := strings.CutSuffix(topic, "/set")
	name, ok = strings.CutPrefix(level, t.Schedules()+"/")
	return name, ok && isInput
}

// operation returns the name of the operation whose input the topic is.
func (t Topics) operation(topic string) (name device.Name, ok bool) {
	level, ok := strings.CutSuffix(topic, "/set")
	return device.Name(strings.TrimPrefix(level, t.root+"/")), ok
}
