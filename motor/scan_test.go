package motor_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// What two XM430-W210 answer to a ping for all, from https://emanual.robotis.com/docs/en/dxl/protocol2/#ping.
var (
	pong1 = []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x07, 0x00, 0x55, 0x00, 0x06, 0x04, 0x26, 0x65, 0x5D}
	pong2 = []byte{0xFF, 0xFF, 0xFD, 0x00, 0x02, 0x07, 0x00, 0x55, 0x00, 0x06, 0x04, 0x26, 0x6F, 0x6D}

	xm1 = motor.Found{ID: 1, Model: "XM430-W210", ModelNumber: 1030, Firmware: 38}
	xm2 = motor.Found{ID: 2, Model: "XM430-W210", ModelNumber: 1030, Firmware: 38}
)

// ping is the one for all, from the same page.
var ping = []byte{0xFF, 0xFF, 0xFD, 0x00, 0xFE, 0x03, 0x00, 0x01, 0x31, 0x42}

// connectAll puts servos on one line and returns its other end, until the test ends. What the host sends
// reaches all, and what they say reaches the host.
func connectAll(t *testing.T, servos ...*simulator.Servo) motor.Port {
	host, line := simulator.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	forward := func(from *simulator.Port, to ...*simulator.Port) {
		for buf := make([]byte, 256); ; {
			n, err := from.Read(buf)
			for _, port := range to {
				port.Write(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}
	var stubs []*simulator.Port
	for _, servo := range servos {
		stub, end := simulator.Pipe()
		stubs = append(stubs, stub)
		go servo.Serve(ctx, end)
		go forward(stub, line)
	}
	go forward(line, stubs...)
	t.Cleanup(func() {
		cancel()
		host.Close()
	})
	return host
}

func TestScanFindsEveryServoOnTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last := simulator.New(simulator.Config{ID: new(byte(252)), Model: 4711, Firmware: 1})
		hot := simulator.New(simulator.Config{ID: new(byte(7)), Model: 1060, Firmware: 45})
		hot.Fail(dynamixel.OverheatingError)
		usual := simulator.New(simulator.Config{})
		got, err := motor.Scan(t.Context(), connectAll(t, last, hot, usual), 57600)
		want := []motor.Found{
			{ID: 1, Model: "XC330-T288", ModelNumber: 1220, Firmware: 52},
			{ID: 7, Model: "XL430-W250", ModelNumber: 1060, Firmware: 45},
			{ID: 252, Model: "model 4711", ModelNumber: 4711, Firmware: 1},
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v, found (-want +got)\n%s", err, diff)
		}
	})
}

// An empty line is listened to for as long as the last of 253 servos may take, and no longer: 3,552 bytes on the
// wire and 3 ms for each.
func TestScanWaitsForTheLastID(t *testing.T) {
	for baud, most := range map[int]time.Duration{
		9600:    (3700 + 759) * time.Millisecond,
		57600:   (617 + 759) * time.Millisecond,
		4500000: (8 + 759) * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			if found, err := motor.Scan(t.Context(), connectAll(t), baud); err != nil || len(found) > 0 {
				t.Errorf("%d: found %v, %v", baud, found, err)
			}
			if took := time.Since(begin); took < most || took > most+100*time.Millisecond {
				t.Errorf("%d: it took %v, want no less than %v and little more", baud, took, most)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			host, line := simulator.Pipe()
			time.AfterFunc(most, func() { line.Write(pong2) })
			found, err := motor.Scan(t.Context(), host, baud)
			if err != nil || !slices.Equal(found, []motor.Found{xm2}) {
				t.Errorf("%d: found %v at the end, %v", baud, found, err)
			}
		})
	}
}

func TestScanIsNotMisled(t *testing.T) {
	// These are well formed, and from nobody who answers a ping.
	refused := dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 3, Instruction: dynamixel.Status, Error: dynamixel.ResultFail, Params: []byte{0x06, 0x04, 0x26}})
	shorter := dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 4, Instruction: dynamixel.Status, Params: []byte{0x06, 0x04}})
	longer := dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 5, Instruction: dynamixel.Status, Params: []byte{0x06, 0x04, 0x26, 0x00}})
	asked := dynamixel.AppendWrite(nil, 6, dynamixel.TorqueEnable, 0)
	stale := dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 9, Instruction: dynamixel.Status, Params: []byte{0x06, 0x04, 0x26}})
	damaged := slices.Clone(pong2)
	damaged[9] ^= 0x01

	for _, test := range []struct {
		name string
		says []byte
		want []motor.Found
	}{
		{"nothing", nil, nil},
		{"the echo of the ping", ping, nil},
		{"an answer behind the echo", slices.Concat(ping, pong1), []motor.Found{xm1}},
		{"an answer twice", slices.Concat(pong1, pong1, pong2, pong1), []motor.Found{xm1, xm2}},
		{"in the wrong order", slices.Concat(pong2, pong1), []motor.Found{xm1, xm2}},
		{"noise", slices.Concat([]byte{0x00, 0xFF, 0xFF, 0xFD}, pong1, []byte{0x55, 0xFF}, pong2), []motor.Found{xm1, xm2}},
		{"a long header", slices.Concat(longHeader, pong1), []motor.Found{xm1}},
		{"answers that collide", slices.Concat(pong1[:9], pong2), []motor.Found{xm2}},
		{"a damaged answer", slices.Concat(damaged, pong1), []motor.Found{xm1}},
		{"other packets", slices.Concat(refused, shorter, longer, asked, pong1), []motor.Found{xm1}},
	} {
		synctest.Test(t, func(t *testing.T) {
			host, line := simulator.Pipe()
			line.Write(stale)
			go func() {
				var heard []byte
				for buf := make([]byte, 64); len(heard) < len(ping); {
					n, _ := line.Read(buf)
					heard = append(heard, buf[:n]...)
				}
				if !slices.Equal(heard, ping) {
					t.Errorf("it said % X, want % X", heard, ping)
				}
				for _, b := range test.says {
					line.Write([]byte{b})
					time.Sleep(time.Millisecond)
				}
			}()
			got, err := motor.Scan(t.Context(), host, 57600)
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v, found (-want +got)\n%s", test.name, err, diff)
			}
		})
	}
}

func TestScanEndsWhenItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(500*time.Millisecond, func() { cancel(enough) })
		begin := time.Now()
		found, err := motor.Scan(ctx, connectAll(t, simulator.New(simulator.Config{})), 57600)
		if !errors.Is(err, enough) || len(found) != 1 {
			t.Errorf("found %v, %v", found, err)
		}
		if took := time.Since(begin); took > 550*time.Millisecond {
			t.Errorf("it ended after %v", took)
		}
	})
}

func TestScanOfAPortThatFails(t *testing.T) {
	failing := func(t *testing.T, name string, scan func(context.Context) error) {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			if err := scan(t.Context()); err == nil || !strings.Contains(err.Error(), "is the adapter still plugged in?") {
				t.Errorf("%s: error %v", name, err)
			}
			if took := time.Since(begin); took > time.Second {
				t.Errorf("%s: it took %v", name, took)
			}
		})
	}
	failing(t, "unplugged before", func(ctx context.Context) error {
		host, line := simulator.Pipe()
		line.Close()
		_, err := motor.Scan(ctx, host, 57600)
		return err
	})
	failing(t, "unplugged meanwhile", func(ctx context.Context) error {
		host, line := simulator.Pipe()
		time.AfterFunc(100*time.Millisecond, func() { line.Close() })
		_, err := motor.Scan(ctx, host, 57600)
		return err
	})
	failing(t, "takes no bytes", func(ctx context.Context) error {
		host, _ := simulator.Pipe()
		port := &stuckPort{host, func() bool { return true }, make(chan struct{})}
		defer port.Close()
		_, err := motor.Scan(ctx, port, 57600)
		return err
	})
}
