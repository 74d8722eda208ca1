package client_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
	"github.com/plate-resort/plate-resort/mqtt"
	"github.com/plate-resort/plate-resort/mqtt/broker"
	"github.com/plate-resort/plate-resort/mqtt/session"
	"github.com/plate-resort/plate-resort/scheduler"
)

// listen runs a broker on an address until the test ends; "127.0.0.1:0" takes a free port.
func listen(t *testing.T, address string) *broker.Broker {
	t.Helper()
	b, err := broker.Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// A runningDevice is the real thing but for the motor, which a test directs: a move goes on until the test ends it. It
// has the hotels A at 19°, B at 109°, C at 199° and D at 289°.
type runningDevice struct {
	Motor *devicetest.Motor

	t         *testing.T
	id        string
	address   string
	memory    device.Memory
	schedules scheduler.Memory
	stop      func()
}

// runDevice runs a device with that id until the test ends, on the broker at an address. Its motor is connected and at 0°.
func runDevice(t *testing.T, address, id string) *runningDevice {
	t.Helper()
	d := &runningDevice{Motor: devicetest.New(), t: t, id: id, address: address}
	d.Start()
	t.Cleanup(d.Stop)
	return d
}

// Start runs the device again, with what it has kept.
func (d *runningDevice) Start() {
	d.t.Helper()
	log := slog.New(slog.DiscardHandler)
	newID := func() string { return ulid.Make().String() }
	core, err := device.New(device.Config{
		Carousel:  device.Carousel{Hotels: device.EvenlySpaced([]string{"A", "B", "C", "D"}, 19, 1), RoomsPerHotel: 20},
		QueueSize: 100, Tolerance: 0.5, NewID: newID, Now: time.Now,
		Limits: device.Limits{Temperature: 70, Current: 2000, MinVoltage: 10, MaxVoltage: 14},
		Motor:  d.Motor, Store: &d.memory, Log: log,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	planner, err := scheduler.New(scheduler.Config{Device: core, Store: &d.schedules, NewID: newID, Now: time.Now, Log: log})
	if err != nil {
		d.t.Fatal(err)
	}
	core.Observe(planner.Observe)
	link := mqtt.NewLink(mqtt.Config{
		Broker:    session.Broker{URLs: []string{"tcp://" + d.address}, Keepalive: 15 * time.Second},
		BaseTopic: "plate-resort", DeviceID: d.id, Lines: mqtt.NewLog(), Log: log,
	}, core, planner)
	ctx, cancel := context.WithCancel(context.Background())
	linked, leave := context.WithCancel(context.Background())
	var running, linking sync.WaitGroup
	linking.Go(func() { _ = link.Run(linked) }) // ends without an error when it is told to end
	running.Go(func() { _ = planner.Run(ctx) })
	running.Go(func() {
		err := core.Run(ctx, func() {
			leave()
			linking.Wait()
		})
		if err != nil {
			d.t.Error(err)
		}
	})
	d.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
}

// Stop ends the device as SIGTERM does: the broker is told.
func (d *runningDevice) Stop() { d.stop() }
