package client_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/client"
)

func TestAWatchBeginsWithWhatIsRetained(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx, cancel := context.WithCancel(t.Context())
	watch := l.client.Watch(ctx)
	var topics []client.Topic
	for len(topics) < 7 {
		m := <-watch
		topics = append(topics, m.Topic)
		if want := "lab"; m.Topic != client.Broker && m.Device != want {
			t.Errorf("%s is of device %q", m.Topic, m.Device)
		}
	}
	if want := []client.Topic{client.Broker, client.Availability, client.State, client.Health, client.Queue, client.History, client.Schedules}; !slices.Equal(topics, want) {
		t.Errorf("it begins with %v, want %v", topics, want)
	}
	cancel()
	for range watch { // until it is closed
	}
}

func TestAWatchOfAllDevices(t *testing.T) {
	t.Parallel()
	address := listen(t, "127.0.0.1:0").Addr().String()
	c := dial(t, address)
	watch := c.Watch(t.Context())
	runDevice(t, address, "one")
	runDevice(t, address, "two")
	online := map[string]bool{}
	for len(online) < 2 {
		if m := <-watch; m.Topic == client.Availability && string(m.Payload) == "online" {
			online[m.Device] = true
		}
	}
}

func TestAWatchTellsThatTheBrokerIsAway(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.away(func() {})
	l.until(client.Availability, "online") // again
}

func TestWhatWasClearedIsNotKept(t *testing.T) {
	t.Parallel()
	address := listen(t, "127.0.0.1:0").Addr().String()
	script := newScript(t, address)
	l := &lab{t: t, client: dial(t, address)}
	l.watch = l.client.Watch(t.Context())
	l.until(client.Availability, "online")
	script.publish("state", "anything", true)
	script.publish("availability", "", true)
	script.publish("unheard-of", "no topic of a device", true)
	script.publish("health", strings.Repeat("x", 1<<20+1), true)
	script.publish("log", "last", false)
	l.until(client.Availability, "")
	l.until(client.Log, "last")
	watch := l.client.Watch(t.Context())
	script.publish("log", "very last", false)
	var topics []client.Topic
	for m := range watch {
		if topics = append(topics, m.Topic); m.Topic == client.Log {
			break
		}
	}
	if want := []client.Topic{client.Broker, client.State, client.Log}; !slices.Equal(topics, want) {
		t.Errorf("there is %v, want %v", topics, want)
	}
}

func TestWhoReadsSlowlyLosesTheOldest(t *testing.T) {
	t.Parallel()
	address := listen(t, "127.0.0.1:0").Addr().String()
	script := newScript(t, address)
	l := &lab{t: t, client: dial(t, address)}
	slow := l.client.Watch(t.Context())
	l.watch = l.client.Watch(t.Context())
	l.until(client.Availability, "online")
	const most, more = 10_000, 500
	for i := range most + more {
		payload := fmt.Sprint(i)
		script.mqtt.Publish("plate-resort/lab/log", 0, false, payload)
		if i%100 == 0 || i == most+more-1 {
			l.until(client.Log, payload)
		}
	}
	got := 0
	for m := range slow {
		if m.Topic == client.Log {
			got++
		}
		if string(m.Payload) == fmt.Sprint(most+more-1) {
			break
		}
	}
	if got < most || got > most+10 { // some may have been on their way
		t.Errorf("%d messages came, want %d", got, most)
	}
}

func TestWithoutABroker(t *testing.T) {
	t.Parallel()
	relay := newRelay(t, "127.0.0.1:0") // leads nowhere
	if _, err := client.Dial(within(t), config(relay.Address())); err == nil {
		t.Error("it says nothing")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	c := client.Start(config(relay.Address()))
	defer c.Close()
	if _, err := c.Submit(ctx, "lab", hotel("B")); err != context.DeadlineExceeded {
		t.Errorf("a submission that was not sent ends with %v", err)
	}
}

func TestAClientMayBeThereBeforeTheBroker(t *testing.T) {
	t.Parallel()
	address := listen(t, "127.0.0.1:0").Addr().String()
	newScript(t, address)
	relay := newRelay(t, address)
	relay.Cut()
	l := &lab{t: t, relay: relay, client: client.Start(config(relay.Address()))}
	defer l.client.Close()
	l.watch = l.client.Watch(t.Context())
	l.untilConnected(false)
	relay.Mend()
	l.untilConnected(true)
	l.until(client.Availability, "online") // after that
}

func TestWhatABrokerHasForgottenIsNotKept(t *testing.T) {
	t.Parallel()
	first := listen(t, "127.0.0.1:0")
	address := first.Addr().String()
	newScript(t, address)
	l := &lab{t: t, client: dial(t, address)}
	l.watch = l.client.Watch(t.Context())
	l.until(client.Availability, "online")
	first.Close()
	l.untilConnected(false)
	listen(t, address)
	l.untilConnected(true)
	watch := l.client.Watch(t.Context())
	newScript(t, address).publish("log", "news", false)
	for _, want := range []client.Topic{client.Broker, client.Availability, client.Log} {
		m := <-watch
		if m.Topic != want || m.Topic == client.Availability && m.Retained {
			t.Errorf("there is %+v, want %s", m, want)
		}
	}
}
