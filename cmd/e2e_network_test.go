//go:build e2e

package cmd_test

import (
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// In each fault of the network a move that is under way goes on to its end, and so does all that waits; a stop works
// where its way is well; the program does not grow, though its state changes and commands come; and nothing is done twice.
// Everything retained is current soon after.
func TestNetworkFaults(t *testing.T) {
	t.Parallel()
	program := buildPlain(t)
	var rows sync.WaitGroup
	for name, fault := range map[string]struct {
		settings []string
		// begin brings the fault, and during goes on when the moves have ended. End ends it.
		begin, during, end func(*testing.T, *site)
		stopped            bool // during has sent a stop
		deaf               bool // no command comes through
		rate               int  // of commands a second; 0 is 50
	}{
		"the broker is killed and is empty when it is back": {
			begin:  func(t *testing.T, s *site) { s.broker.process.kill(t) },
			during: lost,
			end: func(t *testing.T, s *site) {
				s.broker.start(t)
				s.rewatch(t, "health", "queue", "history", "schedules")
			},
			deaf: true,
		},
		"the broker is frozen for a moment": {
			begin:  func(t *testing.T, s *site) { s.broker.signal(t, syscall.SIGSTOP) },
			during: func(*testing.T, *site) {},
			end:    func(t *testing.T, s *site) { s.broker.signal(t, syscall.SIGCONT) },
			deaf:   true,
		},
		"the broker is frozen": {
			settings: []string{"PLATE_RESORT_MQTT_KEEPALIVE=2s"},
			begin:    func(t *testing.T, s *site) { s.broker.signal(t, syscall.SIGSTOP) },
			during:   lost,
			end:      func(t *testing.T, s *site) { s.broker.signal(t, syscall.SIGCONT) },
			deaf:     true,
		},
		"the network is silent, and then forgets the connections": {
			settings: []string{"PLATE_RESORT_MQTT_KEEPALIVE=2s"},
			begin: func(_ *testing.T, s *site) {
				s.proxy.set(faults{silent: eitherWay(true)})
				s.proxy.forget()
			},
			during: lost,
			end:    func(_ *testing.T, s *site) { s.proxy.set(faults{}) },
			deaf:   true,
		},
		"the network is silent, and then goes on": {
			begin:  func(_ *testing.T, s *site) { s.proxy.set(faults{silent: eitherWay(true)}) },
			during: func(*testing.T, *site) {},
			end:    func(_ *testing.T, s *site) { s.proxy.set(faults{}) },
			deaf:   true,
		},
		"nothing comes from the device": {
			begin:   func(_ *testing.T, s *site) { s.proxy.set(faults{silent: [2]bool{toBroker: true}}) },
			during:  stops,
			end:     func(_ *testing.T, s *site) { s.proxy.set(faults{}) },
			stopped: true,
		},
		"nothing comes from the device, and then the network forgets the connections": {
			// The broker keeps the session, and sends again what it has no acknowledgement of.
			settings: []string{"PLATE_RESORT_MQTT_OFFLINE_COMMANDS=run"},
			begin:    func(_ *testing.T, s *site) { s.proxy.set(faults{silent: [2]bool{toBroker: true}}) },
			during: func(t *testing.T, s *site) {
				s.send(t, "angle", move(90, "unacknowledged"))
				s.says(t, "operation ended", "id=unacknowledged ", "state=completed")
				s.feeder.end() // the last 1,000 ids are known
				s.says(t, "has not acknowledged a message")
			},
			end: func(_ *testing.T, s *site) {
				s.proxy.forget()
				s.proxy.set(faults{})
			},
		},
		"nothing comes to the device": {
			begin:  func(_ *testing.T, s *site) { s.proxy.set(faults{silent: [2]bool{toDevice: true}}) },
			during: func(t *testing.T, s *site) { s.says(t, "has not acknowledged a message") },
			end:    func(_ *testing.T, s *site) { s.proxy.set(faults{}) },
			deaf:   true,
		},
		"5 s of latency in each direction": {
			settings: []string{"PLATE_RESORT_MQTT_KEEPALIVE=30s"}, // or the broker may miss a ping when the latency begins
			begin:    func(_ *testing.T, s *site) { s.proxy.set(faults{latency: eitherWay(5 * time.Second)}) },
			during: func(t *testing.T, s *site) {
				s.hears(t, 200) // so that what was published in the fault is acknowledged, or not
				stops(t, s)
				s.watch.state(t, "a stop", func(s state) bool { return s.EmergencyStop && !s.Torque })
				if n := s.proxy.connections(); n != 2 {
					t.Errorf("the device has connected %d times, want 2", n)
				}
			},
			end:     func(_ *testing.T, s *site) { s.proxy.set(faults{}) },
			stopped: true,
			deaf:    true, // or rather slow
		},
		"20 % loss": {
			begin:   func(_ *testing.T, s *site) { s.proxy.set(faults{loss: eitherWay(0.2)}) },
			during:  stops,
			end:     func(_ *testing.T, s *site) { s.proxy.set(faults{}) },
			stopped: true,
		},
		"the broker acknowledges nothing": {
			begin: func(_ *testing.T, s *site) { s.proxy.set(faults{withheld: true}) },
			during: func(t *testing.T, s *site) {
				s.says(t, "has not acknowledged a message")
				stops(t, s)
			},
			end:     func(_ *testing.T, s *site) { s.proxy.set(faults{}) },
			stopped: true,
			rate:    1000,
		},
		"others take the connections": {
			begin: func(t *testing.T, s *site) {
				for _, id := range []string{"plate-resort-lab", "plate-resort-lab-stop"} {
					other := paho.NewClient(paho.NewClientOptions().AddBroker(s.broker.url()).SetClientID(id).SetAutoReconnect(false))
					if token := other.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
						t.Fatalf("%s cannot be taken: %v", id, token.Error())
					}
					t.Cleanup(func() { other.Disconnect(0) })
				}
			},
			during: func(t *testing.T, s *site) {
				lost(t, s)
				stops(t, s)
			},
			end:     func(*testing.T, *site) {},
			stopped: true,
		},
		"the network closes and refuses connections": {
			begin:  func(_ *testing.T, s *site) { s.proxy.refuse() },
			during: lost,
			end:    func(t *testing.T, s *site) { s.proxy.accept(t) },
			deaf:   true,
		},
	} {
		rows.Go(func() {
			t.Run(name, func(t *testing.T) { // not t.Parallel, which is for so many as there are processors: they do little but wait
				s := newSite(t, program, max(50, fault.rate), fault.settings...)
				before, most := s.program.watchMemory(t)

				fault.begin(t, s)
				for _, id := range []string{"under-way", "waits"} {
					s.says(t, "operation ended", "id="+id+" ", "state=completed")
				}
				if !fault.deaf {
					s.hears(t, 20)
				}
				fault.during(t, s)
				ended := time.Now()
				fault.end(t, s)
				took := s.expectCurrent(t, ended)
				s.feeder.end()

				if grown := most() - before; grown > growth {
					t.Errorf("the program has grown by %d kB, from %d kB", grown>>10, before>>10)
				} else {
					t.Logf("%s: current %v after the recovery; the program had %d kB, and %d kB more at the most", name, took.Round(10*time.Millisecond), before>>10, grown>>10)
				}
				if fault.stopped {
					s.watch.status(t, "e_stop")
					s.do(t, "reset", `{"id": "reset"}`, "reset")
				}
				s.do(t, "angle", move(0, "after"), "after")
				s.expectNothingTwice(t)
			})
		})
	}
	rows.Wait()
}

// The kernel asks a silent connection soon whether its other end is still there: a broker's machine that was restarted does
// not know it, and says so.
func TestSilentConnectionsAreProbed(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	connected := d.broker.process.awaitText(t, "New client connected", "as plate-resort-lab-stop (")
	port, err := strconv.Atoi(regexp.MustCompile(`127\.0\.0\.1:(\d+) as`).FindStringSubmatch(connected)[1])
	if err != nil {
		t.Fatal(err)
	}
	// Local address, remote address, state, queues, and the timer: 02 is for probes, with the hundredths of a second that
	// are left; it is another one while something is not acknowledged.
	columns := regexp.MustCompile(fmt.Sprintf(`0100007F:%04X 0100007F:\w+ 01 \w+:\w+ (\w\w):(\w+) `, port))
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for deadline := time.Now().Add(patience); ; <-pace.C {
		timer := columns.FindStringSubmatch(readFile(t, "/proc/net/tcp"))
		if timer == nil {
			t.Fatalf("there is no connection from port %d", port)
		}
		left, err := strconv.ParseInt(timer[2], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		if timer[1] == "02" && left <= 300 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the timer %s of the stop's connection has %d hundredths of a second left, want one of probes, within 3 s", timer[1], left)
		}
	}
}
