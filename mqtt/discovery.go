package mqtt

import (
	"cmp"
	"fmt"
	"regexp"

	"github.com/plate-resort/plate-resort/device"
)

// Home Assistant's device discovery (https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload),
// as of release 2024.12: one retained message makes the device and its entities.

const (
	// projectURL is where people find help.
	projectURL = "https://github.com/plate-resort/plate-resort"
	// healthExpiry is how long a value of the health counts, in seconds. A new one comes every minute.
	healthExpiry = 180
	// anySpeed is the highest profile velocity while that of the servo is not known.
	anySpeed = 1023
)

// A discovery makes the message for one device.
type discovery struct {
	topics   Topics
	deviceID string
	prefix   string // "" is no discovery
}

// topic is where the message is published, below the prefix that Home Assistant listens to.
func (d discovery) topic() string { return d.prefix + d.below() }

func (d discovery) below() string { return "/device/plate_resort/" + d.deviceID + "/config" }

// birth is where Home Assistant says that it has started.
func (d discovery) birth() string { return d.prefix + "/status" }

// A servo is what the message depends on and is known only when the motor has been found.
type servo struct {
	model         string
	firmware      int
	speedLimit    int // 0 when it is not known
	current, load bool
}

func servoOf(v *device.View) servo {
	h := v.Health
	s := servo{model: h.Model, firmware: h.Firmware, current: h.Current != nil, load: h.Load != nil}
	if limit := v.State.SpeedLimit; limit != nil {
		s.speedLimit = *limit
	}
	return s
}

// hardware is the servo for people to read.
func (s servo) hardware() string {
	if s.model == "" {
		return ""
	}
	return fmt.Sprintf("%s, firmware %d", s.model, s.firmware)
}

// The types below have the names of Home Assistant. What is left out has its default there: online and
// offline, ON and OFF, PRESS.

type discoveryMessage struct {
	Device       discoveryDevice   `json:"device"`
	Origin       discoveryOrigin   `json:"origin"`
	Availability []availability    `json:"availability"` // of entities that have none of their own
	Components   map[string]entity `json:"components"`
}

type discoveryDevice struct {
	Identifiers  []string `json:"identifiers"`
	Name         string   `json:"name"`
	Manufacturer string   `json:"manufacturer"`
	Model        string   `json:"model"`
	HWVersion    string   `json:"hw_version,omitempty"`
	SWVersion    string   `json:"sw_version"`
}

type discoveryOrigin struct {
	Name       string `json:"name"`
	SWVersion  string `json:"sw_version"`
	SupportURL string `json:"support_url"`
}

type availability struct {
	Topic         string `json:"topic"`
	ValueTemplate string `json:"value_template,omitempty"`
}

// An entity with nothing but its platform is one that Home Assistant is to remove.
type entity struct {
	Platform        string `json:"platform"`
	UniqueID        string `json:"unique_id,omitempty"`
	DefaultEntityID string `json:"default_entity_id,omitempty"`
	Name            string `json:"name,omitempty"`
	Icon            string `json:"icon,omitempty"`
	DeviceClass     string `json:"device_class,omitempty"`
	EntityCategory  string `json:"entity_category,omitempty"`
	QoS             int    `json:"qos,omitempty"`

	Availability     []availability `json:"availability,omitempty"`
	AvailabilityMode string         `json:"availability_mode,omitempty"`

	CommandTopic string   `json:"command_topic,omitempty"`
	PayloadPress string   `json:"payload_press,omitempty"` // of a button
	Options      []string `json:"options,omitempty"`       // of a select, and of a sensor that is an enum
	Min          *float64 `json:"min,omitempty"`           // of a number, and the next three
	Max          *float64 `json:"max,omitempty"`
	Step         float64  `json:"step,omitempty"`
	Mode         string   `json:"mode,omitempty"`

	StateTopic             string   `json:"state_topic,omitempty"`
	ValueTemplate          string   `json:"value_template,omitempty"`
	JSONAttributesTopic    string   `json:"json_attributes_topic,omitempty"`
	JSONAttributesTemplate string   `json:"json_attributes_template,omitempty"`
	EventTypes             []string `json:"event_types,omitempty"` // of an event
	UnitOfMeasurement      string   `json:"unit_of_measurement,omitempty"`
	StateClass             string   `json:"state_class,omitempty"`
	DisplayPrecision       *int     `json:"suggested_display_precision,omitempty"`
	ExpireAfter            int      `json:"expire_after,omitempty"` // seconds
}

// message makes the message.
func (d discovery) message(v *device.View) discoveryMessage {
	servo := servoOf(v)
	m := discoveryMessage{
		Device: discoveryDevice{
			Identifiers:  []string{"plate_resort_" + d.deviceID},
			Name:         "Plate Resort " + d.deviceID,
			Manufacturer: "Plate Resort",
			Model:        "Carousel of microplate hotels",
			HWVersion:    servo.hardware(),
			SWVersion:    v.Health.Version,
		},
		Origin:       discoveryOrigin{"plate-resort", v.Health.Version, projectURL},
		Availability: d.process(),
		Components:   d.controls(v.State.Hotels, servo),
	}
	for id, e := range d.sensors(servo) {
		m.Components[id] = e
	}
	for id, e := range m.Components {
		if e.Name == "" {
			continue
		}
		e.UniqueID = "plate_resort_" + d.deviceID + "_" + id
		e.DefaultEntityID = e.Platform + "." + separators.ReplaceAllString(e.UniqueID, "_")
		e.QoS = 1
		m.Components[id] = e
	}
	return m
}

// separators are what an entity id has one underscore for.
var separators = regexp.MustCompile(`[-_]+`)

// process is the availability of the device process.
func (d discovery) process() []availability { return []availability{{Topic: d.topics.Availability()}} }

// motor is the availability of what needs the motor: of the process, and of the motor.
func (d discovery) motor(e entity) entity {
	e.Availability = append(d.process(), availability{
		Topic:         d.topics.State(),
		ValueTemplate: "{{ 'online' if " + motorConnected + " else 'offline' }}",
	})
	e.AvailabilityMode = "all"
	return e
}

const motorConnected = "value_json.connection in ['connected', 'idle']"

// controls are the entities that people operate.
func (d discovery) controls(hotels []string, s servo) map[string]entity {
	fastest := cmp.Or(s.speedLimit, anySpeed)
	return map[string]entity{
		"hotel": d.motor(entity{
			Platform: "select", Name: "Hotel", Icon: "mdi:view-carousel",
			CommandTopic: d.topics.Set(device.HotelOperation), Options: hotels,
			StateTopic: d.topics.State(), ValueTemplate: "{{ value_json.hotel }}",
		}),
		"angle": d.motor(entity{
			Platform: "number", Name: "Angle", Icon: "mdi:angle-acute",
			CommandTopic: d.topics.Set(device.AngleOperation), Min: new(0.0), Max: new(359.99), Step: 0.01, Mode: "box",
			StateTopic: d.topics.State(), ValueTemplate: "{{ value_json.angle }}", UnitOfMeasurement: "°",
		}),
		"speed": d.motor(entity{
			Platform: "number", Name: "Speed", Icon: "mdi:speedometer", EntityCategory: "config",
			CommandTopic: d.topics.Set(device.SpeedOperation), Min: new(1.0), Max: new(float64(fastest)), Step: 1, Mode: "box",
			// It is 0 before the first contact with the motor.
			StateTopic: d.topics.State(), ValueTemplate: "{{ value_json.speed or None }}", UnitOfMeasurement: "× 0.229 rpm",
		}),
		"home": d.motor(entity{
			Platform: "button", Name: "Home", Icon: "mdi:home",
			CommandTopic: d.topics.Set(device.HomeOperation),
		}),
		"stop": {
			Platform: "button", Name: "Emergency stop", Icon: "mdi:alert-octagon",
			CommandTopic: d.topics.Set(device.StopOperation),
		},
		"reset": {
			Platform: "button", Name: "Reset", Icon: "mdi:lock-open-variant",
			CommandTopic: d.topics.Set(device.ResetOperation),
		},
		"reboot": d.motor(entity{
			Platform: "button", Name: "Reboot the servo", DeviceClass: "restart", EntityCategory: "config",
			CommandTopic: d.topics.Set(device.RebootOperation),
		}),
		"refresh": d.motor(entity{
			Platform: "button", Name: "Refresh", Icon: "mdi:refresh", EntityCategory: "diagnostic",
			CommandTopic: d.topics.Set(device.RefreshOperation),
		}),
		"cancel_all": {
			Platform: "button", Name: "Cancel all", Icon: "mdi:playlist-remove",
			CommandTopic: d.topics.Set(device.CancelOperation), PayloadPress: "all",
		},
		"connection": {
			Platform: "switch", Name: "Connection", Icon: "mdi:power-plug", EntityCategory: "config",
			CommandTopic: d.topics.Set(device.ConnectionOperation),
			// On is also a motor that is wanted and not found.
			StateTopic: d.topics.State(), ValueTemplate: "{{ 'OFF' if value_json.connection == 'released' else 'ON' }}",
		},
	}
}

// sensors are the entities that people read.
func (d discovery) sensors(s servo) map[string]entity {
	entities := map[string]entity{
		"status": enum(d.topics.State(), entity{
			Name: "Status", Icon: "mdi:state-machine", ValueTemplate: "{{ value_json.status }}",
		}, device.StatusReady, device.StatusBusy, device.StatusDegraded, device.StatusRequiresInit,
			device.StatusError, device.StatusEStop, device.StatusUnknown),
		"activity": enum(d.topics.State(), entity{
			Name: "Activity", Icon: "mdi:rotate-360", ValueTemplate: "{{ value_json.activity }}",
		}, device.Idle, device.Turning),
		"present_angle": d.motor(entity{
			Platform: "sensor", Name: "Present angle", Icon: "mdi:angle-acute",
			StateTopic: d.topics.State(), ValueTemplate: "{{ value_json.angle }}",
			UnitOfMeasurement: "°", DisplayPrecision: new(1),
		}),
		"temperature": d.measurement("temperature", "°C", 0, entity{Name: "Temperature", DeviceClass: "temperature"}),
		"voltage":     d.measurement("voltage", "V", 1, entity{Name: "Voltage", DeviceClass: "voltage"}),
		"queue_length": {
			Platform: "sensor", Name: "Queue length", Icon: "mdi:tray-full",
			StateTopic: d.topics.State(), ValueTemplate: "{{ value_json.queue_length }}",
			UnitOfMeasurement: "operations", StateClass: "measurement",
		},
		"last_operation": enum(d.topics.History(), entity{
			Name: "Last operation", Icon: "mdi:history", ValueTemplate: "{{ value_json[0].state if value_json else None }}",
			JSONAttributesTopic:    d.topics.History(),
			JSONAttributesTemplate: "{{ (value_json[0] if value_json else {}) | tojson }}",
		}, device.Completed, device.Failed, device.Cancelled, device.Expired, device.Interrupted),
		"operations_total": {
			Platform: "sensor", Name: "Operations total", Icon: "mdi:counter", EntityCategory: "diagnostic",
			StateTopic: d.topics.State(), ValueTemplate: "{{ value_json.operations_total }}",
			UnitOfMeasurement: "operations", StateClass: "total_increasing",
		},
		"moving": d.motor(d.binary("value_json.activity == 'running'", entity{Name: "Moving", DeviceClass: "moving"})),
		"problem": d.binary("value_json.status in ['error', 'degraded']", entity{
			Name: "Problem", DeviceClass: "problem", EntityCategory: "diagnostic",
			JSONAttributesTopic:    d.topics.State(),
			JSONAttributesTemplate: "{{ {'message': value_json.message} | tojson }}",
		}),
		"emergency_stop":  d.binary("value_json.emergency_stop", entity{Name: "Emergency stop", DeviceClass: "safety"}),
		"motor_connected": d.binary(motorConnected, entity{Name: "Motor", DeviceClass: "connectivity", EntityCategory: "diagnostic"}),
		"operation": {
			Platform: "event", Name: "Operation", Icon: "mdi:playlist-play",
			EventTypes: texts(device.Queued, device.Running, device.Retrying, device.Completed, device.Failed,
				device.Cancelled, device.Expired, device.Interrupted, device.Rejected),
			StateTopic: d.topics.Operation(), ValueTemplate: "{{ dict(value_json, event_type=value_json.state) | tojson }}",
		},
	}
	current := d.measurement("current", "mA", 0, entity{Name: "Current", DeviceClass: "current"})
	load := d.measurement("load", "%", 0, entity{Name: "Load", Icon: "mdi:weight"})
	switch { // a servo of another model may have been here before
	case s.current:
		entities["current"], entities["load"] = current, entity{Platform: "sensor"}
	case s.load:
		entities["load"], entities["current"] = load, entity{Platform: "sensor"}
	}
	return entities
}

// enum is a sensor that has one of some values.
func enum[S ~string](topic string, e entity, options ...S) entity {
	e.Platform, e.DeviceClass, e.StateTopic, e.Options = "sensor", "enum", topic, texts(options...)
	return e
}

// measurement is a sensor of a field of the health.
func (d discovery) measurement(field, unit string, decimals int, e entity) entity {
	e.Platform, e.EntityCategory, e.StateClass = "sensor", "diagnostic", "measurement"
	e.StateTopic, e.ValueTemplate, e.ExpireAfter = d.topics.Health(), "{{ value_json."+field+" }}", healthExpiry
	e.UnitOfMeasurement, e.DisplayPrecision = unit, &decimals
	return d.motor(e)
}

// binary is a sensor of the state that is on while a condition holds.
func (d discovery) binary(condition string, e entity) entity {
	e.Platform, e.StateTopic = "binary_sensor", d.topics.State()
	e.ValueTemplate = "{{ 'ON' if " + condition + " else 'OFF' }}"
	return e
}

func texts[S ~string](list ...S) []string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return texts
}
