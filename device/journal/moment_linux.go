package journal

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// present is now. CLOCK_BOOTTIME goes on while the machine is suspended.
func present() moment {
	var since unix.Timespec
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &since) != nil {
		return moment{}
	}
	return moment{strings.TrimSpace(string(boot)), time.Duration(since.Nano())}
}
