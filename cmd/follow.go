package cmd

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt"
)

// A follower says for people what devices do.
type follower struct {
	screen   *screen
	width    int                        // of the longest id of a device so far
	statuses map[string]string          // what was last said of a device's status
	presence map[string]string          // and of its availability
	turning  map[string]device.Snapshot // the devices whose carousel turns
}

func newFollower(s *screen) *follower {
	return &follower{
		screen: s, statuses: make(map[string]string), presence: make(map[string]string), turning: make(map[string]device.Snapshot),
	}
}

// unheardPatience is how long the broker may take to tell of a device, before it is said that it does not.
const unheardPatience = time.Second

// follow prints what is worth a line, and shows on the last one where the carousels that turn are. The devices are those
// that are expected; none are all.
func follow(messages <-chan client.Message, s *screen, devices ...string) error {
	f := newFollower(s)
	defer s.clear()
	unheard := time.After(unheardPatience)
	for {
		select {
		case m, ok := <-messages:
			if !ok {
				return nil
			}
			if text := f.describe(m); text != "" {
				if err := f.println(m.Received, m.Device, text); err != nil {
					return err
				}
			}
		case now := <-unheard:
			for _, id := range devices {
				if f.presence[id] == "" {
					if err := f.println(now, id, s.in(yellow, "not known to the broker")+", waiting for it"); err != nil {
						return err
					}
				}
			}
		}
		s.show(f.progress())
	}
}

// println prints what there is to say of a device.
func (f *follower) println(at time.Time, id, text string) error {
	f.width = max(f.width, len(id))
	time := f.screen.in(faint, at.Local().Format(time.TimeOnly))
	return f.screen.println(fmt.Sprintf("%s  %-*s  %s", time, f.width, printable(id), text))
}

// describe returns the line for a message, or "" when it says nothing new.
func (f *follower) describe(m client.Message) string {
	switch m.Topic {
	case client.Broker:
		clear(f.turning)
		return f.describeConnection(m)
	case client.Availability:
		return f.describeAvailability(m)
	case client.State:
		return f.describeState(m)
	case client.Operation:
		var e device.Event
		if json.Unmarshal(m.Payload, &e) != nil {
			return ""
		}
		op := e.Operation
		text := describe(op.Name, op.Parameters) + ": " + f.screen.describeEvent(e)
		if schedule, ok := strings.CutPrefix(op.Source, "schedule:"); ok {
			text += " (schedule " + printable(schedule) + ")"
		}
		return text
	case client.Log:
		return f.describeLog(m)
	}
	return ""
}

func (f *follower) describeConnection(m client.Message) string {
	var c client.Connection
	if json.Unmarshal(m.Payload, &c) != nil {
		return ""
	}
	if c.Connected {
		return "connected to the broker " + c.Broker
	}
	return f.screen.in(red, "no connection to the broker") + ", trying again until there is: " + c.Error
}

func (f *follower) describeAvailability(m client.Message) string {
	text := printable(string(m.Payload))
	if f.presence[m.Device] == text {
		return ""
	}
	f.presence[m.Device] = text
	if text == mqtt.Online {
		return f.screen.in(green, text)
	}
	delete(f.turning, m.Device)
	return f.screen.in(red, text)
}

// describeState says status and message when they have changed.
func (f *follower) describeState(m client.Message) string {
	var s device.Snapshot
	if json.Unmarshal(m.Payload, &s) != nil {
		return ""
	}
	delete(f.turning, m.Device)
	if s.Activity == device.Turning && s.Operation != nil && f.presence[m.Device] == mqtt.Online {
		f.turning[m.Device] = s
	}
	text := string(s.Status) + ", " + s.Message
	said := text
	if s.Status == device.StatusReady && s.Hotel == nil {
		said = string(s.Status) // the message is the angle, which changes while somebody turns the carousel
	}
	if f.statuses[m.Device] == said {
		return ""
	}
	f.statuses[m.Device] = said
	c := plain
	switch s.Status {
	case device.StatusEStop, device.StatusError:
		c = red
	case device.StatusUnknown, device.StatusRequiresInit, device.StatusDegraded:
		c = yellow
	case device.StatusReady:
		c = green
	}
	return f.screen.in(c, printable(string(s.Status))) + ", " + printable(s.Message)
}

// describeLog writes a warning or an error of the device's log, which is a JSON object with level, msg and whatever belongs to it.
func (f *follower) describeLog(m client.Message) string {
	var fields map[string]any
	if json.Unmarshal(m.Payload, &fields) != nil {
		return ""
	}
	level, _ := fields["level"].(string)
	if level == "INFO" { // the operations say it
		return ""
	}
	message, _ := fields["msg"].(string)
	c := plain
	switch level {
	case "WARN":
		c = yellow
	case "ERROR":
		c = red
	}
	text := "log: " + f.screen.in(c, printable(level)) + " " + printable(message)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name == "level" || name == "msg" || name == "time" {
			continue
		}
		value, _ := json.Marshal(fields[name]) // it comes from JSON
		if word, ok := fields[name].(string); ok && !strings.ContainsAny(word, " \"=") {
			value = []byte(word)
		}
		text += printable(fmt.Sprintf(" %s=%s", name, value))
	}
	return text
}

// progress says where the carousels are that turn.
func (f *follower) progress() string {
	var texts []string
	for _, id := range slices.Sorted(maps.Keys(f.turning)) {
		texts = append(texts, printable(id)+"  "+progress(*f.turning[id].Operation, f.turning[id]))
	}
	return strings.Join(texts, "   ")
}
