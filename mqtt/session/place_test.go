package session_test

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// The ways not to take a connection.
var rejections = map[string]host{
	"closes": func(string, net.Conn, packets.ControlPacket) bool { return false },
	"does not answer a subscription": func(name string, conn net.Conn, p packets.ControlPacket) bool {
		_, isSubscribe := p.(*packets.SubscribePacket)
		return isSubscribe || good(name, conn, p)
	},
	"does not acknowledge": func(name string, conn net.Conn, p packets.ControlPacket) bool {
		_, isPublish := p.(*packets.PublishPacket)
		return isPublish || good(name, conn, p)
	},
	"closes when something is published": func(name string, conn net.Conn, p packets.ControlPacket) bool {
		_, isPublish := p.(*packets.PublishPacket)
		return !isPublish && good(name, conn, p)
	},
}

// without returns a host that takes every connection but one.
func without(rejected string, reject host) host {
	return func(name string, conn net.Conn, p packets.ControlPacket) bool {
		if name == rejected {
			return reject(name, conn, p)
		}
		return good(name, conn, p)
	}
}

func other(name string) string {
	return map[string]string{"stop": "commands", "commands": "stop"}[name]
}

// Both go to the broker at which both can be, and stay.
func TestAConnectionThatCannotJoinTheOtherCallsItAway(t *testing.T) {
	for _, rejected := range []string{"stop", "commands"} {
		for how, reject := range rejections {
			t.Run(rejected+" "+how, func(t *testing.T) {
				inVirtualTime(t, map[string]host{"a": without(rejected, reject), "b": good}, func(t *testing.T, r *rig) {
					r.connect(other(rejected), "a", "b")
					r.after(time.Second)
					r.connect(rejected, "a", "b")
					ups := r.after(2 * time.Minute)
					if at := at(ups); at["stop"] != "b" || at["commands"] != "b" {
						t.Fatalf("they are at %v", at)
					}
					if ups[len(ups)-1].at-ups[len(ups)-2].at >= time.Second {
						t.Errorf("the other one did not follow at once: %v", ups)
					}
					if n := len(r.after(24 * time.Hour)); n != len(ups) {
						t.Errorf("they have come up %d times more", n-len(ups))
					}
					if calls := r.lines("level=INFO", "connection="+other(rejected), `"tcp://a: the other connection cannot be to this broker`); len(calls) != 1 {
						t.Errorf("the log says %d times that the other one was called away", len(calls))
					}
				})
			})
		}
	}
}

// Where no broker takes both, they do not go to and fro.
func TestConnectionsOfWhichEachHasItsBrokerAreTogetherLessAndLess(t *testing.T) {
	for how, reject := range rejections {
		t.Run(how, func(t *testing.T) {
			inVirtualTime(t, map[string]host{"a": without("commands", reject), "b": without("stop", reject)}, func(t *testing.T, r *rig) {
				r.connect("stop", "a", "b")
				r.after(time.Second)
				r.connect("commands", "a", "b")
				last, calls, pause, since := "a", 0, time.Duration(0), time.Duration(0)
				for _, u := range r.after(4 * time.Hour) {
					if u.host == last {
						continue
					}
					took := u.at - since
					if calls > 0 && took < max(time.Minute, pause-time.Minute) {
						t.Errorf("after %v one of them was called away, and then after %v again", pause, took)
					}
					last, calls, pause, since = u.host, calls+1, took, u.at
				}
				if calls < 8 || calls > 10 || pause < time.Hour {
					t.Errorf("one of them was called away %d times, and after %v the last time", calls, pause)
				}
			})
		})
	}
}

// Brokers that are well in between do not change that: each takes the commands for a while, and then not.
func TestConnectionsThatAreWellForAWhileAreCalledAwayLessAndLess(t *testing.T) {
	moody := func() host {
		refuses := new(atomic.Bool)
		return func(name string, conn net.Conn, p packets.ControlPacket) bool {
			if name == "stop" {
				return good(name, conn, p)
			}
			if _, isPublish := p.(*packets.PublishPacket); isPublish {
				time.AfterFunc(40*time.Second, func() {
					refuses.Store(true)
					conn.Close()
					time.AfterFunc(20*time.Second, func() { refuses.Store(false) })
				})
			}
			return !refuses.Load() && good(name, conn, p)
		}
	}
	inVirtualTime(t, map[string]host{"a": moody(), "b": moody()}, func(t *testing.T, r *rig) {
		r.connect("stop", "a", "b")
		r.after(time.Second)
		r.connect("commands", "a", "b")
		ups := r.after(4 * time.Hour)
		if n := count(ups, "stop", "a") + count(ups, "stop", "b"); n < 5 || n > 10 {
			t.Errorf("the stop has come up %d times", n)
		}
		r.end()
		time.Sleep(2 * time.Minute) // what the hosts still do
	})
}

// A connection is called away only to a broker that takes the one that calls.
func TestAConnectionThatFindsNothingBetterLeavesTheOtherInPeace(t *testing.T) {
	for how, reject := range map[string]host{"closes": rejections["closes"], "does not answer": rejections["does not answer a subscription"], "is away": nil} {
		for _, list := range [][]string{{"a"}, {"a", "b"}, {"a", "b", "c"}} {
			t.Run(how, func(t *testing.T) {
				tried := new(atomic.Int64)
				a := without("commands", func(string, net.Conn, packets.ControlPacket) bool {
					tried.Add(1)
					return false
				})
				inVirtualTime(t, map[string]host{"a": a, "b": reject, "c": reject}, func(t *testing.T, r *rig) {
					r.connect("stop", list...)
					r.after(time.Second)
					r.connect("commands", list...)
					if ups := r.after(time.Hour); len(ups) != 1 {
						t.Errorf("they have come up %v", ups)
					}
					if n := tried.Load(); n < 100 {
						t.Errorf("in an hour it has been tried only %d times where the other one is", n)
					}
				})
			})
		}
	}
}

// A connection that is lost now and then is sought where the other one is.
func TestAConnectionStaysWithTheOtherOne(t *testing.T) {
	refusals, losses := new(atomic.Int64), new(atomic.Int64)
	a := func(name string, conn net.Conn, p packets.ControlPacket) bool {
		_, isConnect := p.(*packets.ConnectPacket)
		if name == "commands" && isConnect && refusals.Add(1)%5 != 0 {
			return false
		}
		if _, isPublish := p.(*packets.PublishPacket); name == "commands" && isPublish {
			time.AfterFunc(31*time.Second, func() {
				losses.Add(1)
				conn.Close()
			})
		}
		return good(name, conn, p)
	}
	inVirtualTime(t, map[string]host{"a": a, "b": good}, func(t *testing.T, r *rig) {
		r.connect("stop", "a", "b")
		r.after(time.Second)
		r.connect("commands", "a", "b")
		ups := r.after(time.Hour)
		if n := count(ups, "stop", "a"); n != 1 || at(ups)["commands"] != "a" {
			t.Errorf("the stop has come up %d times, the commands are at %s", n, at(ups)["commands"])
		}
		if losses.Load() < 10 {
			t.Errorf("the commands were lost only %d times", losses.Load())
		}
		r.end()
		time.Sleep(time.Minute) // what the host still does
	})
}

// The broker has taken the connection, and the other one is up elsewhere before it is.
func TestAConnectionThatIsLateGoesWhereTheOtherOneIs(t *testing.T) {
	away := new(atomic.Bool)
	slow := func(name string, conn net.Conn, p packets.ControlPacket) bool {
		if _, isConnect := p.(*packets.ConnectPacket); isConnect && away.Load() {
			return false
		}
		time.Sleep(2 * time.Second)
		return good(name, conn, p)
	}
	inVirtualTime(t, map[string]host{"a": slow, "b": good}, func(t *testing.T, r *rig) {
		r.connect("commands", "a", "b")
		r.after(time.Second)
		away.Store(true) // to those that come later
		r.connect("stop", "a", "b")
		if at := at(r.after(time.Minute)); at["stop"] != "b" || at["commands"] != "b" {
			t.Errorf("they are at %v", at)
		}
		if late := r.lines("level=INFO", "connection=commands", "the other connection is to another broker by now"); len(late) != 1 {
			t.Errorf("the log says %d times that one was late", len(late))
		}
	})
}

// A broker that takes connections and nothing else, as a member of a cluster without its others may, is left.
func TestABrokerOfWhichNothingComesIsLeft(t *testing.T) {
	for _, how := range []string{"closes", "does not answer a subscription"} {
		inVirtualTime(t, map[string]host{"a": rejections[how], "b": good}, func(t *testing.T, r *rig) {
			r.connect("stop", "a", "b")
			r.connect("commands", "a", "b")
			if at := at(r.after(time.Minute)); at["stop"] != "b" || at["commands"] != "b" {
				t.Errorf("they are at %v", at)
			}
		})
	}
}

// A connection that was lost is sought where it was: the others that use the broker have not left it.
func TestALostConnectionIsSoughtWhereItWas(t *testing.T) {
	back := new(atomic.Bool) // from the first loss on
	a := func(name string, conn net.Conn, p packets.ControlPacket) bool {
		return back.Load() && good(name, conn, p)
	}
	b := func(name string, conn net.Conn, p packets.ControlPacket) bool {
		if _, isPublish := p.(*packets.PublishPacket); isPublish {
			back.Store(true)
			return false
		}
		return good(name, conn, p)
	}
	inVirtualTime(t, map[string]host{"a": a, "b": b}, func(t *testing.T, r *rig) {
		r.connect("lost", "a", "b")
		ups := r.after(10 * time.Second)
		if n := count(ups, "lost", "b"); n < 5 || n != len(ups) {
			t.Errorf("it has come up %d times where it was, and %d times elsewhere", n, len(ups)-n)
		}
		if losses := r.lines("level=WARN", `error="tcp://b: the connection was lost`); len(losses) < 5 || len(losses) != len(r.lines("level=WARN")) {
			t.Errorf("the log says %d times that it was lost:\n%s", len(losses), &r.text)
		}
	})
}
