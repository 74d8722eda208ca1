package motor

import "log/slog"

// SerialAt is Serial on a machine that describes its terminals in another directory than /sys/class/tty.
func SerialAt(devices string, log *slog.Logger) func(name string, baud int) (Port, error) {
	return openSerial(&latency{devices: devices, log: log})
}
