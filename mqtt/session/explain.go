package session

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// The settings that the advice is about.
const (
	brokerSetting   = "PLATE_RESORT_MQTT_BROKER"
	userSetting     = "PLATE_RESORT_MQTT_USERNAME"
	passwordSetting = "PLATE_RESORT_MQTT_PASSWORD_FILE"
	caSetting       = "PLATE_RESORT_MQTT_CA_FILE"
	certSetting     = "PLATE_RESORT_MQTT_CERT_FILE"
	keySetting      = "PLATE_RESORT_MQTT_KEY_FILE"
)

// What the other side may say of TLS before it closes the connection (RFC 8446, section 6.2).
const (
	alertHandshakeFailure    = tls.AlertError(40)
	alertBadCertificate      = tls.AlertError(42)
	alertUnsupportedCert     = tls.AlertError(43)
	alertRevokedCertificate  = tls.AlertError(44)
	alertExpiredCertificate  = tls.AlertError(45)
	alertUnknownCertificate  = tls.AlertError(46)
	alertUnknownAuthority    = tls.AlertError(48)
	alertAccessDenied        = tls.AlertError(49)
	alertProtocolVersion     = tls.AlertError(70)
	alertCertificateRequired = tls.AlertError(116)
)

// An explained error says what its owner can do about it. It holds all of the error that it explains.
type explained struct {
	text string
	error
}

func (e explained) Error() string { return e.text }

func (e explained) Unwrap() error { return e.error }

// explain adds to why a connection has not come about what its owner can do about that, in the words of the
// settings. The options are those of the attempt, which was to one broker.
func explain(err error, o *paho.ClientOptions) error {
	cause := err
	if both, ok := err.(interface{ Unwrap() []error }); ok { // without what paho writes before it
		causes := both.Unwrap()
		cause = causes[len(causes)-1]
	}
	if network := (*net.OpError)(nil); errors.As(cause, &network) {
		cause = network
	}
	text := cause.Error()
	if isClosed(cause) {
		text = closed(o)
	} else if advice := advise(cause, o); advice != "" {
		text = fmt.Sprintf("%s (%s)", advice, text)
	}
	return explained{text, err}
}

// advise says what is wrong, and which setting mends it; "" when it does not know.
func advise(err error, o *paho.ClientOptions) string {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		network  *net.OpError
		lookup   *net.DNSError
	)
	switch {
	case errors.As(err, &lookup) && lookup.IsNotFound && strings.HasSuffix(lookup.Name, ".local"):
		return "a name in .local is known to this machine's other programs alone: " + brokerSetting + " must have the broker's address, or a name that the network's router knows"
	case errors.As(err, &unknown):
		return "the broker's certificate is not from an authority that this machine trusts: set " + caSetting +
			" to the certificate of the authority that it is from"
	case errors.As(err, &hostname):
		return otherName(hostname)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return outdated(invalid.Cert)
	case errors.As(err, new(tls.RecordHeaderError)):
		return "the broker does not speak TLS at this port: the port in " + brokerSetting + " must be the one for TLS, usually 8883; without TLS, tcp:// is to stand there"
	case errors.As(err, &network) && network.Op == "remote error":
		return refusedTLS(network.Err.Error(), o)
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets.ErrorRefusedNotAuthorised):
		if o.Username == "" {
			return "the broker wants a user name and a password: set " + userSetting + " and " + passwordSetting
		}
		return "the broker refused user name or password: " + userSetting + " and " + passwordSetting + " must be those of one of its users"
	}
	return ""
}

// otherName says for whom the broker's certificate is.
func otherName(e x509.HostnameError) string {
	names := slices.Clone(e.Certificate.DNSNames)
	for _, ip := range e.Certificate.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "the broker's certificate has no names: it needs " + e.Host + " as a subject alternative name"
	}
	return fmt.Sprintf("the broker's certificate is for %s, not for %s: %s must have a name that it is for, or the certificate that name, too",
		strings.Join(names, ", "), e.Host, brokerSetting)
}

// outdated says since or until when a certificate does not count.
func outdated(c *x509.Certificate) string {
	whose := "the broker's certificate"
	if c.IsCA {
		whose = "the certificate of the broker's authority"
	}
	const day = "2006-01-02 15:04 MST"
	now := time.Now()
	if now.Before(c.NotBefore) {
		return fmt.Sprintf("%s counts from %s on, and the clock of this machine says %s: set the clock", whose, c.NotBefore.UTC().Format(day), now.UTC().Format(day))
	}
	return fmt.Sprintf("%s expired on %s: renew it, unless the clock of this machine is wrong, which says %s", whose, c.NotAfter.UTC().Format(day), now.UTC().Format(day))
}

// refusedTLS says what the broker has against the connection.
func refusedTLS(alert string, o *paho.ClientOptions) string {
	own := certificates(o)
	is := func(alerts ...tls.AlertError) bool {
		return slices.ContainsFunc(alerts, func(a tls.AlertError) bool { return a.Error() == alert })
	}
	switch {
	case is(alertProtocolVersion):
		return "the broker speaks no TLS that is still safe: it must know 1.2 or 1.3"
	case len(own) == 0 && is(alertCertificateRequired, alertHandshakeFailure, alertBadCertificate):
		return "the broker wants a client certificate: set " + certSetting + " and " + keySetting
	case is(alertExpiredCertificate) && len(own) > 0 && own[0].Leaf != nil:
		return fmt.Sprintf("the broker refused the certificate in %s, which expired on %s: renew it", certSetting, own[0].Leaf.NotAfter.UTC().Format(time.DateOnly))
	// Of an authority that the broker has not named the certificate is not even shown.
	case len(own) > 0 && is(alertHandshakeFailure, alertBadCertificate, alertUnsupportedCert, alertRevokedCertificate, alertExpiredCertificate,
		alertUnknownCertificate, alertUnknownAuthority, alertAccessDenied, alertCertificateRequired):
		return "the broker refused the certificate in " + certSetting + ": it must be a client's, from the authority that the broker trusts"
	}
	return ""
}

// certificates are the client's own.
func certificates(o *paho.ClientOptions) []tls.Certificate {
	if o.TLSConfig == nil {
		return nil
	}
	return o.TLSConfig.Certificates
}

// isClosed reports whether the broker has closed the connection without an answer, in whatever way that shows.
func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// closed says what a broker may miss that does so.
func closed(o *paho.ClientOptions) string {
	const what = "the broker closed the connection without an answer: "
	if scheme := o.Servers[0].Scheme; scheme != "ssl" && scheme != "wss" {
		return what + "if it wants TLS at this port, " + brokerSetting + " must begin with ssl:// (wss:// for WebSockets)"
	}
	advice := what + "if it has no TLS at this port, " + brokerSetting + " must have another port, or begin with tcp://; if it "
	if len(certificates(o)) > 0 {
		return advice + "refuses the certificate in " + certSetting + ", its log says why"
	}
	return advice + "wants a client certificate, set " + certSetting + " and " + keySetting
}
