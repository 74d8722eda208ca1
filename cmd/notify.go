package cmd

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/plate-resort/plate-resort/device"
)

// notifyInterval is how often systemd hears of the device, unless its watchdog wants that more often.
const notifyInterval = time.Second

// notify tells systemd that the device is ready, when its core has answered for the first time; what the state
// says, for systemctl status; and that it stops, when stopping is closed. The watchdog is fed by each answer of
// the core, and by nothing else: one that hangs is restarted. It goes on until ctx ends, and does nothing in a
// process that systemd has not asked for this (https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html).
func notify(ctx context.Context, stopping <-chan struct{}, d *device.Device, log *slog.Logger) error {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("systemd's watchdog is not fed", "error", err)
	}
	interval := notifyEvery(watchdog)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var ready, stops bool
	var status string
	for {
		var news []string
		message := "The core does not answer"
		if answers(ctx, d, interval) {
			if !ready {
				ready = true
				news = append(news, daemon.SdNotifyReady)
			}
			if watchdog > 0 {
				news = append(news, daemon.SdNotifyWatchdog)
			}
			message = d.View().State.Message
		}
		if stops {
			message = "Shutting down"
		}
		if message != status {
			status = message
			news = append(news, "STATUS="+strings.ReplaceAll(message, "\n", " ")) // else it could be any news
		}
		if len(news) > 0 {
			asked, err := daemon.SdNotify(false, strings.Join(news, "\n"))
			if !asked && err == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-stopping:
			stopping, stops = nil, true
			_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
		case <-ticker.C:
		}
	}
}

// notifyEvery is how often systemd hears of the device if its watchdog, which is off at 0, waits so long.
func notifyEvery(watchdog time.Duration) time.Duration {
	if watchdog > 0 {
		return min(notifyInterval, watchdog/4)
	}
	return notifyInterval
}

// answers reports whether the core answers within so long.
func answers(ctx context.Context, d *device.Device, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return d.Alive(ctx) == nil
}
