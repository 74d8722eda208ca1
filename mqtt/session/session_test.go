package session_test

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// An outage is a warning with each reason, at each broker, and not at each attempt.
func TestAnOutageIsLoggedOnceForEachReason(t *testing.T) {
	inVirtualTime(t, nil, func(t *testing.T, r *rig) {
		r.hosts = map[string]host{"b": func(name string, conn net.Conn, p packets.ControlPacket) bool {
			switch hours := time.Since(r.start) / time.Hour; hours {
			case 0, 2:
				return false
			case 1:
				time.Sleep(5 * time.Second) // and paho waits no longer
				return false
			default:
				return good(name, conn, p)
			}
		}}
		r.connect("commands", "a", "b")
		r.after(4 * time.Hour)
		warnings := r.lines("level=WARN", "tcp://a: refused at ", "; tcp://b: ")
		if len(warnings) != 2 || len(r.lines("level=WARN")) != 2 {
			t.Errorf("there are %d warnings with the reasons:\n%s", len(warnings), &r.text)
		}
	})
}

// late answers everything so much later.
func late(latency time.Duration) host {
	return func(name string, conn net.Conn, p packets.ControlPacket) bool {
		time.AfterFunc(latency, func() { answer(name, conn, p) })
		return true
	}
}

// answer is good, and knows pings.
func answer(name string, conn net.Conn, p packets.ControlPacket) bool {
	if _, isPing := p.(*packets.PingreqPacket); isPing {
		return packets.NewControlPacket(packets.Pingresp).Write(conn) == nil
	}
	return good(name, conn, p)
}

// With 5 s of latency in each direction a connection comes up within a minute, and stays.
func TestASlowNetworkIsBorne(t *testing.T) {
	inVirtualTime(t, map[string]host{"b": late(10 * time.Second)}, func(t *testing.T, r *rig) {
		r.keepalive, r.acknowledgement = 15*time.Second, 11*time.Second
		r.connect("commands", "b")
		if ups := r.after(time.Hour); len(ups) != 1 || ups[0].at > time.Minute {
			t.Errorf("it has come up %v, want once, within a minute", ups)
		}
	})
}

// A broker that is slow to answer is given time only after a few attempts: an address that takes what is sent and does
// not answer is tried often, so that it is found soon when it does.
func TestASilentBrokerIsTriedOften(t *testing.T) {
	inVirtualTime(t, nil, func(t *testing.T, r *rig) {
		var attempts atomic.Int64
		r.hosts = map[string]host{"b": func(string, net.Conn, packets.ControlPacket) bool {
			attempts.Add(1)
			return true
		}}
		r.connect("commands", "b")
		if r.after(20 * time.Second); attempts.Load() < 3 {
			t.Errorf("it was tried %d times within 20 s", attempts.Load())
		}
	})
}

// Those whom a broker has lost at one moment do not all come back at one moment.
func TestConnectionsDoNotComeBackTogether(t *testing.T) {
	inVirtualTime(t, map[string]host{"b": good}, func(t *testing.T, r *rig) {
		const devices = 1000
		var lost []net.Conn
		r.hosts["b"] = func(name string, conn net.Conn, p packets.ControlPacket) bool {
			if _, isConnect := p.(*packets.ConnectPacket); isConnect {
				r.mu.Lock()
				lost = append(lost, conn)
				r.mu.Unlock()
			}
			return good(name, conn, p)
		}
		for range devices {
			r.connect("commands", "b")
		}
		before := len(r.after(time.Minute))
		r.mu.Lock()
		for _, conn := range lost {
			conn.Close()
		}
		r.mu.Unlock()
		back := r.after(5 * time.Second)[before:]
		if before != devices || len(back) != devices {
			t.Fatalf("%d connections have come up, and then %d, want %d each", before, len(back), devices)
		}
		most := 0
		for i := range back {
			n := 0
			for _, u := range back[i:] {
				if u.at-back[i].at < 100*time.Millisecond {
					n++
				}
			}
			most = max(most, n)
		}
		if most > devices/5 {
			t.Errorf("%d of %d come back within a tenth of a second", most, devices)
		}
	})
}
