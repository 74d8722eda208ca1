package cmd

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

const settingsPrefix = "PLATE_RESORT"

// An environment holds the settings as the environment has them: PLATE_RESORT_ and the field's name in
// capitals with underscores. They are text here, as envconfig would stop at the first one that is not
// well-formed; parse finds all faults.
type environment struct {
	DeviceID string `split_words:"true"`

	LogLevel  string `split_words:"true" default:"info"`
	LogFormat string `split_words:"true" default:"text"`

	MQTTBroker       string `split_words:"true" default:"tcp://localhost:1883"`
	MQTTBaseTopic    string `split_words:"true" default:"plate-resort"`
	MQTTUsername     string `split_words:"true"`
	MQTTPassword     string `split_words:"true"`
	MQTTPasswordFile string `split_words:"true"`
	MQTTKeepalive    string `split_words:"true" default:"15s"`

	MotorPort string `split_words:"true" default:"/dev/ttyUSB0"`
	MotorBaud string `split_words:"true" default:"57600"`
	MotorID   string `split_words:"true" default:"1"`

	Hotels            string `split_words:"true" default:"A,B,C,D"`
	RoomsPerHotel     string `split_words:"true" default:"20"`
	OffsetAngle       string `split_words:"true" default:"19"`
	RotationDirection string `split_words:"true" default:"1"`

	Speed          string `split_words:"true" default:"50"`
	Acceleration   string `split_words:"true" default:"0"`
	Tolerance      string `split_words:"true" default:"0.5"`
	MoveTimeout    string `split_words:"true" default:"20s"`
	HealthInterval string `split_words:"true" default:"10s"`
	QueueSize      string `split_words:"true" default:"100"`
}

// Settings are the validated settings of a device process.
type settings struct {
	deviceID string

	logLevel slog.Level
	logJSON  bool

	brokers   []string
	baseTopic string
	username  string
	password  string
	keepalive time.Duration

	port string
	baud int
	id   byte

	carousel device.Carousel

	speed          int
	acceleration   int
	tolerance      device.Degrees
	moveTimeout    time.Duration
	healthInterval time.Duration
	queueSize      int
}

// loadSettings reads the settings from the environment. Change may replace some before they are
// validated. The error reports every fault.
func loadSettings(change func(*environment)) (settings, error) {
	var env environment
	if err := envconfig.Process(settingsPrefix, &env); err != nil {
		return settings{}, err
	}
	if env.DeviceID == "" {
		host, _ := os.Hostname()
		env.DeviceID = deviceIDFromHost(host)
	}
	change(&env)
	s, faults := env.parse()
	faults = append(faults, unknownSettings(os.Environ())...)
	if len(faults) > 0 {
		return settings{}, usageError{fmt.Errorf("the settings need mending:\n%w", errors.Join(faults...))}
	}
	return s, nil
}

// parse validates every setting.
func (e environment) parse() (settings, []error) {
	var p parser
	s := settings{
		deviceID:       p.match("DEVICE_ID", e.DeviceID, deviceIDPattern, "small letters, digits, - and _, beginning with a letter or digit"),
		logJSON:        p.oneOf("LOG_FORMAT", e.LogFormat, "text", "json") == "json",
		brokers:        p.brokers("MQTT_BROKER", e.MQTTBroker),
		baseTopic:      p.match("MQTT_BASE_TOPIC", e.MQTTBaseTopic, baseTopicPattern, "levels separated by /, without +, # and spaces"),
		username:       e.MQTTUsername,
		password:       p.password(e.MQTTPassword, e.MQTTPasswordFile),
		keepalive:      p.duration("MQTT_KEEPALIVE", e.MQTTKeepalive, time.Second, time.Hour),
		port:           e.MotorPort,
		baud:           p.integer("MOTOR_BAUD", e.MotorBaud, dynamixel.Bauds[0], dynamixel.Bauds[len(dynamixel.Bauds)-1]),
		id:             byte(p.integer("MOTOR_ID", e.MotorID, 0, int(dynamixel.MaxID))),
		speed:          p.integer("SPEED", e.Speed, 1, 1023),
		acceleration:   p.integer("ACCELERATION", e.Acceleration, 0, 32767),
		tolerance:      device.Degrees(p.number("TOLERANCE", e.Tolerance, 0.1, 5)),
		moveTimeout:    p.duration("MOVE_TIMEOUT", e.MoveTimeout, time.Second, time.Hour),
		healthInterval: p.duration("HEALTH_INTERVAL", e.HealthInterval, 100*time.Millisecond, time.Minute),
		queueSize:      p.integer("QUEUE_SIZE", e.QueueSize, 1, 10000),
	}
	if slices.Contains(commonHosts, s.deviceID) {
		p.fault("DEVICE_ID", s.deviceID, "set: many hosts have this name, and two devices with the same id throw each other out; choose one, such as lab1")
	}
	if err := s.logLevel.UnmarshalText([]byte(e.LogLevel)); err != nil {
		p.fault("LOG_LEVEL", e.LogLevel, "debug, info, warn or error")
	}
	if s.port == "" {
		p.fault("MOTOR_PORT", s.port, "the name of a serial port, such as /dev/ttyUSB0")
	}
	if s.baud != 0 && !slices.Contains(dynamixel.Bauds[:], s.baud) {
		p.fault("MOTOR_BAUD", e.MotorBaud, fmt.Sprintf("one of %v", dynamixel.Bauds))
	}
	s.carousel = p.carousel(e)
	return s, p.faults
}

var (
	deviceIDPattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
	baseTopicPattern = regexp.MustCompile(`^[^/+#\s$\x00][^/+#\s\x00]*(/[^/+#\s\x00]+)*$`)
)

// commonHosts are names that hosts have before somebody gives them one.
var commonHosts = []string{"localhost", "raspberrypi", "raspberry", "raspbian", "debian", "ubuntu", "dietpi", "pi", "host"}

// deviceIDFromHost makes a device id of a host's name: its first label, with - for what an id may not
// have.
func deviceIDFromHost(host string) string {
	label, _, _ := strings.Cut(strings.ToLower(host), ".")
	return strings.TrimLeft(regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(label, "-"), "-_")
}

// unknownSettings reports variables with our prefix that are no setting, such as misspelt ones.
func unknownSettings(environ []string) (faults []error) {
	var known strings.Builder
	if err := envconfig.Usagef(settingsPrefix, new(environment), &known, "{{range .}}{{usage_key .}}\n{{end}}"); err != nil {
		return []error{err}
	}
	names := strings.Fields(known.String())
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, settingsPrefix+"_") && !slices.Contains(names, name) {
			faults = append(faults, fmt.Errorf("%s is not a setting; is it misspelt?", name))
		}
	}
	return faults
}
