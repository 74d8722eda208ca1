package cmd

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/kelseyhightower/envconfig"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/mqtt/session"
)

const settingsPrefix = "PLATE_RESORT"

// minWatchdog leaves time for a few lost replies.
const minWatchdog = 300 * time.Millisecond

// An environment holds the settings as the environment has them: PLATE_RESORT_ and the field's name in
// capitals with underscores. They are text here, as envconfig would stop at the first one that is not
// well-formed; parse finds all faults.
type environment struct {
	DeviceID string `split_words:"true"`
	StateDir string `split_words:"true"`

	LogLevel  string `split_words:"true" default:"info"`
	LogFormat string `split_words:"true" default:"text"`

	MQTTBroker          string `split_words:"true" default:"tcp://localhost:1883"`
	MQTTBaseTopic       string `split_words:"true" default:"plate-resort"`
	MQTTDiscoveryPrefix string `split_words:"true" default:"homeassistant"`
	MQTTUsername        string `split_words:"true"`
	MQTTPassword        string `split_words:"true"`
	MQTTPasswordFile    string `split_words:"true"`
	MQTTCaFile          string `split_words:"true"`
	MQTTCertFile        string `split_words:"true"`
	MQTTKeyFile         string `split_words:"true"`
	MQTTKeepalive       string `split_words:"true" default:"15s"`
	MQTTOfflineCommands string `split_words:"true" default:"drop"`

	MotorPort string `split_words:"true" default:"/dev/ttyUSB0"`
	MotorBaud string `split_words:"true" default:"57600"`
	MotorID   string `split_words:"true" default:"1"`

	MotorIdleTimeout string `split_words:"true" default:"0"`
	MotorWatchdog    string `split_words:"true" default:"1s"`

	Hotels            string `split_words:"true" default:"A,B,C,D"`
	RoomsPerHotel     string `split_words:"true" default:"20"`
	OffsetAngle       string `split_words:"true" default:"19"`
	RotationDirection string `split_words:"true" default:"1"`
	Rotation          string `split_words:"true" default:"bounded"`

	Speed        string `split_words:"true" default:"50"`
	Acceleration string `split_words:"true" default:"0"`
	Tolerance    string `split_words:"true" default:"0.5"`
	MoveTimeout  string `split_words:"true" default:"20s"`

	Precise                string `split_words:"true" default:"true"`
	PreciseSwitchError     string `split_words:"true" default:"3"`
	PreciseStage1Timeout   string `split_words:"true" default:"8s"`
	PrecisePulsePWMStart   string `split_words:"true" default:"180"`
	PrecisePulseDuration   string `split_words:"true" default:"300ms"`
	PrecisePulseRest       string `split_words:"true" default:"200ms"`
	PrecisePWMStep         string `split_words:"true" default:"25"`
	PrecisePWMMax          string `split_words:"true" default:"600"`
	PreciseMotionThreshold string `split_words:"true" default:"0.12"`
	PrecisePWMBackoffStep  string `split_words:"true" default:"60"`
	PreciseMaxStepFactor   string `split_words:"true" default:"1.5"`
	PrecisePulseMax        string `split_words:"true" default:"25"`
	PreciseStallPulses     string `split_words:"true" default:"6"`

	TemperatureLimit string `split_words:"true" default:"70"`
	CurrentLimit     string `split_words:"true" default:"2000"`
	VoltageMin       string `split_words:"true" default:"10"`
	VoltageMax       string `split_words:"true" default:"14"`
	HealthInterval   string `split_words:"true" default:"10s"`

	QueueSize  string `split_words:"true" default:"100"`
	Retries    string `split_words:"true" default:"3"`
	RetryDelay string `split_words:"true" default:"5s"`

	ResumeWindow string `split_words:"true" default:"60s"`
}

// Settings are the validated settings of a device process.
type settings struct {
	deviceID string
	stateDir string // of this device; "" when nothing says where it could be
	log      slog.Handler
	warnings []string // about the settings

	broker       session.Broker
	baseTopic    string
	discovery    string // the prefix of Home Assistant's discovery; "" is none
	keepCommands bool

	port        string
	baud        int
	id          byte
	idleTimeout time.Duration
	watchdog    time.Duration

	carousel device.Carousel
	shortest bool // turn the short way round

	speed          int
	acceleration   int
	tolerance      device.Degrees
	moveTimeout    time.Duration
	isPrecise      bool
	precise        device.Precise
	limits         device.Limits
	healthInterval time.Duration
	queueSize      int
	retries        int
	retryDelay     time.Duration
	resumeWindow   time.Duration
}

// readEnvironment reads the settings as they are, with the defaults of those that are not set.
func readEnvironment() (environment, error) {
	var env environment
	if err := envconfig.Process(settingsPrefix, &env); err != nil {
		return environment{}, err
	}
	if env.DeviceID == "" {
		host, _ := os.Hostname()
		env.DeviceID = deviceIDFromHost(host)
	}
	if env.StateDir == "" {
		env.StateDir = defaultStateDir()
	}
	return env, nil
}

// loadSettings reads the settings from the environment. Change may replace some before they are
// validated. The error reports every fault.
func loadSettings(change func(*environment)) (settings, error) {
	env, err := readEnvironment()
	if err != nil {
		return settings{}, err
	}
	change(&env)
	return env.settings()
}

// settings validates the environment. The error reports every fault.
func (e environment) settings() (settings, error) {
	s, faults := e.parse()
	return s, report(faults)
}

// report makes an error of the faults of settings, and of what is no setting.
func report(faults []error) error {
	if faults = append(faults, unknownSettings(os.Environ())...); len(faults) > 0 {
		return usageError{fmt.Errorf("the settings need mending:\n%w", errors.Join(faults...))}
	}
	return nil
}

// parse validates every setting.
func (e environment) parse() (settings, []error) {
	var p parser
	s := settings{
		deviceID:       p.deviceID(e),
		log:            p.log(e),
		broker:         p.broker(e),
		baseTopic:      p.baseTopic(e),
		discovery:      p.match("MQTT_DISCOVERY_PREFIX", e.MQTTDiscoveryPrefix, discoveryPattern, "empty, or levels separated by /, without +, #, spaces and control characters"),
		keepCommands:   p.oneOf("MQTT_OFFLINE_COMMANDS", e.MQTTOfflineCommands, "drop", "run") == "run",
		port:           e.MotorPort,
		baud:           p.integer("MOTOR_BAUD", e.MotorBaud, dynamixel.Bauds[0], dynamixel.Bauds[len(dynamixel.Bauds)-1]),
		id:             byte(p.integer("MOTOR_ID", e.MotorID, 0, int(dynamixel.MaxID))),
		idleTimeout:    p.durationOrNone("MOTOR_IDLE_TIMEOUT", e.MotorIdleTimeout, time.Second, 24*time.Hour),
		watchdog:       p.durationOrNone("MOTOR_WATCHDOG", e.MotorWatchdog, minWatchdog, motor.MaxWatchdog),
		shortest:       p.oneOf("ROTATION", e.Rotation, "bounded", "shortest") == "shortest",
		speed:          p.integer("SPEED", e.Speed, 1, 1023),
		acceleration:   p.integer("ACCELERATION", e.Acceleration, 0, 32767),
		tolerance:      device.Degrees(p.number("TOLERANCE", e.Tolerance, 0.1, 5)),
		moveTimeout:    p.duration("MOVE_TIMEOUT", e.MoveTimeout, time.Second, time.Hour),
		isPrecise:      p.oneOf("PRECISE", e.Precise, "true", "false") == "true",
		precise:        p.precise(e),
		healthInterval: p.duration("HEALTH_INTERVAL", e.HealthInterval, 100*time.Millisecond, time.Minute),
		limits:         p.limits(e),
		queueSize:      p.integer("QUEUE_SIZE", e.QueueSize, 1, 10000),
		retries:        p.integer("RETRIES", e.Retries, 0, 100),
		retryDelay:     p.duration("RETRY_DELAY", e.RetryDelay, 0, time.Hour),

		resumeWindow: p.duration("RESUME_WINDOW", e.ResumeWindow, 0, time.Hour),
	}
	if e.StateDir != "" {
		s.stateDir = filepath.Join(e.StateDir, s.deviceID)
		if !filepath.IsAbs(e.StateDir) {
			p.fault("STATE_DIR", e.StateDir, "an absolute path, such as /var/lib/plate-resort")
		}
	}
	if s.port == "" {
		p.fault("MOTOR_PORT", s.port, "the name of a serial port, such as /dev/ttyUSB0")
	}
	if s.baud != 0 && !slices.Contains(dynamixel.Bauds[:], s.baud) {
		p.fault("MOTOR_BAUD", e.MotorBaud, fmt.Sprintf("one of %v", dynamixel.Bauds))
	}
	s.carousel = p.carousel(e)
	s.warnings = p.warnings
	return s, p.faults
}

var (
	baseTopicPattern = regexp.MustCompile(`^[^/+#\s$\x00][^/+#\s\x00]*(/[^/+#\s\x00]+)*$`)
	discoveryPattern = regexp.MustCompile("^$|" + baseTopicPattern.String())
)

// commonHosts are names that hosts have before somebody gives them one.
var commonHosts = []string{"localhost", "raspberrypi", "raspberry", "raspbian", "debian", "ubuntu", "dietpi", "pi", "host"}

// deviceIDFromHost makes a device id of a host's name: its first label, with - for what an id may not
// have.
func deviceIDFromHost(host string) string {
	label, _, _ := strings.Cut(strings.ToLower(host), ".")
	return strings.TrimLeft(regexp.MustCompile(`[^a-z0-9_-]`).ReplaceAllString(label, "-"), "-_")
}

// systemdStateDir is where systemd says which directory StateDirectory= has made for the service.
const systemdStateDir = "STATE_DIRECTORY"

// defaultStateDir is the directory that systemd has made, or else one in the user's home; "" without a
// home.
func defaultStateDir() string {
	if first, _, _ := strings.Cut(os.Getenv(systemdStateDir), ":"); first != "" {
		return first
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "state", "plate-resort")
}

// settingNames lists the variables in the order of the environment's fields, as envconfig names them. Its own way to list
// them is a template, and a program that has templates in it has every method of every type: 1.9 of 12.9 MB.
func settingNames() (names []string) {
	for field := range reflect.TypeFor[environment]().Fields() {
		var name strings.Builder
		for i, letter := range field.Name {
			if i > 0 && unicode.IsUpper(letter) && (!unicode.IsUpper(rune(field.Name[i-1])) || i+1 < len(field.Name) && !unicode.IsUpper(rune(field.Name[i+1]))) {
				name.WriteByte('_')
			}
			name.WriteRune(unicode.ToUpper(letter))
		}
		names = append(names, settingsPrefix+"_"+name.String())
	}
	return names
}

// activeHelp is set by cobra's scripts for shells when they ask for completions.
const activeHelp = settingsPrefix + "_ACTIVE_HELP"

// unknownSettings reports variables with our prefix that are no setting, such as misspelt ones.
func unknownSettings(environ []string) (faults []error) {
	names := append(settingNames(), activeHelp)
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, settingsPrefix+"_") && !slices.Contains(names, name) {
			faults = append(faults, fmt.Errorf("%s is not a setting; is it misspelt?", name))
		}
	}
	return faults
}
