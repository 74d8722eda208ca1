package session

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"net/url"

	paho "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/net/proxy"
)

// open connects to a broker at a URL with tcp or ssl, directly or through the proxy that ALL_PROXY names, within the
// dialer's timeout. Beside what paho does by itself it acknowledges promptly what comes.
func open(broker *url.URL, options paho.ClientOptions) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), options.Dialer.Timeout)
	defer cancel()
	dialer := proxy.FromEnvironmentUsing(promptDialer{options.Dialer}).(proxy.ContextDialer) // which all of them are
	conn, err := dialer.DialContext(ctx, "tcp", broker.Host)
	if err != nil || broker.Scheme == "tcp" {
		return conn, err
	}
	config := new(tls.Config)
	if options.TLSConfig != nil {
		config = options.TLSConfig.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = broker.Hostname()
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secured, nil
}

// A promptDialer makes prompt connections.
type promptDialer struct{ *net.Dialer }

func (d promptDialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d promptDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.Dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &prompt{conn, bufio.NewReaderSize(conn, readAhead), acknowledger(conn)}, nil
}

// readAhead is how many bytes are read at once, of which paho asks for a few at a time. Each connection has as many, and
// 1,000 devices have 2,000.
const readAhead = 512

// A prompt connection has acknowledged what was read before it waits for more. Where Nagle's algorithm is on, as
// Mosquitto has it by default, the broker keeps a small packet until the one before has been acknowledged, and the kernel
// takes up to 40 ms for that.
type prompt struct {
	net.Conn
	buffer      *bufio.Reader
	acknowledge func()
}

func (p *prompt) Read(b []byte) (int, error) {
	if p.buffer.Buffered() == 0 {
		p.acknowledge()
	}
	return p.buffer.Read(b)
}
