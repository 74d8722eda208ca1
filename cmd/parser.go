package cmd

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt"
	"github.com/plate-resort/plate-resort/mqtt/session"
)

// A parser makes values of the settings' texts and collects what is wrong with them.
type parser struct {
	faults []error
}

func (p *parser) fault(name, value, want string) {
	p.faults = append(p.faults, fmt.Errorf("%s_%s is %q; it must be %s", settingsPrefix, name, hideUser(value), want))
}

var user = regexp.MustCompile(`//[^,]*@`)

// hideUser takes user name and password out of the URLs in a text.
func hideUser(text string) string { return user.ReplaceAllString(text, "//(hidden)@") }

func (p *parser) match(name, value string, pattern *regexp.Regexp, want string) string {
	if !pattern.MatchString(value) {
		p.fault(name, value, want)
	}
	return value
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
	return p.match("MQTT_BASE_TOPIC", e.MQTTBaseTopic, baseTopicPattern, "levels separated by /, without +, # and spaces")
}

// broker takes the settings that say how to reach the broker, and as whom.
func (p *parser) broker(e environment) session.Broker {
	b := session.Broker{
		URLs:      p.brokers("MQTT_BROKER", e.MQTTBroker),
		Username:  e.MQTTUsername,
		Password:  p.password(e.MQTTPassword, e.MQTTPasswordFile),
		TLS:       p.tls(e.MQTTCaFile, e.MQTTCertFile, e.MQTTKeyFile),
		Keepalive: p.duration("MQTT_KEEPALIVE", e.MQTTKeepalive, time.Second, time.Hour),
	}
	if b.Username == "" && (b.Password != "" || e.MQTTPasswordFile != "") {
		p.fault("MQTT_USERNAME", "", "set, as there is a password")
	}
	return b
}

func (p *parser) brokers(name, value string) []string {
	var brokers []string
	for _, broker := range strings.Split(value, ",") {
		broker = strings.TrimSpace(broker)
		u, err := url.Parse(broker)
		if err != nil || u.Hostname() == "" || !slices.Contains([]string{"tcp", "ssl", "ws", "wss"}, u.Scheme) {
			p.fault(name, value, "a URL or several with commas between them, tcp, ssl, ws or wss, such as tcp://broker.lab:1883")
			return nil
		}
		if u.User != nil {
			p.faults = append(p.faults, fmt.Errorf("%s_%s holds a user name; give it in %[1]s_MQTT_USERNAME and %[1]s_MQTT_PASSWORD_FILE", settingsPrefix, name))
			return nil
		}
		brokers = append(brokers, broker)
	}
	return brokers
}

// password takes the password from the setting or, without the line's end, from the file.
func (p *parser) password(password, file string) string {
	switch {
	case file == "":
		return password
	case password != "":
		p.faults = append(p.faults, fmt.Errorf("%s_MQTT_PASSWORD and %[1]s_MQTT_PASSWORD_FILE are both set; set one of them", settingsPrefix))
		return ""
	}
	content, err := os.ReadFile(file)
	if err != nil {
		p.faults = append(p.faults, fmt.Errorf("%s_MQTT_PASSWORD_FILE cannot be read: %w", settingsPrefix, err))
		return ""
	}
	return strings.TrimRight(string(content), "\r\n")
}

// tls makes the settings of an encrypted connection: the authorities that the broker's certificate may
// come from, the system's if there is no file, and the certificate that the device shows, if any.
func (p *parser) tls(caFile, certFile, keyFile string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		config.RootCAs = x509.NewCertPool()
		switch {
		case err != nil:
			p.faults = append(p.faults, fmt.Errorf("%s_MQTT_CA_FILE cannot be read: %w", settingsPrefix, err))
		case !config.RootCAs.AppendCertsFromPEM(pem):
			p.fault("MQTT_CA_FILE", caFile, "a file with certificates in PEM format")
		}
	}
	switch {
	case certFile == "" && keyFile == "":
	case certFile == "" || keyFile == "":
		p.faults = append(p.faults, fmt.Errorf("%s_MQTT_CERT_FILE and %[1]s_MQTT_KEY_FILE go together; one of them is not set", settingsPrefix))
	default:
		certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			p.faults = append(p.faults, fmt.Errorf("%s_MQTT_CERT_FILE and %[1]s_MQTT_KEY_FILE cannot be used: %w", settingsPrefix, err))
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config
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
