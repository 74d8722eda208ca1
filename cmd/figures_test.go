//go:build figures

package cmd

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"go.bug.st/serial"

	"github.com/plate-resort/plate-resort/device/journal"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

var (
	fleetDevices = flag.Int("fleet.devices", 1, "how many devices TestFleet runs")
	fleetName    = flag.String("fleet.name", "fleet", "how their names begin")
	fleetBroker  = flag.String("fleet.broker", "", "the broker's URL")
	fleetPort    = flag.String("fleet.port", "", "the serial port of the first device")
)

// TestFleet is a program: it runs devices in one process until SIGTERM. The first has a serial port, the others have
// simulated servos. They begin when that port is open: go.bug.st/serial waits with select(2), which knows the first 1,024
// files of a process.
func TestFleet(t *testing.T) {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	collectSoon()
	opened := make(chan struct{})
	begin := sync.OnceFunc(func() { close(opened) })
	open := func(log *slog.Logger) openFunc {
		serial := motor.Serial(log)
		return func(port string, baud int) (motor.Port, error) {
			p, err := serial(port, baud)
			if err == nil {
				begin()
			}
			return p, err
		}
	}
	first := fleetSettings(t, *fleetName+"-1")
	first.port = *fleetPort
	parts := []func(context.Context) error{func(ctx context.Context) error {
		return serve(ctx, first, world{port: open, store: forget, now: time.Now})
	}}
	for n := 2; n <= *fleetDevices; n++ {
		s := fleetSettings(t, fmt.Sprintf("%s-%d", *fleetName, n))
		parts = append(parts, func(ctx context.Context) error {
			select {
			case <-opened:
				return serveSimulated(ctx, s, noPTY, forget)
			case <-ctx.Done():
				return nil
			}
		})
	}
	if err := together(ctx, parts); err != nil {
		t.Fatal(err)
	}
}

// TestBare is a program: it writes a goal position to its serial port as soon as a message comes, until SIGTERM.
func TestBare(t *testing.T) {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	port, err := serial.Open(*fleetPort, &serial.Mode{BaudRate: 57600})
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	client := paho.NewClient(paho.NewClientOptions().AddBroker(*fleetBroker))
	if token := client.Connect(); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	defer client.Disconnect(0)
	token := client.Subscribe("bare/angle/set", 1, func(paho.Client, paho.Message) {
		if _, err := port.Write(goalPacket); err != nil {
			t.Error(err)
		}
	})
	if token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	fmt.Println("listening")
	<-ctx.Done()
}

func fleetSettings(t *testing.T, id string) settings {
	t.Helper()
	if *fleetBroker == "" {
		t.Fatal("this is for TestFigures, which says where the broker is")
	}
	s, err := loadSettings(func(env *environment) {
		env.DeviceID, env.LogLevel, env.MQTTBroker, env.MotorPort = id, "error", *fleetBroker, simulatedPort
		env.StateDir, env.ResumeWindow = "", "0"
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAllocations counts what is allocated from the moment at which a command is sent until its goal position is
// written to the port. The command comes through a real broker, from a client that allocates nothing.
func TestAllocations(t *testing.T) {
	s := fleetSettings(t, "counted")
	host, line := simulator.Pipe()
	servo := simulator.New(simulator.Config{})
	defer start(func(ctx context.Context) error { return servo.Serve(ctx, line) })()
	port := &countingPort{Port: host, at: make(chan uint64, 1)}
	open := func(*slog.Logger) openFunc { return func(string, int) (motor.Port, error) { return port, nil } }
	kept := func(log *slog.Logger) (store, error) { return journal.Open(t.TempDir(), log) }
	defer start(func(ctx context.Context) error { return serve(ctx, s, world{open, kept, time.Now, true}) })()

	watch := paho.NewClient(paho.NewClientOptions().AddBroker(*fleetBroker))
	if token := watch.Connect(); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	defer watch.Disconnect(0)
	const inputs = "plate-resort/counted/"
	ready, ended := make(chan struct{}, 1), make(chan struct{}, 1)
	for topic, tell := range map[string]struct {
		channel chan struct{}
		text    string
	}{inputs + "state": {ready, `"status":"ready"`}, inputs + "operation": {ended, `"state":"completed"`}} {
		token := watch.Subscribe(topic, 0, func(_ paho.Client, m paho.Message) {
			if bytes.Contains(m.Payload(), []byte(tell.text)) {
				select {
				case tell.channel <- struct{}{}:
				default:
				}
			}
		})
		if token.Wait() && token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	<-ready
	sender := dialBare(t, strings.TrimPrefix(*fleetBroker, "tcp://"))
	var counts []uint64
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for n := range 200 {
		p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		p.Qos, p.MessageID, p.TopicName, p.Payload = 1, uint16(n+1), inputs+"angle/set", fmt.Appendf(nil, `{"id": "move-%d", "angle": %d}`, n, n%2)
		command := encode(t, p)
		select {
		case <-port.at: // when it connected
		default:
		}
		before := mallocs()
		for last := before - 1; before != last; { // until nothing else allocates
			<-look.C
			last, before = before, mallocs()
		}
		if _, err := sender.Write(command); err != nil {
			t.Fatal(err)
		}
		counts = append(counts, <-port.at-before)
		<-ended
	}
	slices.Sort(counts)
	fmt.Println("allocations: median", counts[len(counts)/2], "least", counts[0])
}

// A countingPort tells how much has been allocated when a goal position is written to it.
type countingPort struct {
	motor.Port
	at chan uint64
}

func (p *countingPort) Write(packet []byte) (int, error) {
	if writesGoal(packet) {
		now := mallocs()
		select {
		case p.at <- now:
		default:
		}
	}
	return p.Port.Write(packet)
}

// memory is what mallocs reads, which is not to allocate. It has one user at a time: who sends waits for the port.
var memory runtime.MemStats

func mallocs() uint64 {
	runtime.ReadMemStats(&memory)
	return memory.Mallocs
}

// dialBare connects to the broker without a client library, which would allocate.
func dialBare(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	hello := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	hello.ProtocolName, hello.ProtocolVersion, hello.CleanSession, hello.ClientIdentifier = "MQTT", 4, true, "bare"
	if _, err := conn.Write(encode(t, hello)); err != nil {
		t.Fatal(err)
	}
	if _, err := packets.ReadPacket(conn); err != nil {
		t.Fatal(err)
	}
	return conn
}

func encode(t *testing.T, p packets.ControlPacket) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
