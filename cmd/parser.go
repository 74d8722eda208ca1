package cmd

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt"
)

// A parser makes values of the settings' texts and collects what is wrong with them.
type parser struct {
	faults   []error
	warnings []string // about what works, and is not safe
}

func (p *parser) fault(name, value, want string) {
	p.faults = append(p.faults, fmt.Errorf("%s_%s is %q; it must be %s", settingsPrefix, name, hideUser(value), want))
}

var user = regexp.MustCompile(`(?s)(\w+://)?.*@`)

// hideUser takes user name and password out of the URLs in a text, also of those that are not well-formed.
func hideUser(text string) string { return user.ReplaceAllString(text, "${1}(hidden)@") }

func (p *parser) match(name, value string, pattern *regexp.Regexp, want string) string {
	if !pattern.MatchString(value) || !isText(value) {
		p.fault(name, value, want)
	}
	return value
}

// isText reports whether brokers, logs and people can take a text: a broker may close the connection on one with
// control characters, or that is not UTF-8.
func isText(value string) bool {
	return utf8.ValidString(value) && !strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) })
}

func (p *parser) oneOf(name, value string, choices ...string) string {
	if !slices.Contains(choices, value) {
		p.fault(name, value, strings.Join(choices, " or "))
	}
	return value
}

func (p *parser) integer(name, value string, least, most int) int {
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		p.fault(name, value, fmt.Sprintf("a whole number from %d to %d", least, most))
		return 0
	}
	return n
}

func (p *parser) number(name, value string, least, most float64) float64 {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(n) || n < least || n > most {
		p.fault(name, value, fmt.Sprintf("a number from %v to %v", least, most))
		return 0
	}
	return n
}

func (p *parser) duration(name, value string, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(value)
	if err != nil || d < least || d > most {
		p.fault(name, value, fmt.Sprintf("a duration from %v to %v, with its unit: ms, s, m or h", least, most))
		return 0
	}
	return d
}

// durationOrNone takes a duration that may also be 0.
func (p *parser) durationOrNone(name, value string, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(value)
	if err != nil || d != 0 && d < least || d > most {
		p.fault(name, value, fmt.Sprintf("0, or a duration from %v to %v, with its unit: ms, s, m or h", least, most))
		return 0
	}
	return d
}

func (p *parser) deviceID(e environment) string {
	if slices.Contains(commonHosts, e.DeviceID) {
		p.fault("DEVICE_ID", e.DeviceID, "set: many hosts have this name, and two devices with the same id throw each other out; choose one, such as lab1")
	}
	return p.match("DEVICE_ID", e.DeviceID, mqtt.DeviceIDPattern, "up to 64 small letters, digits, - and _, beginning with a letter or digit")
}

func (p *parser) baseTopic(e environment) string {
	return p.match("MQTT_BASE_TOPIC", e.MQTTBaseTopic, baseTopicPattern, "levels separated by /, without +, #, spaces and control characters")
}

// precise takes the settings of precise moves, which have the names that they have in a command.
func (p *parser) precise(e environment) (s device.Precise) {
	values := map[string]string{
		"switch_error":     e.PreciseSwitchError,
		"stage1_timeout":   e.PreciseStage1Timeout,
		"pulse_pwm_start":  e.PrecisePulsePWMStart,
		"pulse_duration":   e.PrecisePulseDuration,
		"pulse_rest":       e.PrecisePulseRest,
		"pwm_step":         e.PrecisePWMStep,
		"pwm_max":          e.PrecisePWMMax,
		"motion_threshold": e.PreciseMotionThreshold,
		"pwm_backoff_step": e.PrecisePWMBackoffStep,
		"max_step_factor":  e.PreciseMaxStepFactor,
		"pulse_max":        e.PrecisePulseMax,
		"stall_pulses":     e.PreciseStallPulses,
	}
	for _, o := range device.Overrides {
		name, value := "PRECISE_"+strings.ToUpper(o.Name), values[o.Name]
		switch {
		case o.Unit == "seconds":
			o.Set(&s, p.duration(name, value, toDuration(o.Least), toDuration(o.Most)).Seconds())
		case o.Whole:
			o.Set(&s, float64(p.integer(name, value, int(o.Least), int(o.Most))))
		default:
			o.Set(&s, p.number(name, value, o.Least, o.Most))
		}
	}
	if s.PulsePWMStart > s.PWMMax && s.PWMMax > 0 {
		p.fault("PRECISE_PULSE_PWM_START", e.PrecisePulsePWMStart, "no higher than PRECISE_PWM_MAX, which is "+e.PrecisePWMMax)
	}
	return s
}

// limits takes the limits beyond which there is a warning.
func (p *parser) limits(e environment) device.Limits {
	before := len(p.faults)
	l := device.Limits{
		Temperature: p.number("TEMPERATURE_LIMIT", e.TemperatureLimit, 0, 100),
		Current:     p.number("CURRENT_LIMIT", e.CurrentLimit, 0, 10000),
		MinVoltage:  p.number("VOLTAGE_MIN", e.VoltageMin, 0, 30),
		MaxVoltage:  p.number("VOLTAGE_MAX", e.VoltageMax, 0, 30),
	}
	if len(p.faults) == before && l.MinVoltage > l.MaxVoltage {
		p.fault("VOLTAGE_MIN", e.VoltageMin, "no higher than VOLTAGE_MAX, which is "+e.VoltageMax)
	}
	return l
}

func toDuration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// carousel places the hotels: by name, evenly spaced, or name:angle, as measured.
func (p *parser) carousel(e environment) device.Carousel {
	offset := device.Degrees(p.number("OFFSET_ANGLE", e.OffsetAngle, -360, 360))
	direction := 1
	if p.oneOf("ROTATION_DIRECTION", e.RotationDirection, "1", "-1") == "-1" {
		direction = -1
	}
	rooms := p.integer("ROOMS_PER_HOTEL", e.RoomsPerHotel, 1, 1000)
	c := device.Carousel{RoomsPerHotel: max(rooms, 1)}
	var names []string
	measured := strings.Contains(e.Hotels, ":")
	for _, entry := range strings.Split(e.Hotels, ",") {
		name, angle, _ := strings.Cut(strings.TrimSpace(entry), ":")
		if !isText(name) { // nobody could send for it
			p.fault("HOTELS", e.Hotels, "names without control characters")
			return c
		}
		names = append(names, name)
		if !measured {
			continue
		}
		degrees, err := strconv.ParseFloat(angle, 64)
		if err != nil {
			p.fault("HOTELS", e.Hotels, "names, A,B,C,D, or names with the angle of each in degrees, A:19,B:109")
			return c
		}
		c.Hotels = append(c.Hotels, device.Hotel{Name: name, Angle: device.Degrees(degrees)})
	}
	if !measured {
		c.Hotels = device.EvenlySpaced(names, offset, direction)
	}
	if err := c.Validate(); err != nil {
		p.faults = append(p.faults, fmt.Errorf("%s_HOTELS is %q: %w", settingsPrefix, e.Hotels, err))
	}
	return c
}

// log makes of the settings for it what writes the log, to standard error.
func (p *parser) log(e environment) slog.Handler {
	var level slog.Level
	if err := level.UnmarshalText([]byte(e.LogLevel)); err != nil {
		p.fault("LOG_LEVEL", e.LogLevel, "debug, info, warn or error")
	}
	options := &slog.HandlerOptions{Level: level}
	if p.oneOf("LOG_FORMAT", e.LogFormat, "text", "json") == "json" {
		return slog.NewJSONHandler(os.Stderr, options)
	}
	return slog.NewTextHandler(os.Stderr, options)
}
