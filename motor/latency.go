package motor

import (
	"log/slog"
	"os"
)

// latencyRule is the udev rule that lowers the latency of every FTDI adapter when it is plugged in.
const latencyRule = `ACTION=="add", SUBSYSTEM=="usb-serial", DRIVER=="ftdi_sio", ATTR{latency_timer}="1"`

// A latency is how long an FTDI adapter, as in ROBOTIS's U2D2, may keep what it has received: 16 ms unless it is
// told otherwise, in which the servo answers four times.
type latency struct {
	devices string // the directory that describes the terminals
	log     *slog.Logger
	warned  string // the last port whose latency stays as it is
}

// lower sets the latency of an adapter to 1 ms, which lasts until it is unplugged. It logs what it changes, and
// what it cannot change, the latter once. Other ports than those of FTDI adapters have no latency to set.
func (l *latency) lower(name string, port *os.File) {
	was, err := lowerLatency(l.devices, name, port)
	switch {
	case was == 0:
	case err == nil:
		l.log.Info("the adapter's latency is now 1 ms", "port", name, "was_ms", was)
	case l.warned != name:
		l.warned = name
		l.log.Warn("the adapter delays the servo's answers, and its latency cannot be set; as root, put the rule into "+
			"/etc/udev/rules.d/99-latency.rules and plug the adapter in again",
			"port", name, "latency_ms", was, "rule", latencyRule, "error", err)
	}
}
