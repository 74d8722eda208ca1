package session_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/url"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"go.uber.org/goleak"

	"github.com/plate-resort/plate-resort/mqtt/broker"
	"github.com/plate-resort/plate-resort/mqtt/session"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A scripted broker does with each packet what the test says, until serve returns false.
type scripted struct {
	net.Listener
}

func script(t *testing.T, serve func(conn net.Conn, p packets.ControlPacket) bool) scripted {
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
				for {
					p, err := packets.ReadPacket(conn)
					if err != nil || !serve(conn, p) {
						return
					}
				}
			}()
		}
	}()
	return scripted{l}
}

// admit answers a CONNECT.
func admit(t *testing.T, conn net.Conn) {
	if err := packets.NewControlPacket(packets.Connack).Write(conn); err != nil {
		t.Error(err)
	}
}

// confirm answers a SUBSCRIBE.
func confirm(t *testing.T, conn net.Conn, p *packets.SubscribePacket) {
	suback := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
	suback.MessageID, suback.ReturnCodes = p.MessageID, p.Qoss
	if err := suback.Write(conn); err != nil {
		t.Error(err)
	}
}

func embedded(t *testing.T) net.Addr {
	t.Helper()
	b, err := broker.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b.Addr()
}

// connect runs a connection that subscribes to a topic of its name. What is returned receives the address of the
// broker each time that it is up.
func connect(t *testing.T, place *session.Place, name string, brokers ...net.Addr) (up <-chan string, lost <-chan error) {
	t.Helper()
	urls := make([]string, len(brokers))
	for i, b := range brokers {
		urls[i] = "tcp://" + b.String()
	}
	where, why := make(chan string, 100), make(chan error, 100)
	attempted := "" // the latest
	c := session.Connection{
		Log:   slog.New(slog.DiscardHandler),
		Place: place,
		Ready: func(context.Context) {},
		Options: func() *paho.ClientOptions {
			return session.Broker{URLs: urls, Keepalive: 15 * time.Second}.Options(name).
				SetConnectionAttemptHandler(func(broker *url.URL, t *tls.Config) *tls.Config {
					attempted = broker.Host
					return t
				})
		},
		Session: func(ctx context.Context, client paho.Client, _ bool, up func() error) error {
			if err := session.Subscribe(ctx, client, func(paho.Client, paho.Message) {}, name); err != nil {
				return err
			}
			if err := up(); err != nil {
				return err
			}
			where <- attempted
			<-ctx.Done()
			return nil
		},
		Lost: func(err error) { why <- err },
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return where, why
}

func receive[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("there was no %s within %v", what, patience)
	}
	return v
}

// The broker has taken the connection, and the other one is up elsewhere before it is.
func TestAConnectionThatIsLateGoesWhereTheOtherOneIs(t *testing.T) {
	asked, answer := make(chan bool, 10), make(chan bool)
	slow := script(t, func(conn net.Conn, p packets.ControlPacket) bool {
		switch p := p.(type) {
		case *packets.ConnectPacket:
			asked <- true
			<-answer
			admit(t, conn)
		case *packets.SubscribePacket:
			confirm(t, conn, p)
		}
		return true
	})
	good, place := embedded(t), new(session.Place)
	late, lost := connect(t, place, "late", slow.Addr(), good)
	receive(t, asked, "attempt")
	slow.Close() // to those that come later
	other, _ := connect(t, place, "other", slow.Addr(), good)
	if at := receive(t, other, "connection"); at != good.String() {
		t.Fatalf("the other connection is at %s, want %s", at, good)
	}
	close(answer)
	receive(t, lost, "parting")
	if at := receive(t, late, "connection"); at != good.String() {
		t.Errorf("the connection that was late is at %s, and the other one at %s", at, good)
	}
}

// A connection that finds no place where the other one is goes on looking for it there.
func TestAConnectionStaysWithTheOtherOne(t *testing.T) {
	refused, willing := make(chan bool, 100), make(chan bool)
	picky := script(t, func(conn net.Conn, p packets.ControlPacket) bool {
		switch p := p.(type) {
		case *packets.ConnectPacket:
			if p.ClientIdentifier == "refused" {
				select {
				case <-willing:
				default:
					refused <- true
					return false
				}
			}
			admit(t, conn)
		case *packets.SubscribePacket:
			confirm(t, conn, p)
		}
		return true
	})
	other := script(t, func(net.Conn, packets.ControlPacket) bool {
		t.Error("it has been at another broker")
		return false
	}).Addr()
	place := new(session.Place)
	up, _ := connect(t, place, "taken", picky.Addr(), other)
	receive(t, up, "connection")
	up, _ = connect(t, place, "refused", picky.Addr(), other)
	for range 2 {
		receive(t, refused, "refusal")
	}
	close(willing)
	if at := receive(t, up, "connection"); at != picky.Addr().String() {
		t.Errorf("it is at %s, and the other connection at %s", at, picky.Addr())
	}
}

// A broker that takes connections and nothing else, as a member of a cluster without its others may, is left.
func TestABrokerOfWhichNothingComesIsLeft(t *testing.T) {
	useless := script(t, func(conn net.Conn, p packets.ControlPacket) bool {
		_, isConnect := p.(*packets.ConnectPacket)
		if isConnect {
			admit(t, conn)
		}
		return isConnect
	})
	good, place := embedded(t), new(session.Place)
	one, _ := connect(t, place, "one", useless.Addr(), good)
	other, _ := connect(t, place, "other", useless.Addr(), good)
	for _, up := range []<-chan string{one, other} {
		if at := receive(t, up, "connection"); at != good.String() {
			t.Errorf("a connection is at %s, want %s", at, good)
		}
	}
}

// A connection that was lost is sought where it was: the others that use the broker have not left it.
func TestALostConnectionIsSoughtWhereItWas(t *testing.T) {
	conns := make(chan net.Conn, 10)
	b := script(t, func(conn net.Conn, p packets.ControlPacket) bool {
		switch p := p.(type) {
		case *packets.ConnectPacket:
			admit(t, conn)
			conns <- conn
		case *packets.SubscribePacket:
			confirm(t, conn, p)
		}
		return true
	})
	away := script(t, nil)
	away.Close()
	up, _ := connect(t, new(session.Place), "lost", away.Addr(), b.Addr())
	for range 3 {
		if at := receive(t, up, "connection"); at != b.Addr().String() {
			t.Fatalf("it is at %s, want %s", at, b.Addr())
		}
		if back, err := broker.Listen(away.Addr().String()); err == nil { // from the first time on
			t.Cleanup(func() { back.Close() })
		}
		receive(t, conns, "connection").Close()
	}
}
