package mqtt_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
	"github.com/plate-resort/plate-resort/mqtt"
	"github.com/plate-resort/plate-resort/mqtt/session"
)

// A past is a store with what another process has left.
type past struct {
	device.Memory
	saved device.Saved
}

func (p *past) Load() (device.Saved, error) { return p.saved, nil }

// left is what a process leaves that is killed in a move home, "ran".
func left() device.Saved {
	return device.Saved{
		Records: []device.Record{{Accepted: 1, Operation: device.Operation{
			ID: "ran", Name: device.HomeOperation, State: device.Running, Attempt: 1, QueuedAt: time.Now(),
		}}},
		Away: new(time.Second),
	}
}

// startFake runs a device "lab" with a fake motor, linked to a broker at address, until end is called. There may be several
// addresses, with commas between them.
func startFake(t *testing.T, address string, keepCommands bool, saved device.Saved) (m *devicetest.Motor, end func()) {
	t.Helper()
	var urls []string
	for _, one := range strings.Split(address, ",") {
		urls = append(urls, "tcp://"+one)
	}
	log, m := slog.New(slog.DiscardHandler), devicetest.New()
	var ids atomic.Int64
	d, err := device.New(device.Config{
		Carousel:  device.Carousel{Hotels: device.EvenlySpaced([]string{"A", "B"}, 19, 1), RoomsPerHotel: 20},
		QueueSize: 100, Tolerance: 0.5, Retries: 3, ResumeWindow: time.Minute,
		NewID: func() string { return fmt.Sprint("id-", ids.Add(1)) }, Now: time.Now,
		Limits: device.Limits{Temperature: 70, Current: 2000, MinVoltage: 10, MaxVoltage: 14},
		Motor:  m, Store: &past{saved: saved}, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	link := mqtt.NewLink(mqtt.Config{
		Broker:    session.Broker{URLs: urls, Keepalive: 15 * time.Second},
		BaseTopic: "plate-resort", DeviceID: "lab",
		KeepCommands: keepCommands, Lines: mqtt.NewLog(), Log: log,
	}, d, newFakeSchedules())
	stopLink := run(t, link.Run)
	stopDevice := run(t, func(ctx context.Context) error { return d.Run(ctx, func() {}) })
	return m, func() {
		stopLink()
		for _, move := range m.Moves() {
			move.Arrive()
		}
		stopDevice()
	}
}

func TestWhatWasInterruptedGoesOnWithABrokerThatHasKeptTheStop(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	w := watch(t, b.Addr())
	_, end := startFake(t, b.Addr().String(), false, device.Saved{})
	w.untilIs("plate-resort/lab/availability", "online")
	end()
	_, end = startFake(t, b.Addr().String(), false, left())
	defer end()
	w.untilOperation("ran", device.Running)
}

// A stop may have been sent to another broker than the one that comes first.
func TestWhatWasInterruptedEndsWithSeveralBrokers(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	w := watch(t, b.Addr())
	brokers := b.Addr().String() + ",127.0.0.1:1"
	_, end := startFake(t, brokers, false, device.Saved{})
	w.untilIs("plate-resort/lab/availability", "online")
	end()
	_, end = startFake(t, brokers, false, left())
	defer end()
	w.untilOperation("ran", device.Interrupted)
}

// A stop with QoS 1 that was sent while the device was away is gone with the broker's memory.
func TestWhatWasInterruptedEndsWithABrokerThatHasForgottenTheStop(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	address := b.Addr().String()
	_, end := startFake(t, address, false, device.Saved{})
	w := watch(t, b.Addr())
	w.untilIs("plate-resort/lab/availability", "online")
	end()
	w.publish("plate-resort/lab/stop/set", "STOP")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	w = watch(t, listen(t, address).Addr())
	m, end := startFake(t, address, false, left())
	defer end()
	w.untilOperation("ran", device.Interrupted)
	if n := len(m.Moves()); n != 0 {
		t.Errorf("%d moves have begun", n)
	}
}

// newGate passes connections on to a broker, but refuses the first of the stop, so many. It counts the
// connections of the commands that came before one of the stop was passed on.
func newGate(t *testing.T, broker string, refused int64) (address string, early *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	var stops atomic.Int64
	early = new(atomic.Int64)
	pass := func(client net.Conn) {
		defer client.Close()
		first := make([]byte, 200)
		n, _ := client.Read(first)
		switch isStop := bytes.Contains(first[:n], []byte("-lab-stop")); {
		case isStop && stops.Add(1) <= refused:
			return
		case !isStop && stops.Load() <= refused:
			early.Add(1)
		}
		server, err := net.Dial("tcp", broker)
		if err != nil {
			return
		}
		defer server.Close()
		_, _ = server.Write(first[:n])
		open.Go(func() {
			_, _ = io.Copy(server, client)
			_ = server.Close()
		})
		_, _ = io.Copy(client, server)
	}
	open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { pass(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		open.Wait()
	})
	return listener.Addr().String(), early
}

// A stop that the broker has kept comes before the commands that it has kept, though its connection is late.
func TestKeptCommandsComeAfterTheStop(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	w := watch(t, b.Addr())
	_, end := startFake(t, b.Addr().String(), true, device.Saved{})
	w.untilIs("plate-resort/lab/availability", "online")
	end()
	w.publish("plate-resort/lab/home/set", `{"id": "kept"}`)
	w.publish("plate-resort/lab/stop/set", `{"id": "stop"}`)
	address, early := newGate(t, b.Addr().String(), 1)
	m, end := startFake(t, address, true, device.Saved{})
	defer end()
	if op := w.untilOperation("kept", device.Rejected); op.Error.Code != device.CodeEmergencyStopped {
		t.Errorf("the move ended with %+v", op.Error)
	}
	if n := len(m.Moves()); n != 0 || early.Load() != 0 {
		t.Errorf("%d moves have begun, %d connections came before the stop's", n, early.Load())
	}
}

// The stop comes on the connection of the commands, too.
func TestKeptCommandsDoNotWaitForTheStopForever(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	w := watch(t, b.Addr())
	_, end := startFake(t, b.Addr().String(), true, device.Saved{})
	w.untilIs("plate-resort/lab/availability", "online")
	end()
	w.publish("plate-resort/lab/home/set", `{"id": "kept"}`)
	began := time.Now()
	address, _ := newGate(t, b.Addr().String(), 1<<40)
	_, end = startFake(t, address, true, device.Saved{})
	defer end()
	w.untilOperation("kept", device.Running)
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("it runs after %v", took)
	}
}
