//go:build e2e

package cmd_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Who is not who he should be does not come in, neither client nor broker, and the device's log says what to mend.
func TestSecureConnections(t *testing.T) {
	t.Parallel()
	open, strict, expired, stranger := newSecureBroker(t), prepareSecureBroker(t), prepareSecureBroker(t), prepareSecureBroker(t)
	strict.change(t, "require_certificate false", "require_certificate true")
	strict.start(t)
	expired.age(t, expired.path("broker"), func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"localhost"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	expired.start(t)
	plain := newBroker(t)
	outdated := listenOldTLS(t, open)
	old := filepath.Join(t.TempDir(), "old")
	copyFile(t, strict.path("users", "lab", "client.key"), old+".key")
	strict.age(t, old, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	wrong := filepath.Join(t.TempDir(), "wrong")
	writeFile(t, wrong, "guessed\n")

	for name, c := range map[string]struct {
		broker *secureBroker
		change []string // settings that are not those of mosquitto/setup
		want   []string
		log    string // of the broker
	}{
		"wrong password": {open, []string{"MQTT_PASSWORD_FILE=" + wrong},
			[]string{"the broker refused user name or password: PLATE_RESORT_MQTT_USERNAME and PLATE_RESORT_MQTT_PASSWORD_FILE"}, "not authorised"},
		"unknown user": {open, []string{"MQTT_USERNAME=nobody"},
			[]string{"the broker refused user name or password"}, "not authorised"},
		"nobody": {open, []string{"MQTT_USERNAME=", "MQTT_PASSWORD_FILE="},
			[]string{"the broker wants a user name and a password: set PLATE_RESORT_MQTT_USERNAME"}, "not authorised"},
		"password without the certificate": {strict, []string{"MQTT_CERT_FILE=", "MQTT_KEY_FILE="},
			[]string{"the broker wants a client certificate: set PLATE_RESORT_MQTT_CERT_FILE and PLATE_RESORT_MQTT_KEY_FILE"}, "SSL routines"},
		"certificate without the password": {strict, []string{"MQTT_PASSWORD_FILE=" + wrong},
			[]string{"the broker refused user name or password"}, "not authorised"},
		"certificate of a foreign authority": {strict, []string{
			"MQTT_CERT_FILE=" + stranger.path("users", "lab", "client.crt"), "MQTT_KEY_FILE=" + stranger.path("users", "lab", "client.key")},
			[]string{"the broker refused the certificate in PLATE_RESORT_MQTT_CERT_FILE", "from the authority that the broker trusts"}, "SSL routines"},
		"expired certificate": {strict, []string{"MQTT_CERT_FILE=" + old + ".crt", "MQTT_KEY_FILE=" + old + ".key"},
			[]string{"the broker refused the certificate in PLATE_RESORT_MQTT_CERT_FILE, which expired on 20"}, "SSL routines"},
		"broker of a foreign authority": {open, []string{"MQTT_CA_FILE=" + stranger.path("ca.crt")},
			[]string{"the broker's certificate is not from an authority that this machine trusts: set PLATE_RESORT_MQTT_CA_FILE"}, "SSL routines"},
		"broker of an authority that the system does not know": {open, []string{"MQTT_CA_FILE="},
			[]string{"the broker's certificate is not from an authority that this machine trusts"}, "SSL routines"},
		"broker with an expired certificate": {expired, nil,
			[]string{"the broker's certificate expired on 20", "renew it"}, "SSL routines"},
		"broker with another name": {open, []string{"MQTT_BROKER=ssl://127.0.0.1:" + open.port},
			[]string{"the broker's certificate is for localhost, not for 127.0.0.1: PLATE_RESORT_MQTT_BROKER"}, "SSL routines"},
		"broker with TLS 1.1 only": {open, []string{"MQTT_BROKER=ssl://localhost:" + outdated},
			[]string{"the broker speaks no TLS that is still safe: it must know 1.2 or 1.3"}, ""},
		"plain TCP to the port for TLS": {open, []string{"MQTT_BROKER=tcp://localhost:" + open.port, "MQTT_CA_FILE=", "MQTT_CERT_FILE=", "MQTT_KEY_FILE="},
			[]string{"PLATE_RESORT_MQTT_BROKER must begin with ssl://"}, "SSL routines"},
		"TLS to a port without": {open, []string{"MQTT_BROKER=ssl://" + plain.address()},
			[]string{"PLATE_RESORT_MQTT_BROKER must have another port, or begin with tcp://"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// At debug level there is a line for each attempt: a broker that closes the connection while something is
			// on its way to it may keep the device from hearing why.
			env := c.broker.settings(t, "lab", "PLATE_RESORT_STATE_DIR="+t.TempDir(), "PLATE_RESORT_LOG_LEVEL=debug",
				"PLATE_RESORT_MOTOR_PORT="+filepath.Join(t.TempDir(), "none"))
			for _, setting := range c.change {
				env = append(env, "PLATE_RESORT_"+setting)
			}
			p := start(t, "run", env, plateResort, "run")
			p.awaitText(t, append(c.want, "no connection to the broker")...)
			if c.log != "" {
				c.broker.process.awaitText(t, c.log)
			}
			if p.count("connected to the broker") > 0 {
				t.Error("the device is connected")
			}
		})
	}

	// With what mosquitto/setup has made they all come in, the client that has a certificate also at the strict broker.
	for name, b := range map[string]*secureBroker{"open": open, "strict": strict} {
		b.command(t, "operator", 0, "devices")
		if out, err := b.tryPublish("operator", "plate-resort/lab/hotel/set", "A"); err != nil {
			t.Errorf("mosquitto_pub at the %s broker: %v\n%s", name, err, out)
		}
	}

	// Old TLS, and clients that check nothing themselves.
	for version, want := range map[uint16]string{tls.VersionTLS10: "protocol version", tls.VersionTLS11: "protocol version", tls.VersionTLS12: "", tls.VersionTLS13: ""} {
		conn, err := tls.Dial("tcp", "localhost:"+open.port, &tls.Config{MinVersion: version, MaxVersion: version, InsecureSkipVerify: true})
		switch {
		case err == nil && want == "":
			conn.Close()
		case err == nil:
			t.Errorf("the broker speaks %s", tls.VersionName(version))
			conn.Close()
		case want == "" || !strings.Contains(err.Error(), want):
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	for _, options := range [][]string{
		{"-p", open.port},
		{"-p", open.port, "--cafile", open.path("ca.crt")},
		{"-p", open.port, "--cafile", open.path("ca.crt"), "-u", "operator"},
		{"-p", strict.port, "--cafile", strict.path("ca.crt"), "-u", "operator", "-P", strings.TrimSpace(readFile(t, strict.path("users", "operator", "password")))},
	} {
		args := slices.Concat([]string{"-h", "localhost", "-t", "plate-resort/lab/hotel/set", "-m", "A", "-q", "1"}, options)
		if out, err := exec.CommandContext(t.Context(), mosquittoPub, args...).CombinedOutput(); err == nil {
			t.Errorf("mosquitto_pub %q succeeds: %s", options, out)
		}
	}
}

// listenOldTLS returns the port of what looks like the broker, with its certificate, and speaks an old TLS.
func listenOldTLS(t *testing.T, b *secureBroker) (port string) {
	t.Helper()
	own, err := tls.LoadX509KeyPair(b.path("broker.crt"), b.path("broker.key"))
	if err != nil {
		t.Fatal(err)
	}
	port = freePort(t)
	l, err := tls.Listen("tcp", "localhost:"+port, &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(io.Discard, conn)
				conn.Close()
			}()
		}
	}()
	return port
}

// age makes a certificate of the broker's authority for the key of that name, which expired a minute ago.
func (b *secureBroker) age(t *testing.T, name string, change func(*x509.Certificate)) {
	t.Helper()
	authority, err := tls.LoadX509KeyPair(b.path("ca.crt"), b.path("authority", "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	pair, _ := pem.Decode([]byte(readFile(t, name+".key")))
	key, err := x509.ParsePKCS8PrivateKey(pair.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "old"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(-time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, authority.Leaf, key.(*ecdsa.PrivateKey).Public(), authority.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	writeFile(t, to, readFile(t, from))
}

// Everything that is wrong with the files of an encrypted connection is said at the start, before anything is opened.
func TestSecureSettings(t *testing.T) {
	t.Parallel()
	b := prepareSecureBroker(t)
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		writeFile(t, path, text)
		return path
	}
	user := func(name string) string { return b.path("users", "lab", name) }
	encrypted := filepath.Join(t.TempDir(), "encrypted.key")
	if out, err := exec.CommandContext(t.Context(), "openssl", "pkey", "-in", user("client.key"), "-aes128", "-passout", "pass:x", "-out", encrypted).CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	foreign := file("foreign.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))

	for name, c := range map[string]struct {
		change []string
		want   string
	}{
		"encrypted key":          {[]string{"MQTT_KEY_FILE=" + encrypted}, "_MQTT_KEY_FILE is \"" + encrypted + "\"; it must be a key without a passphrase"},
		"encrypted key of old":   {[]string{"MQTT_KEY_FILE=" + file("old.key", "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n")}, "a key without a passphrase"},
		"key of another":         {[]string{"MQTT_KEY_FILE=" + foreign}, "PLATE_RESORT_MQTT_CERT_FILE and PLATE_RESORT_MQTT_KEY_FILE cannot be used: tls: private key does not match public key"},
		"no key":                 {[]string{"MQTT_KEY_FILE="}, "PLATE_RESORT_MQTT_CERT_FILE and PLATE_RESORT_MQTT_KEY_FILE go together"},
		"key that is not there":  {[]string{"MQTT_KEY_FILE=/nowhere/key"}, "PLATE_RESORT_MQTT_KEY_FILE cannot be read: open /nowhere/key"},
		"certificate not there":  {[]string{"MQTT_CERT_FILE=/nowhere/crt"}, "PLATE_RESORT_MQTT_CERT_FILE cannot be read: open /nowhere/crt"},
		"key for certificate":    {[]string{"MQTT_CERT_FILE=" + user("client.key")}, "PLATE_RESORT_MQTT_CERT_FILE and PLATE_RESORT_MQTT_KEY_FILE cannot be used"},
		"authority not there":    {[]string{"MQTT_CA_FILE=/nowhere/ca"}, "PLATE_RESORT_MQTT_CA_FILE cannot be read: open /nowhere/ca"},
		"a broker in plain text": {[]string{"MQTT_BROKER=ssl://broker.lab,tcp://broker.lab"}, "ssl://… or wss://… alone"},
		"folder of authorities":  {[]string{"MQTT_CA_FILE=/etc/ssl/certs"}, "PLATE_RESORT_MQTT_CA_FILE cannot be read"},
		"key for the authority":  {[]string{"MQTT_CA_FILE=" + user("client.key")}, "_MQTT_CA_FILE is \"" + user("client.key") + "\"; it must be a file with certificates"},
		"no password":            {[]string{"MQTT_PASSWORD_FILE=" + file("empty", "\n")}, "PLATE_RESORT_MQTT_PASSWORD_FILE: "},
		"password not there":     {[]string{"MQTT_PASSWORD_FILE=/nowhere/password"}, "PLATE_RESORT_MQTT_PASSWORD_FILE cannot be read"},
		"two passwords":          {[]string{"MQTT_PASSWORD=x"}, "PLATE_RESORT_MQTT_PASSWORD and PLATE_RESORT_MQTT_PASSWORD_FILE are both set"},
		"no user":                {[]string{"MQTT_USERNAME="}, "PLATE_RESORT_MQTT_USERNAME is \"\"; it must be set"},
		"no TLS":                 {[]string{"MQTT_BROKER=tcp://localhost"}, "_MQTT_BROKER is \"tcp://localhost\"; it must be ssl://"},
	} {
		for _, command := range []string{"run", "config"} {
			env := b.settings(t, "lab", "PLATE_RESORT_STATE_DIR="+t.TempDir())
			for _, setting := range c.change {
				env = append(env, "PLATE_RESORT_"+setting)
			}
			p := start(t, command, env, plateResort, command)
			if status := p.status(t); status != 2 {
				t.Errorf("%s: %s ended with status %d, want 2", name, command, status)
			}
			if p.count(c.want) != 1 {
				t.Errorf("%s: %s has no line with %q:\n%s", name, command, c.want, p.output())
			}
		}
	}

	// A file that all users can read works, with a warning; not if they cannot reach it.
	shared := filepath.Join(b.dir, "shared")
	copyFile(t, user("password"), shared)
	if err := os.Chmod(shared, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{shared: 1, user("password"): 0, file("closed", "x"): 0} {
		p := start(t, "config", b.settings(t, "lab", "PLATE_RESORT_MQTT_PASSWORD_FILE="+path), plateResort, "config")
		if status := p.status(t); status != 0 {
			t.Errorf("config ended with status %d, want 0:\n%s", status, p.output())
		}
		if n := p.count("all users of this machine can read PLATE_RESORT_MQTT_PASSWORD_FILE: chmod o= " + path); n != want {
			t.Errorf("%s: there are %d warnings, want %d", path, n, want)
		}
	}
	for path, want := range map[string]int{shared: 1, user("password"): 0, "": 0} {
		p := start(t, "dashboard", b.settings(t, "operator"), plateResort, "dashboard", "--listen", "127.0.0.1:0", "--password-file", path)
		p.awaitText(t, "no connection to the broker")
		if n := p.count("all users of this machine can read"); n != want {
			t.Errorf("the dashboard has %d warnings of the file %q, want %d", n, path, want)
		}
	}
}
