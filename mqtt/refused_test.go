package mqtt_test

import (
	"net"
	"slices"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// fickle listens as a broker would that acknowledges everything but what the test says otherwise.
type fickle struct {
	listener net.Listener
	refuse   func(topic string) bool
	ignore   func(topic string) bool // what is published there
	connects chan string
	asked    chan string
	said     chan string // the availability, as a message or as the will
}

func newFickle(t *testing.T, f fickle) *fickle {
	t.Helper()
	var err error
	if f.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.listener.Close() })
	f.connects, f.asked, f.said = make(chan string, 100), make(chan string, 100), make(chan string, 100)
	go func() {
		for {
			conn, err := f.listener.Accept()
			if err != nil {
				return
			}
			go f.serve(conn)
		}
	}()
	return &f
}

func (f *fickle) serve(conn net.Conn) {
	defer conn.Close()
	var will *packets.ConnectPacket
	defer func() {
		if will != nil && will.WillTopic == "plate-resort/lab/availability" {
			f.said <- string(will.WillMessage)
		}
	}()
	for {
		packet, err := packets.ReadPacket(conn)
		if err != nil {
			return
		}
		var answer packets.ControlPacket
		switch p := packet.(type) {
		case *packets.ConnectPacket:
			will = p
			f.connects <- p.ClientIdentifier
			answer = packets.NewControlPacket(packets.Connack)
		case *packets.SubscribePacket:
			suback := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
			suback.MessageID, suback.ReturnCodes = p.MessageID, slices.Clone(p.Qoss)
			if f.refuse != nil && f.refuse(p.Topics[0]) {
				suback.ReturnCodes[0] = 0x80
			}
			f.asked <- p.Topics[0]
			answer = suback
		case *packets.PublishPacket:
			if p.TopicName == "plate-resort/lab/availability" {
				f.said <- string(p.Payload)
			}
			if p.Qos == 0 || f.ignore != nil && f.ignore(p.TopicName) {
				continue
			}
			puback := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
			puback.MessageID = p.MessageID
			answer = puback
		case *packets.DisconnectPacket:
			will = nil
		case *packets.PingreqPacket:
			answer = packets.NewControlPacket(packets.Pingresp)
		}
		if answer != nil && answer.Write(conn) != nil {
			return
		}
	}
}

func await(t *testing.T, c <-chan string, what string) {
	t.Helper()
	for timeout := time.After(patience); ; {
		select {
		case got := <-c:
			if got == what {
				return
			}
		case <-timeout:
			t.Fatalf("there was no %s within %v", what, patience)
		}
	}
}

// A cluster that elects a leader refuses what it will allow a moment later.
func TestWhatIsRefusedIsAskedForAgainOnTheSameConnection(t *testing.T) {
	const inputs = "plate-resort/lab/+/set"
	refused := 0
	f := newFickle(t, fickle{refuse: func(topic string) bool {
		if topic == inputs {
			refused++
			return refused <= 2
		}
		return false
	}})
	_, end := startFake(t, f.listener.Addr().String(), false, left())
	defer end()
	for range 3 {
		await(t, f.asked, inputs)
	}
	var commands int
	for len(f.connects) > 0 {
		if <-f.connects == "plate-resort-lab" {
			commands++
		}
	}
	if commands != 1 {
		t.Errorf("the commands were connected %d times, want once", commands)
	}
}

// A server that has lost what it should acknowledge, and answers pings, is not waited for forever. What shows there
// meanwhile is that the device is away.
func TestAConnectionOnWhichSomethingIsNotAcknowledgedIsGivenUp(t *testing.T) {
	for _, topic := range []string{"state", "availability", "instance"} {
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			f := newFickle(t, fickle{ignore: func(ignored string) bool { return ignored == "plate-resort/lab/"+topic }})
			_, end := startFake(t, f.listener.Addr().String(), false, left())
			defer end()
			await(t, f.connects, "plate-resort-lab")
			await(t, f.said, "online")
			await(t, f.said, "offline")
			await(t, f.connects, "plate-resort-lab")
		})
	}
}

func TestADeviceIsAwayThoughTheBrokerDoesNotTakeItsFarewell(t *testing.T) {
	t.Parallel()
	f := newFickle(t, fickle{ignore: func(topic string) bool { return topic == "plate-resort/lab/operation" }})
	_, end := startFake(t, f.listener.Addr().String(), false, left())
	await(t, f.said, "online")
	end()
	await(t, f.said, "offline")
}
