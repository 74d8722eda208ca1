//go:build e2e

package cmd_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A password is nowhere to be read: not in what commands print, in what the device publishes, in the arguments
// of a process, or in the device's files. The broker wants the password, so that all commands use it; or another one, so
// that all fail.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const secret = "geheim-4711"
	inFile := filepath.Join(t.TempDir(), "password")
	writeFile(t, inFile, secret+"\n")
	ways := map[string]struct {
		settings []string
		refused  bool // as settings
	}{
		"variable":        {[]string{"PLATE_RESORT_MQTT_USERNAME=lab", "PLATE_RESORT_MQTT_PASSWORD=" + secret}, false},
		"file":            {[]string{"PLATE_RESORT_MQTT_USERNAME=lab", "PLATE_RESORT_MQTT_PASSWORD_FILE=" + inFile}, false},
		"URL":             {[]string{"PLATE_RESORT_MQTT_BROKER=tcp://lab:" + secret + "@localhost:%s"}, true},
		"second URL":      {[]string{"PLATE_RESORT_MQTT_BROKER=tcp://localhost:%s,tcp://lab:" + secret + "@localhost:%[1]s"}, true},
		"URL with comma":  {[]string{"PLATE_RESORT_MQTT_BROKER=tcp://lab:" + secret + ",x@localhost:%s"}, true},
		"no scheme":       {[]string{"PLATE_RESORT_MQTT_BROKER=lab:" + secret + "@localhost:%s"}, true},
		"unknown scheme":  {[]string{"PLATE_RESORT_MQTT_BROKER=mqtt://lab:" + secret + "@localhost:%s"}, true},
		"wrong character": {[]string{"PLATE_RESORT_MQTT_BROKER=tcp://lab:" + secret + "%%zz@localhost:%s"}, true},
		"without a user":  {[]string{"PLATE_RESORT_MQTT_PASSWORD=" + secret}, true},
		"twice":           {[]string{"PLATE_RESORT_MQTT_USERNAME=lab", "PLATE_RESORT_MQTT_PASSWORD=" + secret, "PLATE_RESORT_MQTT_PASSWORD_FILE=" + inFile}, true},
	}
	for _, accepted := range []bool{true, false} {
		b := newBroker(t)
		b.demandPassword(t, secret, accepted)
		for name, way := range ways {
			t.Run(fmt.Sprintf("%s, accepted %v", name, accepted), func(t *testing.T) {
				t.Parallel()
				state := t.TempDir()
				env := []string{"PLATE_RESORT_DEVICE_ID=" + strings.NewReplacer(" ", "-").Replace(strings.ToLower(name)), "PLATE_RESORT_LOG_LEVEL=debug",
					"PLATE_RESORT_STATE_DIR=" + state, "PLATE_RESORT_MOTOR_PORT=" + filepath.Join(state, "none"),
					"PLATE_RESORT_MQTT_BROKER=tcp://localhost:" + b.port}
				for _, setting := range way.settings {
					if strings.Contains(setting, "%") {
						setting = fmt.Sprintf(setting, b.port)
					}
					env = append(env, setting)
				}
				connects := accepted && !way.refused
				end := 0
				switch {
				case way.refused:
					end = 2
				case !accepted:
					end = 1
				}
				run := func(args ...string) *process {
					p := start(t, strings.Join(args, " "), env, plateResort, args...)
					t.Cleanup(func() {
						if strings.Contains(p.output(), secret) {
							t.Errorf("%s prints the password", p.name)
						}
					})
					return p
				}
				ends := func(status int, args ...string) {
					if p := run(args...); p.status(t) != status {
						t.Errorf("%s ended with status %d, want %d", p.name, p.status(t), status)
					}
				}
				device, page := run("run"), run("dashboard", "--listen", "127.0.0.1:0", "--password-file", inFile)
				switch {
				case way.refused:
					for _, p := range []*process{device, page} {
						if status := p.status(t); status != 2 {
							t.Errorf("%s ended with status %d, want 2", p.name, status)
						}
					}
				case connects:
					device.awaitText(t, "connected to the broker", "connection=commands")
					page.awaitText(t, "connected to the broker")
				default:
					device.awaitText(t, "the broker refused user name or password")
					page.awaitText(t, "the broker refused user name or password")
				}
				if !way.refused {
					expectNoArgument(t, device, secret)
					expectNoArgument(t, page, secret)
					_, at, _ := strings.Cut(page.awaitText(t, "The dashboard is at"), "http://")
					if text := fetch(t, "http://"+at+"/", secret); strings.Contains(text, secret) {
						t.Error("the page has the password")
					}
				}
				configured := 0
				if way.refused {
					configured = 2
				}
				ends(configured, "config")
				if connects {
					ends(1, "send", "home") // there is no servo
					ends(0, "devices")
					run("watch").awaitText(t, "requires_init")
				} else {
					ends(end, "send", "home")
					ends(end, "devices")
					ends(end, "watch")
				}
				if err := filepath.WalkDir(state, func(path string, entry os.DirEntry, err error) error {
					if err == nil && entry.Type().IsRegular() && strings.Contains(readFile(t, path), secret) {
						t.Errorf("%s has the password", path)
					}
					return err
				}); err != nil {
					t.Error(err)
				}
			})
		}
		t.Cleanup(func() { // what the devices have published, log and all
			for _, observer := range b.observers {
				if accepted && observer.count("observed plate-resort/variable/log ") == 0 {
					t.Error("the log on the broker is not seen")
				}
				if n := observer.count(fmt.Sprintf("%X", secret)) + observer.count(fmt.Sprintf("%x", secret)); n > 0 {
					t.Errorf("%d messages have the password", n)
				}
			}
		})
	}
}

// demandPassword has the broker let in the user lab with this password, or with another one if it is not accepted.
// The test's own clients need none.
func (b *broker) demandPassword(t *testing.T, password string, accepted bool) {
	t.Helper()
	if !accepted {
		password = "another"
	}
	b.process.end(15)
	passwords := filepath.Join(filepath.Dir(b.config), "passwords")
	writeFile(t, passwords, "lab:"+password+"\n")
	c := start(t, "mosquitto_passwd", nil, "mosquitto_passwd", "-U", passwords)
	if status := c.status(t); status != 0 {
		t.Fatalf("mosquitto_passwd ended with status %d", status)
	}
	writeFile(t, b.config, readFile(t, b.config)+"password_file "+passwords+"\nuser root\n") // only root could change to another
	b.start(t)
}

// expectNoArgument fails the test if a text is in the command line of a process, as the kernel shows it to everybody.
func expectNoArgument(t *testing.T, p *process, text string) {
	t.Helper()
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.cmd.Process.Pid))
	if err != nil {
		t.Error(err)
	}
	if strings.Contains(string(line), text) {
		t.Errorf("%s has the arguments %q", p.name, line)
	}
}

// fetch gets a page with that password.
func fetch(t *testing.T, url, password string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("", password)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, response.Status, err)
	}
	return string(text)
}
