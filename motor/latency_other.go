//go:build !linux

package motor

import "os"

// lowerLatency does nothing: elsewhere the latency is a setting of the adapter's driver.
func lowerLatency(string, string, *os.File) (was int, err error) { return 0, nil }
