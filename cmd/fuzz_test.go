package cmd

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/mqtt"
)

// FuzzSettings gives two settings any values, and the others those that they have if nobody sets them. Either
// there are settings that the program can work with, or errors that name one of the two, and no secret.
func FuzzSettings(f *testing.F) {
	const secret = "open sesame"
	defaults := environment{DeviceID: "lab", StateDir: "/var/lib/plate-resort", MQTTUsername: "lab", MQTTPassword: secret}
	for i, tag := range tags() {
		if field := reflect.ValueOf(&defaults).Elem().Field(i); field.String() == "" {
			field.SetString(tag.Get("default"))
		}
	}
	names := settingNames()
	f.Fuzz(func(t *testing.T, a uint8, one string, b uint8, other string) {
		env := defaults
		changed := []string{names[int(a)%len(names)], names[int(b)%len(names)]}
		for i, text := range []string{other, one} {
			name := changed[1-i]
			if strings.HasSuffix(name, "_FILE") || name == settingsPrefix+"_MQTT_PASSWORD" || strings.Contains(text, "\x00") || len(text) > 500 {
				return // no disk, no other secret, and nothing that cannot be in an environment
			}
			reflect.ValueOf(&env).Elem().Field(slices.Index(names, name)).SetString(text)
		}
		s, faults := env.parse()
		for _, err := range faults {
			message := err.Error()
			if !strings.HasPrefix(message, changed[0]+" ") && !strings.HasPrefix(message, changed[1]+" ") && !pairs(message, changed) {
				t.Errorf("%s and %s are changed, and the error is %s", changed[0], changed[1], message)
			}
			if !utf8.ValidString(message) || strings.ContainsFunc(message, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
				t.Errorf("the error is %q", message)
			}
			if strings.Contains(message, secret) && !strings.Contains(one+other, secret) {
				t.Errorf("the error tells the secret: %s", message)
			}
		}
		if len(faults) == 0 {
			areUsable(t, env, s)
		}
		env.MQTTBroker = "tcp://ann:sesame/@sesame@" + one
		if _, faults := env.parse(); !strings.Contains(one, "sesame") && !strings.Contains(other, "sesame") {
			for _, err := range faults {
				if strings.Contains(err.Error(), "sesame") {
					t.Errorf("the error tells the secret: %s", err)
				}
			}
		}
	})
}

// tags are those of the environment's fields.
func tags() (tags []reflect.StructTag) {
	for i := range reflect.TypeFor[environment]().NumField() {
		tags = append(tags, reflect.TypeFor[environment]().Field(i).Tag)
	}
	return tags
}

// pairs reports whether an error is of a setting that another one which is changed bounds.
func pairs(message string, changed []string) bool {
	for _, pair := range [][2]string{{"VOLTAGE_MIN", "VOLTAGE_MAX"}, {"PRECISE_PULSE_PWM_START", "PRECISE_PWM_MAX"}, {"HOTELS", "OFFSET_ANGLE"}} {
		if strings.HasPrefix(message, settingsPrefix+"_"+pair[0]+" ") && slices.Contains(changed, settingsPrefix+"_"+pair[1]) {
			return true
		}
	}
	return false
}

// areUsable checks what the program relies on.
func areUsable(t *testing.T, env environment, s settings) {
	t.Helper()
	topics := mqtt.NewTopics(s.baseTopic, s.deviceID)
	for what, text := range map[string]string{
		"the topic": topics.SetSchedule(strings.Repeat("s", 64)), "the discovery's prefix": s.discovery + "x", "the user": s.broker.Username,
	} {
		if !utf8.ValidString(text) || len(text) > 65535 || strings.ContainsFunc(text, unicode.IsControl) ||
			what != "the user" && (strings.HasPrefix(text, "$") || strings.ContainsAny(text, "+# ")) {
			t.Errorf("%s is %q", what, text)
		}
	}
	if err := s.carousel.Validate(); err != nil {
		t.Error(err)
	}
	var measured []string
	for _, h := range s.carousel.Hotels {
		if h.Name != strings.TrimSpace(h.Name) || !utf8.ValidString(h.Name) || strings.ContainsFunc(h.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("nobody can send for the hotel %q", h.Name)
		}
		measured = append(measured, h.Name+":"+strconv.FormatFloat(float64(h.Angle), 'g', -1, 64))
	}
	env.Hotels = strings.Join(measured, ",")
	if again, faults := env.parse(); len(faults) > 0 || !slices.Equal(again.carousel.Hotels, s.carousel.Hotels) {
		t.Errorf("%v is read as %v, %v", env.Hotels, again.carousel.Hotels, faults)
	}
	for _, text := range s.broker.URLs {
		if u, err := url.Parse(text); err != nil || u.User != nil || u.Hostname() == "" {
			t.Errorf("a broker is %q", text)
		}
	}
	numbers := fmt.Sprint(s.tolerance, s.limits, s.precise)
	if strings.Contains(numbers, "NaN") || strings.Contains(numbers, "Inf") {
		t.Errorf("a number is none: %s", numbers)
	}
	switch {
	case len(s.broker.URLs) == 0, !slices.Contains(dynamixel.Bauds[:], s.baud), s.id > dynamixel.MaxID, s.port == "",
		s.watchdog < 0, s.watchdog > motor.MaxWatchdog, s.watchdog > 0 && s.watchdog < minWatchdog,
		s.speed < 1, s.acceleration < 0, s.tolerance <= 0, s.moveTimeout <= 0, s.healthInterval <= 0, s.queueSize < 1, s.retries < 0,
		s.retryDelay < 0, s.resumeWindow < 0, s.idleTimeout < 0, s.precise.PulsePWMStart > s.precise.PWMMax, s.precise.PulseMax < 1,
		s.limits.MinVoltage > s.limits.MaxVoltage, s.carousel.RoomsPerHotel < 1:
		t.Errorf("the settings are %+v", s)
	}
}
