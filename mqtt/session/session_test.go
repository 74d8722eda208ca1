package session_test

import (
	"net"
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
