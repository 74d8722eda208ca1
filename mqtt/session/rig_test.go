package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"go.uber.org/goleak"

	"github.com/plate-resort/plate-resort/mqtt/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A host is a broker without a network. It does with each packet of the connection of that name what the test says,
// until it returns false.
type host func(name string, conn net.Conn, p packets.ControlPacket) bool

// good answers everything.
func good(_ string, conn net.Conn, p packets.ControlPacket) bool {
	var answer packets.ControlPacket
	switch p := p.(type) {
	case *packets.ConnectPacket:
		answer = packets.NewControlPacket(packets.Connack)
	case *packets.SubscribePacket:
		suback := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
		suback.MessageID, suback.ReturnCodes = p.MessageID, p.Qoss
		answer = suback
	case *packets.PublishPacket:
		puback := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		puback.MessageID = p.MessageID
		answer = puback
	default:
		return true
	}
	return answer.Write(conn) == nil
}

// A rig has hosts, and connections that share a place.
type rig struct {
	hosts map[string]host // nil is away
	place session.Place
	start time.Time
	log   *slog.Logger
	text  bytes.Buffer // of the log, to be read once the connections have ended
	ctx   context.Context
	ended sync.WaitGroup
	end   func()

	keepalive       time.Duration // 0 is none
	acknowledgement time.Duration // how long the broker may take for one

	mu  sync.Mutex
	ups []up
}

// An up is that a connection has come up.
type up struct {
	name, host string
	at         time.Duration // since the rig was made
}

// inVirtualTime runs a test with a rig.
func inVirtualTime(t *testing.T, hosts map[string]host, test func(*testing.T, *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{hosts: hosts, start: time.Now(), acknowledgement: 10 * time.Second}
		r.log = slog.New(slog.NewTextHandler(&r.text, nil))
		ctx, cancel := context.WithCancel(t.Context())
		r.ctx, r.end = ctx, func() {
			cancel()
			r.ended.Wait()
			time.Sleep(time.Minute) // for an attempt that paho cannot be told to give up
		}
		defer r.end()
		test(t, r)
	})
}

func (r *rig) dial(u *url.URL) (net.Conn, error) {
	serve := r.hosts[u.Host]
	if serve == nil {
		return nil, fmt.Errorf("refused at %v", time.Now())
	}
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		for name := ""; ; {
			p, err := packets.ReadPacket(far)
			if err != nil {
				return
			}
			if connect, ok := p.(*packets.ConnectPacket); ok {
				name = connect.ClientIdentifier
			}
			if !serve(name, far, p) {
				return
			}
		}
	}()
	return near, nil
}

// connect runs a connection that subscribes, and then publishes something, until the rig ends.
func (r *rig) connect(name string, hosts ...string) {
	b := session.Broker{Dial: r.dial, Keepalive: r.keepalive}
	for _, host := range hosts {
		b.URLs = append(b.URLs, "tcp://"+host)
	}
	c := session.Connection{
		Log:     r.log.With("connection", name),
		Place:   &r.place,
		Ready:   func(context.Context) {},
		Options: func() *paho.ClientOptions { return b.Options(name) },
		Session: func(ctx context.Context, client paho.Client, _ bool, joined func() error) error {
			if err := session.Subscribe(ctx, client, nil, name); err != nil {
				return err
			}
			if err := joined(); err != nil {
				return err
			}
			reader := client.OptionsReader()
			r.mu.Lock()
			r.ups = append(r.ups, up{name, reader.Servers()[0].Host, time.Since(r.start)})
			r.mu.Unlock()
			token := client.Publish(name, 1, false, "")
			select {
			case <-token.Done():
			case <-ctx.Done():
				return nil
			case <-time.After(r.acknowledgement):
				return errors.New("not acknowledged")
			}
			<-ctx.Done()
			return nil
		},
	}
	r.ended.Go(func() { c.Run(r.ctx) })
}

// after returns all that has come up when so much time is over.
func (r *rig) after(d time.Duration) []up {
	time.Sleep(d)
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ups)
}

// at returns where each connection was last.
func at(ups []up) map[string]string {
	last := make(map[string]string)
	for _, u := range ups {
		last[u.name] = u.host
	}
	return last
}

// count counts how often a connection has come up at a host.
func count(ups []up, name, host string) (n int) {
	for _, u := range ups {
		if u.name == name && u.host == host {
			n++
		}
	}
	return n
}

// lines ends the connections, and returns the lines of the log that have all of these.
func (r *rig) lines(parts ...string) (found []string) {
	r.end()
	for line := range strings.Lines(r.text.String()) {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			found = append(found, line)
		}
	}
	return found
}
