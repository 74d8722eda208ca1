package broker_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/plate-resort/plate-resort/mqtt/broker"
)

const patience = 30 * time.Second

func await(t *testing.T, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("the broker did not answer in time, or: %v", token.Error())
	}
}

func connect(t *testing.T, b *broker.Broker) paho.Client {
	t.Helper()
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + b.Addr().String()))
	await(t, client.Connect())
	t.Cleanup(func() { client.Disconnect(100) })
	return client
}

// Whoever subscribes with a wildcard while much is published has, in the end, what is retained.
func TestWhatIsRetainedIsNotOvertaken(t *testing.T) {
	b, err := broker.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	const topics, rounds, subscribers = 20, 100, 30
	publisher := connect(t, b)
	published := make(chan paho.Token)
	go func() {
		defer close(published)
		for round := 1; round <= rounds; round++ {
			for topic := range topics {
				published <- publisher.Publish(fmt.Sprintf("t/%d", topic), 1, true, strconv.Itoa(round))
			}
		}
	}()
	type subscriber struct {
		values map[string]string // the latest by topic
		ended  chan bool
	}
	var all []subscriber
	for range subscribers {
		for range topics * rounds / subscribers {
			await(t, <-published)
		}
		s := subscriber{make(map[string]string), make(chan bool)}
		all = append(all, s)
		await(t, connect(t, b).Subscribe("t/+", 1, func(_ paho.Client, m paho.Message) {
			if m.Topic() == "t/end" {
				close(s.ended)
			} else {
				s.values[m.Topic()] = string(m.Payload())
			}
		}))
	}
	for token := range published {
		await(t, token)
	}
	await(t, publisher.Publish("t/end", 1, false, "end"))
	for i, s := range all {
		select {
		case <-s.ended:
		case <-time.After(patience):
			t.Fatal("the end does not come")
		}
		for topic := range topics {
			if got := s.values[fmt.Sprintf("t/%d", topic)]; got != strconv.Itoa(rounds) {
				t.Errorf("subscriber %d has %q on topic %d in the end, want %d", i, got, topic, rounds)
			}
		}
	}
}
