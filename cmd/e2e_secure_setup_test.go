//go:build e2e

package cmd_test

import (
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What mosquitto/setup makes can be read by those who need it, and may be made again.
func TestSecureSetup(t *testing.T) {
	t.Parallel()
	b := prepareSecureBroker(t)
	passwords := map[string]bool{}
	for _, user := range []string{"lab", "other", "operator", "alice", "viewer"} {
		password := strings.TrimSpace(readFile(t, b.path("users", user, "password")))
		if len(password) < 32 || passwords[password] {
			t.Errorf("%s has the password %q", user, password)
		}
		passwords[password] = true
		if strings.Contains(readFile(t, b.path("passwords")), password) {
			t.Errorf("the broker has the password of %s as it is", user)
		}
	}
	for path, want := range map[string]fs.FileMode{
		b.path("authority", "ca.key"): 0o600, b.path("authority"): 0o700, b.path("users"): 0o700,
		b.path("users", "lab", "password"): 0o600, b.path("users", "lab", "mosquitto_pub"): 0o600, b.path("users", "lab", "client.key"): 0o600,
		b.path("broker.key"): 0o640, b.path("passwords"): 0o640, b.path("acl"): 0o640, b.path("broker.crt"): 0o644, b.path("ca.crt"): 0o644,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
		} else if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has the mode %v, want %v", path, got, want)
		}
	}

	// The certificates are for their purpose.
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(readFile(t, b.path("ca.crt"))))
	for _, row := range []struct {
		name  string
		usage x509.ExtKeyUsage
		host  string
	}{
		{b.path("broker"), x509.ExtKeyUsageServerAuth, "localhost"},
		{b.path("users", "lab", "client"), x509.ExtKeyUsageClientAuth, ""},
	} {
		pair, err := tls.LoadX509KeyPair(row.name+".crt", row.name+".key")
		if err != nil {
			t.Error(err)
			continue
		}
		for usage, other := range map[x509.ExtKeyUsage]bool{row.usage: false, x509.ExtKeyUsageServerAuth + x509.ExtKeyUsageClientAuth - row.usage: true} {
			_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: row.host, KeyUsages: []x509.ExtKeyUsage{usage}})
			if other != (err != nil) {
				t.Errorf("%s for the usage %v: %v", row.name, usage, err)
			}
		}
		if days := time.Until(pair.Leaf.NotAfter).Hours() / 24; days < 729 || days > 731 {
			t.Errorf("%s holds %v days", row.name, days)
		}
	}

	// All of it again.
	conf := filepath.Join(b.dir, "conf.d", "plate-resort.conf")
	before := make(map[string]string)
	for _, path := range []string{b.path("ca.crt"), b.path("authority", "ca.key"), b.path("acl"), b.path("passwords"), conf,
		b.path("users", "lab", "password"), b.path("users", "lab", "settings"), b.path("users", "operator", "password"), b.path("broker.crt"), b.path("users", "lab", "client.crt")} {
		before[path] = readFile(t, path)
	}
	b.setup(t, "--port", "1", "broker")
	b.setup(t, "device", "lab")
	b.setup(t, "operator", "operator", "alice")
	b.setup(t, "viewer", "viewer")
	for path, text := range before {
		if renewed := path == b.path("broker.crt"); renewed == (readFile(t, path) == text) {
			t.Errorf("after a second time %s is the same: %v", path, !renewed)
		}
	}
	b.setup(t, "--certificate", "--days", "3", "device", "lab")
	if readFile(t, b.path("users", "lab", "client.crt")) == before[b.path("users", "lab", "client.crt")] {
		t.Error("the client certificate is not renewed")
	}

	// Names: an IPv6 address, too, and they stay.
	out := b.setup(t, "broker", "broker.lab", "10.0.0.7", "fd00::7")
	again := b.setup(t, "broker")
	for _, out := range []string{out, again} {
		if !strings.Contains(out, "DNS:broker.lab,IP:10.0.0.7,IP:") {
			t.Errorf("the names are in\n%s", out)
		}
	}
	b.setup(t, "device", "named")
	if s := b.settings(t, "named"); !slices.Contains(s, "PLATE_RESORT_MQTT_BROKER=ssl://broker.lab:"+b.port) {
		t.Errorf("the settings are %q", s)
	}

	// A user who is removed leaves nothing, and can have another role then.
	b.setup(t, "remove", "alice", "other")
	for _, path := range []string{b.path("acl"), b.path("passwords")} {
		if text := readFile(t, path); strings.Contains(text, "alice") || strings.Contains(text, "other:") {
			t.Errorf("%s still has them:\n%s", path, text)
		}
	}
	b.setup(t, "viewer", "other")
	b.setup(t, "remove", "operator")
	b.setup(t, "operator", "operator", "bob") // whose rules are copied

	copied := filepath.Join(t.TempDir(), "bob")
	b.setup(t, "copy", "bob", copied)
	if text := readFile(t, filepath.Join(copied, "settings")); !strings.Contains(text, "PLATE_RESORT_MQTT_CA_FILE="+copied+"/ca.crt\n") || strings.Contains(text, b.dir) {
		t.Errorf("the copied settings are\n%s", text)
	}

	// What was left half done is no way to another role: rules without a password.
	whole := readFile(t, b.path("passwords"))
	writeFile(t, b.path("passwords"), strings.ReplaceAll(whole, "\nbob:", "\nnot-bob:"))
	if out, err := b.trySetup("viewer", "bob"); err == nil || !strings.Contains(out, "bob is a user already, with the role operator") {
		t.Errorf("an operator without a password becomes a viewer: %v\n%s", err, out)
	}
	writeFile(t, b.path("passwords"), whole)

	// Others may not come in beside it.
	beside := filepath.Join(b.dir, "conf.d", "default.conf")
	writeFile(t, beside, "listener 1883\nallow_anonymous true\n")
	if out, err := b.trySetup("broker"); err == nil || !strings.Contains(out, "listener 1883") || !strings.Contains(out, beside) {
		t.Errorf("with another listener: %v\n%s", err, out)
	}
	if err := os.Remove(beside); err != nil {
		t.Fatal(err)
	}

	b.setup(t, "remove", "viewer")
	for _, row := range []struct {
		status int
		want   string
		args   []string
	}{
		{0, "safer on a USB stick", []string{"--help"}},
		{2, "Set up a Mosquitto", nil},
		{2, "there is no command brokr", []string{"brokr", "x"}},
		{2, "there is no option --dri", []string{"--dri", "x", "broker"}},
		{2, "--days needs a value", []string{"broker", "--days"}},
		{2, "are numbers", []string{"--port", "mqtt", "broker", "x"}},
		{2, "device needs a name", []string{"device"}},
		{2, `"Lab" is no name for a user`, []string{"device", "Lab"}},
		{2, `"../../x" is no name for a user`, []string{"remove", "../../x"}},
		{2, `"a b" is no name`, []string{"device", "a b"}},
		{2, "neither a host name nor an address", []string{"broker", "broker_lab"}},
		{1, "lab is a user already, with the role device", []string{"viewer", "lab"}},
		{1, "bob is a user already, with the role operator", []string{"device", "bob"}},
		{1, "the name viewer is for the role viewer", []string{"device", "viewer"}},
		{1, "there is no user nobody", []string{"remove", "nobody"}},
		{1, "there is no user nobody", []string{"copy", "nobody", copied + "2"}},
		{1, "is there already", []string{"copy", "bob", copied}},
		{2, "copy needs the name of a user, and a folder", []string{"copy", "bob"}},
	} {
		out, err := b.trySetup(row.args...)
		status := 0
		if exit, ok := err.(*exec.ExitError); ok {
			status = exit.ExitCode()
		}
		if status != row.status || !strings.Contains(out, row.want) {
			t.Errorf("setup %q ended with status %d, want %d, and %q:\n%s", row.args, status, row.status, row.want, out)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(b.dir, ".setup-*")); len(left) > 0 {
		t.Errorf("it has left %q", left)
	}

	// Without the authority's key, which is in a drawer, nobody gets a certificate, and no other authority is made.
	if err := os.Rename(b.path("authority", "ca.key"), filepath.Join(t.TempDir(), "ca.key")); err != nil {
		t.Fatal(err)
	}
	ca := readFile(t, b.path("ca.crt"))
	if out, err := b.trySetup("broker"); err == nil || !strings.Contains(out, "put it back") {
		t.Errorf("without the authority's key: %v\n%s", err, out)
	}
	if readFile(t, b.path("ca.crt")) != ca {
		t.Error("there is another authority")
	}
	b.setup(t, "device", "without") // needs no certificate
	empty := &secureBroker{dir: t.TempDir()}
	for args, want := range map[string]string{"device lab": "there is no broker yet", "broker": "by which names do others reach the broker?"} {
		if out, err := empty.trySetup(strings.Fields(args)...); err == nil || !strings.Contains(out, want) {
			t.Errorf("setup %s in an empty folder: %v\n%s", args, err, out)
		}
	}
}

// No password is an argument of a program, where every user of the machine could see it.
func TestSecureSetupArguments(t *testing.T) {
	t.Parallel()
	dir, bin := t.TempDir(), t.TempDir()
	log := filepath.Join(t.TempDir(), "log")
	var printed string
	tools := []string{"openssl", "mosquitto_passwd", "sed", "awk", "cat", "grep", "mv", "cp", "chmod", "expr", "paste", "cut", "mkdir", "rm", "id"}
	for _, tool := range tools {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		script := filepath.Join(bin, tool)
		writeFile(t, script, "#!/bin/sh\nfor a; do printf '%s\\n' \"$a\"; done >>"+log+"\nexec "+path+" \"$@\"\n")
		if err := os.Chmod(script, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range []string{"broker localhost", "--certificate device lab", "operator operator", "copy operator " + filepath.Join(dir, "copy")} {
		c := exec.CommandContext(t.Context(), "sh", append([]string{"../mosquitto/setup", "--dir", dir}, strings.Fields(args)...)...)
		c.Env = append(cleanEnvironment(), "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("setup %s: %v\n%s", args, err, out)
		}
		printed += string(out)
	}
	text := readFile(t, log)
	if !strings.Contains(text, "-U\n") || !strings.Contains(text, "pkey") && !strings.Contains(text, "x509") {
		t.Fatalf("the arguments are not seen:\n%s", text)
	}
	for _, user := range []string{"lab", "operator"} {
		password := strings.TrimSpace(readFile(t, filepath.Join(dir, "plate-resort", "users", user, "password")))
		if password == "" || strings.Contains(text, password) {
			t.Errorf("the password of %s, %q, is an argument", user, password)
		}
		if strings.Contains(printed, password) {
			t.Errorf("the password of %s is printed:\n%s", user, printed)
		}
	}
}
