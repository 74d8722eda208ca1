package cmd

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/plate-resort/plate-resort/mqtt/session"
)

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
	if !isText(b.Username) {
		p.fault("MQTT_USERNAME", e.MQTTUsername, "a text without control characters")
	}
	// Who has these settings believes that nobody can listen.
	if e.MQTTCaFile+e.MQTTCertFile+e.MQTTKeyFile != "" && slices.ContainsFunc(b.URLs, isPlain) {
		p.fault("MQTT_BROKER", e.MQTTBroker, "ssl://… or wss://… alone, as MQTT_CA_FILE, MQTT_CERT_FILE and MQTT_KEY_FILE are for TLS, and one of them is set")
	}
	return b
}

func isPlain(broker string) bool {
	return strings.HasPrefix(broker, "tcp:") || strings.HasPrefix(broker, "ws:")
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
		if u.User != nil { // which would be in the log, and among the running programs
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
	content := p.secret("MQTT_PASSWORD_FILE", file)
	text := strings.TrimRight(string(content), "\r\n")
	if content != nil && text == "" {
		p.faults = append(p.faults, fmt.Errorf("%s_MQTT_PASSWORD_FILE: %s is empty; write a password into it", settingsPrefix, file))
	}
	return text
}

// tls makes the settings of an encrypted connection: the authorities that the broker's certificate may
// come from, the system's if there is no file, and the certificate that the device shows, if any.
func (p *parser) tls(caFile, certFile, keyFile string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		config.RootCAs = x509.NewCertPool()
		if text := p.file("MQTT_CA_FILE", caFile); text != nil && !config.RootCAs.AppendCertsFromPEM(text) {
			p.fault("MQTT_CA_FILE", caFile, "a file with certificates in PEM format")
		}
	}
	switch {
	case certFile == "" && keyFile == "":
	case certFile == "" || keyFile == "":
		p.faults = append(p.faults, fmt.Errorf("%s_MQTT_CERT_FILE and %[1]s_MQTT_KEY_FILE go together; one of them is not set", settingsPrefix))
	default:
		if certificate, key := p.file("MQTT_CERT_FILE", certFile), p.secret("MQTT_KEY_FILE", keyFile); certificate != nil && key != nil {
			config.Certificates = []tls.Certificate{p.keyPair(certificate, key, keyFile)}
		}
	}
	return config
}

// keyPair is a certificate with its key.
func (p *parser) keyPair(certificate, key []byte, keyFile string) tls.Certificate {
	if block, _ := pem.Decode(key); block != nil && (block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")) {
		p.fault("MQTT_KEY_FILE", keyFile, "a key without a passphrase, as nobody is there to type it; this makes one: openssl pkey -in "+keyFile+" -out client.key")
		return tls.Certificate{}
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		p.faults = append(p.faults, fmt.Errorf("%s_MQTT_CERT_FILE and %[1]s_MQTT_KEY_FILE cannot be used: %w", settingsPrefix, err))
	}
	return pair
}

// file reads a file that a setting names; nil if it cannot be read.
func (p *parser) file(name, path string) []byte {
	content, err := os.ReadFile(path)
	if err != nil {
		p.faults = append(p.faults, fmt.Errorf("%s_%s cannot be read: %w", settingsPrefix, name, err))
		return nil
	}
	return content
}

// secret reads a file that nobody else is to read. It warns only: in a container the files of secrets are
// readable by all.
func (p *parser) secret(name, path string) []byte {
	content := p.file(name, path)
	if content != nil && othersRead(path) {
		p.warnings = append(p.warnings, fmt.Sprintf("all users of this machine can read %s_%s: chmod o= %s", settingsPrefix, name, path))
	}
	return content
}

// othersRead reports whether every user of the machine can read a file, and reach it.
func othersRead(path string) bool {
	const read, search = 0o004, 0o001
	path, err := filepath.EvalSymlinks(path)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil || runtime.GOOS == "windows" { // which has no such bits
		return false
	}
	for mode := os.FileMode(read); ; mode = search {
		if info, err := os.Stat(path); err != nil || info.Mode()&mode == 0 {
			return false
		}
		if path == filepath.Dir(path) {
			return true
		}
		path = filepath.Dir(path)
	}
}
