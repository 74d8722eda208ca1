package session

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// What has been read is acknowledged before more is waited for, and not for each of the small pieces that paho reads.
func TestAcknowledgedBeforeMoreIsWaitedFor(t *testing.T) {
	var order []string
	in := readerFunc(func(b []byte) (int, error) {
		order = append(order, "read")
		return copy(b, "abcd"), nil
	})
	p := &prompt{nil, bufio.NewReaderSize(in, readAhead), func() { order = append(order, "acknowledge") }}
	for range 6 {
		if n, err := io.ReadFull(p, make([]byte, 2)); n != 2 || err != nil {
			t.Fatal(n, err)
		}
	}
	if got, want := strings.Join(order, " "), strings.TrimSpace(strings.Repeat("acknowledge read ", 3)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// A broker that takes the connection and then says nothing does not hold up TLS for longer than the dialer may take.
func TestOpenDoesNotWaitForASilentBroker(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		options := paho.NewClientOptions().SetTLSConfig(nil).SetDialer(&net.Dialer{Timeout: 50 * time.Millisecond})
		conn, err := open(&url.URL{Scheme: "ssl", Host: l.Addr().String()}, *options)
		if conn != nil || !errors.Is(err, os.ErrDeadlineExceeded) && !isTimeout(err) {
			t.Errorf("%v, %v; want a timeout", conn, err)
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// After a broker with tcp that is not there, the next one is spoken to as its own URL says.
func TestWebSocketsAfterABrokerThatIsNotThere(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	alive, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	b := Broker{URLs: []string{"tcp://" + dead.Addr().String(), "ws://" + alive.Addr().String()}}
	c := Connection{
		Log:     slog.New(slog.DiscardHandler),
		Ready:   func(context.Context) {},
		Options: func() *paho.ClientOptions { return b.Options("device") },
		Place:   new(Place),
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Run(ctx)
	}()
	conn, err := alive.Accept()
	if err != nil {
		t.Fatal(err)
	}
	hello := make([]byte, 4)
	if _, err := io.ReadFull(conn, hello); err != nil || string(hello) != "GET " {
		t.Errorf("it began with %q, %v; WebSockets begin with GET", hello, err)
	}
	conn.Close()
	cancel()
	<-ended
}
