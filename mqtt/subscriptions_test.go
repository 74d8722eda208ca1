package mqtt

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/plate-resort/plate-resort/mqtt/session"
)

// An asked broker has no network, acknowledges what is published, and answers a subscription as the test says.
type asked struct {
	t      *testing.T
	answer func(topic string) verdict

	mu  sync.Mutex
	got []string // topics, also across connections
}

type verdict int

const (
	allows verdict = iota
	refuses
	ends // the connection
)

func (a *asked) asks() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	got := a.got
	a.got = nil
	return got
}

// connect connects a client until the test ends. Ctx ends with the connection.
func (a *asked) connect() (ctx context.Context, client paho.Client, end func()) {
	a.t.Helper()
	ctx, lose := context.WithCancel(a.t.Context())
	far := make(chan net.Conn, 1)
	client = paho.NewClient(session.Broker{URLs: []string{"tcp://broker"}, Keepalive: time.Hour}.Options("id").
		SetProtocolVersion(4).SetAutoReconnect(false).
		SetConnectionLostHandler(func(paho.Client, error) { lose() }).
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
			near, conn := net.Pipe()
			far <- conn
			return near, nil
		}))
	go func() {
		conn := <-far
		defer conn.Close()
		for a.serve(conn) {
		}
	}()
	if token := client.Connect(); token.Wait() && token.Error() != nil {
		a.t.Fatal(token.Error())
	}
	return ctx, client, func() {
		lose()
		client.Disconnect(0)
		synctest.Wait()
	}
}

func (a *asked) serve(conn net.Conn) bool {
	packet, err := packets.ReadPacket(conn)
	if err != nil {
		return false
	}
	switch p := packet.(type) {
	case *packets.ConnectPacket:
		return packets.NewControlPacket(packets.Connack).Write(conn) == nil
	case *packets.PublishPacket:
		puback := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		puback.MessageID = p.MessageID
		return puback.Write(conn) == nil
	case *packets.SubscribePacket:
		a.mu.Lock()
		a.got = append(a.got, p.Topics[0])
		a.mu.Unlock()
		suback := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
		suback.MessageID, suback.ReturnCodes = p.MessageID, slices.Clone(p.Qoss)
		switch a.answer(p.Topics[0]) {
		case ends:
			return false
		case refuses:
			suback.ReturnCodes[0] = 0x80
		}
		return suback.Write(conn) == nil
	}
	return true
}

func withBroker(t *testing.T, answer func(topic string) verdict, test func(t *testing.T, a *asked, s *subscriptions)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, &asked{t: t, answer: answer}, newSubscriptions(newTestDevice(t), slog.New(slog.DiscardHandler)))
	})
}

// session is one in which work lasts for d, or until the connection ends. It returns what was asked for before it was
// up, and after.
func (a *asked) session(s *subscriptions, first, rest []string, d time.Duration) (before, after []string) {
	a.t.Helper()
	subscribe := func(topics []string) (all []subscription) {
		for _, topic := range topics {
			all = append(all, subscription{topic: topic, without: "Nothing comes"})
		}
		return all
	}
	ctx, client, end := a.connect()
	defer end()
	up := false
	_ = s.during(ctx, client, subscribe(first), subscribe(rest), func() error {
		up, before = true, a.asks()
		return nil
	}, func(ctx context.Context) error {
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
		return nil
	})
	if !up {
		return a.asks(), nil
	}
	return before, a.asks()
}

func (a *asked) check(what string, got []string, want ...string) {
	a.t.Helper()
	if !slices.Equal(got, want) {
		a.t.Errorf("%s it has asked for %q, want %q", what, got, want)
	}
}

// One loss does not have the device online without its inputs.
func TestOneLossLeavesNothingOut(t *testing.T) {
	lost := false
	fails := func(topic string) verdict {
		if topic == "inputs" && !lost {
			lost = true
			return ends
		}
		return allows
	}
	withBroker(t, fails, func(t *testing.T, a *asked, s *subscriptions) {
		first, rest := []string{"inputs", "schedules"}, []string{"others"}
		before, _ := a.session(s, first, rest, time.Minute)
		a.check("in the session that ends", before, "inputs")
		before, after := a.session(s, first, rest, time.Minute)
		a.check("in the next one", before, "schedules", "inputs")
		a.check("when it is up", after, "others")
		before, _ = a.session(s, first, rest, time.Minute)
		a.check("in the one after that", before, "inputs", "schedules")
	})
}

func TestWhatIsRefusedAtFirstIsAskedForAfterAPause(t *testing.T) {
	times := 0
	withBroker(t, func(topic string) verdict {
		if topic != "inputs" {
			return allows
		}
		if times++; times > 2 {
			return allows
		}
		return refuses
	}, func(t *testing.T, a *asked, s *subscriptions) {
		before, after := a.session(s, []string{"inputs"}, []string{"others"}, refusalPause-time.Millisecond)
		a.check("before it is up", before, "inputs")
		a.check("within the pause", after, "others")
		_, after = a.session(s, []string{"inputs"}, []string{"others"}, time.Hour)
		a.check("in an hour", after, "others", "inputs")
	})
}

func TestWhatEndsConnectionsIsLeftOut(t *testing.T) {
	forbidden := func(topic string) verdict {
		if topic == "forbidden" {
			return ends
		}
		return allows
	}
	withBroker(t, forbidden, func(t *testing.T, a *asked, s *subscriptions) {
		first, rest := []string{"forbidden", "inputs"}, []string{"others"}
		a.session(s, first, rest, time.Hour)
		for range suspicious - 1 {
			before, after := a.session(s, first, rest, time.Hour)
			a.check("under suspicion", append(before, after...), "inputs", "forbidden")
		}
		for range 5 { // also when other sessions end
			before, after := a.session(s, first, rest, parole/6)
			a.check("before it is up", before, "inputs")
			a.check("on parole", after, "others")
		}
		for range 3 {
			_, after := a.session(s, first, rest, time.Hour)
			a.check("after the parole", after, "others", "forbidden")
		}
	})
}

// The network fails each time before anything is answered.
func TestABrokerThatAnswersNothingConvictsNone(t *testing.T) {
	answers := ends
	withBroker(t, func(string) verdict { return answers }, func(t *testing.T, a *asked, s *subscriptions) {
		first := []string{"inputs", "schedules"}
		for range 20 {
			a.session(s, first, nil, time.Minute)
		}
		answers = allows
		before, _ := a.session(s, first, nil, time.Minute)
		a.check("when it answers", before, "inputs", "schedules")
	})
}
