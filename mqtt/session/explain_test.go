package session

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Each fault comes from a real handshake between paho and a listener that has it.
func TestExplain(t *testing.T) {
	ca, foreign := newAuthority(t, time.Hour), newAuthority(t, time.Hour)
	old := newAuthority(t, -time.Hour)
	good := ca.issue(t, func(*x509.Certificate) {})
	isExpired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	tlsOnly := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	mutual := func(least, most uint16) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool, MinVersion: least, MaxVersion: most}
	}
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	has := func(target any) func(error) bool { return func(err error) bool { return errors.As(err, target) } }

	for name, c := range map[string]struct {
		server   *tls.Config           // nil is plain TCP
		answer   string                // of the broker, to the first bytes
		scheme   string                // of the URL; "" is ssl
		user     string                // of the client
		roots    *x509.CertPool        // nil is ca's
		own      *tls.Certificate      // of the client
		want     []string              // in the message
		keeps    func(error) bool      // what errors.Is or As finds
		nowanted string                // not in the message
		dial     func(net.Addr) string // nil is the listener's address
	}{
		"foreign authority": {
			server: tlsOnly(good), roots: foreign.pool,
			want:  []string{"the broker's certificate is not from an authority that this machine trusts", "PLATE_RESORT_MQTT_CA_FILE"},
			keeps: has(new(x509.UnknownAuthorityError)),
		},
		"another name": {
			server: tlsOnly(ca.issue(t, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"broker.lab"}, nil })),
			want:   []string{"is for broker.lab, not for 127.0.0.1", "PLATE_RESORT_MQTT_BROKER"},
			keeps:  has(new(x509.HostnameError)),
		},
		"another address": {
			server: tlsOnly(ca.issue(t, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 7)} })),
			want:   []string{"is for localhost, 10.0.0.7, not for 127.0.0.1"},
			keeps:  has(new(x509.HostnameError)),
		},
		"no name": {
			server: tlsOnly(ca.issue(t, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil })),
			want:   []string{"the broker's certificate has no names: it needs 127.0.0.1"},
			keeps:  has(new(x509.HostnameError)),
		},
		"expired": {
			server: tlsOnly(ca.issue(t, isExpired)),
			want:   []string{"the broker's certificate expired on 20", "renew it", "clock"},
			keeps:  has(new(x509.CertificateInvalidError)),
		},
		"expired authority": {
			server: tlsOnly(old.issue(t, func(*x509.Certificate) {})), roots: old.pool,
			want:  []string{"the certificate of the broker's authority expired on 20"},
			keeps: has(new(x509.CertificateInvalidError)),
		},
		"not yet valid": {
			server: tlsOnly(ca.issue(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })),
			want:   []string{"the broker's certificate counts from 20", "set the clock"},
			keeps:  has(new(x509.CertificateInvalidError)),
		},
		"certificate of a client": {
			server:   tlsOnly(ca.issue(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })),
			want:     []string{"incompatible key usage"},
			nowanted: "expired",
			keeps:    has(new(x509.CertificateInvalidError)),
		},
		"no certificate, TLS 1.3": {
			server: mutual(tls.VersionTLS13, tls.VersionTLS13),
			want:   []string{"the broker wants a client certificate: set PLATE_RESORT_MQTT_CERT_FILE and PLATE_RESORT_MQTT_KEY_FILE"},
			keeps:  has(new(*net.OpError)),
		},
		"no certificate, TLS 1.2": {
			server: mutual(tls.VersionTLS12, tls.VersionTLS12),
			want:   []string{"the broker wants a client certificate: set PLATE_RESORT_MQTT_CERT_FILE"},
			keeps:  has(new(*net.OpError)),
		},
		"certificate of a foreign authority, TLS 1.3": {
			server: mutual(tls.VersionTLS13, tls.VersionTLS13), own: new(foreign.issue(t, isClient)),
			want:  []string{"the broker refused the certificate in PLATE_RESORT_MQTT_CERT_FILE", "from the authority that the broker trusts"},
			keeps: has(new(*net.OpError)),
		},
		"certificate of a foreign authority, TLS 1.2": {
			server: mutual(tls.VersionTLS12, tls.VersionTLS12), own: new(foreign.issue(t, isClient)),
			want:  []string{"the broker refused the certificate in PLATE_RESORT_MQTT_CERT_FILE"},
			keeps: has(new(*net.OpError)),
		},
		"expired certificate": {
			server: mutual(tls.VersionTLS12, tls.VersionTLS13), own: new(ca.issue(t, isClient, isExpired)),
			want:  []string{"the broker refused the certificate in PLATE_RESORT_MQTT_CERT_FILE, which expired on 20", "renew it"},
			keeps: has(new(*net.OpError)),
		},
		"old TLS": {
			server: mutual(tls.VersionTLS11, tls.VersionTLS11),
			want:   []string{"it must know 1.2 or 1.3"},
			keeps:  has(new(*net.OpError)),
		},
		"TLS to a port without, which closes": {
			want:  []string{"closed the connection without an answer", "PLATE_RESORT_MQTT_BROKER must have another port, or begin with tcp://; if it wants a client certificate, set PLATE_RESORT_MQTT_CERT_FILE"},
			keeps: is(io.EOF),
		},
		"TLS with a certificate to a port without": {
			own:      &good,
			want:     []string{"begin with tcp://; if it refuses the certificate in PLATE_RESORT_MQTT_CERT_FILE, its log says why"},
			nowanted: "wants",
			keeps:    is(io.EOF),
		},
		"TLS to a port without, which answers": {
			answer: "HTTP/1.1 400 Bad Request\r\n",
			want:   []string{"the broker does not speak TLS at this port", "8883"},
			keeps:  has(new(tls.RecordHeaderError)),
		},
		"plain to a port for TLS, which closes": {
			scheme: "tcp",
			want:   []string{"closed the connection without an answer", "PLATE_RESORT_MQTT_BROKER must begin with ssl://"},
			keeps:  is(io.EOF),
		},
		"plain to a port for TLS, which answers": { // with an alert: unrecognised message
			scheme: "tcp", answer: "\x15\x03\x03\x00\x02\x02\x0a",
			want:  []string{"PLATE_RESORT_MQTT_BROKER must begin with ssl://"},
			keeps: is(packets.ErrorNetworkError),
		},
		"wrong password": {
			server: tlsOnly(good), user: "somebody", answer: "\x20\x02\x00\x05",
			want:  []string{"refused user name or password: PLATE_RESORT_MQTT_USERNAME and PLATE_RESORT_MQTT_PASSWORD_FILE"},
			keeps: is(packets.ErrorRefusedNotAuthorised),
		},
		"bad user name": {
			server: tlsOnly(good), user: "somebody", answer: "\x20\x02\x00\x04",
			want:  []string{"the broker refused user name or password"},
			keeps: is(packets.ErrorRefusedBadUsernameOrPassword),
		},
		"no user": {
			scheme: "tcp", answer: "\x20\x02\x00\x05",
			want:  []string{"the broker wants a user name and a password: set PLATE_RESORT_MQTT_USERNAME"},
			keeps: is(packets.ErrorRefusedNotAuthorised),
		},
		"nobody there": {
			scheme: "tcp", dial: func(net.Addr) string { return nobody(t) },
			want:     []string{"connection refused"},
			nowanted: "network Error",
			keeps:    is(syscall.ECONNREFUSED),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := serveFault(t, c.server, c.answer)
			b := Broker{Username: c.user, Password: "geheim", Keepalive: time.Minute, TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.roots}}
			if c.user == "" {
				b.Password = ""
			}
			if c.roots == nil {
				b.TLS.RootCAs = ca.pool
			}
			if c.own != nil {
				b.TLS.Certificates = []tls.Certificate{*c.own}
			}
			if c.scheme == "" {
				c.scheme = "ssl"
			}
			address := at.String()
			if c.dial != nil {
				address = c.dial(at)
			}
			b.URLs = []string{c.scheme + "://" + address}
			err := attempt(b)
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error is %q, without %q", err, want)
				}
			}
			if !c.keeps(err) {
				t.Errorf("%q has lost its cause", err)
			}
			if c.nowanted != "" && strings.Contains(err.Error(), c.nowanted) {
				t.Errorf("the error is %q, with %q", err, c.nowanted)
			}
			if text := err.Error(); strings.Contains(text, "geheim") || strings.Contains(text, "somebody") {
				t.Errorf("the error has the password or the user: %q", text)
			}
		})
	}
}

// A client of this package may leave the TLS out, for what is usual.
func TestExplainWithoutAConfigurationOfTLS(t *testing.T) {
	at := serveFault(t, nil, "")
	if err := attempt(Broker{URLs: []string{"ssl://" + at.String()}}); !strings.Contains(err.Error(), "wants a client certificate") {
		t.Errorf("the error is %q", err)
	}
}

// attempt connects once, and returns why it has failed, explained.
func attempt(b Broker) error {
	o := b.Options("explained").SetProtocolVersion(4).SetConnectRetry(false).SetConnectTimeout(time.Minute)
	token := paho.NewClient(o).Connect()
	token.Wait()
	return explain(token.Error(), o)
}

// serveFault listens until the test ends. It reads what comes, answers, and closes.
func serveFault(t *testing.T, config *tls.Config, answer string) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
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
				defer conn.Close()
				if config != nil {
					conn = tls.Server(conn, config)
				}
				if _, err := conn.Read(make([]byte, 4096)); err == nil {
					_, _ = io.WriteString(conn, answer)
				} else if config != nil {
					// What the client has sent is read before the connection is closed: else it is reset,
					// and the client may lose what it was told.
					_, _ = io.Copy(io.Discard, conn.(*tls.Conn).NetConn())
				}
			}()
		}
	}()
	return l.Addr()
}

// nobody is an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// An authority makes certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pool        *x509.CertPool
}

// newAuthority makes one that counts for so long from now on.
func newAuthority(t *testing.T, life time.Duration) *authority {
	t.Helper()
	a := &authority{key: newKey(t), pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority " + rand.Text()},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(life),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.certificate)
	return a
}

func isClient(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }

// issue makes a certificate for a broker on this machine, and changes it before it is signed.
func (a *authority) issue(t *testing.T, changes ...func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "broker"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, change := range changes {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Go's own resolver, which a program without the C library has, knows no multicast DNS.
func TestExplainLocalName(t *testing.T) {
	for name, want := range map[string]bool{"resort.local": true, "broker.lab": false} {
		err := explain(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}}, paho.NewClientOptions())
		if got := strings.Contains(err.Error(), "PLATE_RESORT_MQTT_BROKER must have the broker's address"); got != want || !strings.Contains(err.Error(), name) {
			t.Errorf("of %s it says %q", name, err)
		}
	}
}
