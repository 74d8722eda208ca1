//go:build e2e

package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A secureBroker is a Mosquitto with mosquitto/hardened.conf and mosquitto/acl, and with certificates and users
// of mosquitto/setup. It is reached as localhost, and no certificate is for 127.0.0.1.
type secureBroker struct {
	dir     string // what is /etc/mosquitto elsewhere
	port    string
	process *process
}

// subscribedUser is a device that says on a topic of its own when a watch has its subscriptions.
const (
	subscribedUser  = "e2e"
	secureSubscribe = "plate-resort/" + subscribedUser + "/subscribed"
)

// emptySecureBroker makes a folder for it, and nothing else.
func emptySecureBroker(t *testing.T) *secureBroker {
	t.Helper()
	// Mosquitto gives up root's rights, if it has them, and then must reach its files: t.TempDir is closed to others.
	dir, err := os.MkdirTemp("", "plate-resort-secure-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return &secureBroker{dir: dir, port: freePort(t)}
}

// prepareSecureBroker makes everything that the broker needs: for the devices lab and other, two operators and a
// viewer, who have client certificates, too.
func prepareSecureBroker(t *testing.T) *secureBroker {
	t.Helper()
	b := emptySecureBroker(t)
	b.setup(t, "--port", b.port, "broker", "localhost")
	b.setup(t, "--certificate", "device", "lab", "other", subscribedUser)
	b.setup(t, "--certificate", "operator", "operator", "alice")
	b.setup(t, "--certificate", "viewer", "viewer")
	b.change(t, "listener "+b.port, "listener "+b.port+" localhost") // nobody else on this network
	// The broker's log then has what the access control has denied.
	conf := filepath.Join(b.dir, "mosquitto.conf")
	writeFile(t, conf, readFile(t, conf)+"log_type all\n")
	return b
}

func newSecureBroker(t *testing.T) *secureBroker {
	t.Helper()
	b := prepareSecureBroker(t)
	b.start(t)
	return b
}

// setup runs mosquitto/setup and returns what it has printed.
func (b *secureBroker) setup(t *testing.T, args ...string) string {
	t.Helper()
	out, err := b.trySetup(args...)
	if err != nil {
		t.Fatalf("setup %q: %v\n%s", args, err, out)
	}
	return out
}

func (b *secureBroker) trySetup(args ...string) (string, error) {
	out, err := exec.Command("sh", append([]string{"../mosquitto/setup", "--dir", b.dir}, args...)...).CombinedOutput()
	return string(out), err
}

// change replaces a line of the configuration.
func (b *secureBroker) change(t *testing.T, line, by string) {
	t.Helper()
	conf := filepath.Join(b.dir, "conf.d", "plate-resort.conf")
	text := readFile(t, conf)
	if strings.Count(text, "\n"+line+"\n") != 1 {
		t.Fatalf("%s must have the line %q once, for the tests to replace", conf, line)
	}
	writeFile(t, conf, strings.Replace(text, "\n"+line+"\n", "\n"+by+"\n", 1))
}

func (b *secureBroker) start(t *testing.T) {
	t.Helper()
	b.process = start(t, "mosquitto", nil, mosquitto, "-c", filepath.Join(b.dir, "mosquitto.conf"))
	b.process.awaitText(t, "mosquitto version", "running")
}

// reload has the broker read its files again.
func (b *secureBroker) reload(t *testing.T) {
	t.Helper()
	n := b.process.count("Reloading config")
	if err := b.process.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	b.process.await(t, "reloading", 0, func(string) bool { return b.process.count("Reloading config") > n })
}

// path is that of a file of Plate Resort beside Mosquitto's configuration.
func (b *secureBroker) path(elements ...string) string {
	return filepath.Join(append([]string{b.dir, "plate-resort"}, elements...)...)
}

// as is the environment in which mosquitto_pub and mosquitto_sub are this user.
func (b *secureBroker) as(user string) []string {
	return []string{"XDG_CONFIG_HOME=" + b.path("users", user)}
}

// settings are those of plate-resort for this user, and then more.
func (b *secureBroker) settings(t *testing.T, user string, more ...string) []string {
	t.Helper()
	return append(strings.Split(strings.TrimSpace(readFile(t, b.path("users", user, "settings"))), "\n"), more...)
}

// tryPublish sends one message as this user. The broker has taken it, and maybe denied it, when this returns
// without an error.
func (b *secureBroker) tryPublish(user, topic, payload string, options ...string) (string, error) {
	c := exec.Command(mosquittoPub, append([]string{"-q", "1", "-t", topic, "-s"}, options...)...)
	c.Env = append(cleanEnvironment(), b.as(user)...)
	c.Stdin = strings.NewReader(payload)
	out, err := c.CombinedOutput()
	return string(out), err
}

func (b *secureBroker) publish(t *testing.T, user, topic, payload string, options ...string) {
	t.Helper()
	if out, err := b.tryPublish(user, topic, payload, options...); err != nil {
		t.Fatalf("mosquitto_pub as %s to %s: %v\n%s", user, topic, err, out)
	}
}

// watch subscribes as this user and returns when the broker has the subscriptions.
func (b *secureBroker) watch(t *testing.T, user string, topics ...string) *watch {
	t.Helper()
	b.publish(t, subscribedUser, secureSubscribe, "yes", "-r")
	args := []string{"-q", "1", "-F", "message %r %t %p"}
	for _, topic := range append(topics, secureSubscribe) {
		args = append(args, "-t", topic)
	}
	w := &watch{start(t, "mosquitto_sub as "+user, b.as(user), mosquittoSub, args...), make(map[string]int)}
	// All but devices may read it.
	w.process.awaitText(t, "message 1 "+secureSubscribe)
	return w
}

// device makes the device lab, with what it needs around it. Servo and device are the test's to start.
func (b *secureBroker) device(t *testing.T, settings ...string) *device {
	t.Helper()
	d := &device{terminal: filepath.Join(t.TempDir(), "servo"), stateDir: t.TempDir()}
	d.settings = append(b.settings(t, "lab",
		"PLATE_RESORT_STATE_DIR="+d.stateDir,
		"RUNTIME_DIRECTORY="+d.stateDir,
		"PLATE_RESORT_MOTOR_PORT="+d.terminal,
		"PLATE_RESORT_HEALTH_INTERVAL=100ms"), settings...)
	d.watch = b.watch(t, "viewer", d.topic("availability"), d.topic("state"), d.topic("operation"), d.topic("schedules"), d.topic("log"))
	return d
}

// command runs a command of plate-resort as this user, for the device lab, until it ends.
func (b *secureBroker) command(t *testing.T, user string, wantStatus int, args ...string) *process {
	t.Helper()
	env := b.settings(t, user)
	if args[0] != "devices" {
		env = append(env, "PLATE_RESORT_DEVICE_ID=lab")
	}
	p := start(t, "plate-resort "+strings.Join(args, " "), env, plateResort, args...)
	if status := p.status(t); status != wantStatus {
		t.Errorf("%s as %s ended with status %d, want %d:\n%s", p.name, user, status, wantStatus, p.output())
	}
	return p
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// writeFile writes a file, and leaves the mode of one that is there.
func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
