package cmd

import (
	"context"
	"log/slog"
	"os"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/mqtt"
)

func newRun() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the device: turn the carousel as the broker commands",
		Long: "Run the device: turn the carousel as the broker commands, until SIGINT or SIGTERM.\n" +
			"The settings come from environment variables; the README lists them.",
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := loadSettings(func(*environment) {})
			if err != nil {
				return err
			}
			open := func() (motor.Port, error) { return motor.Serial(s.port, s.baud) }
			return serve(c.Context(), s, open, new(device.Memory), newLogger(s))
		},
	}
}

// serve runs one device until ctx ends. Then the device halts first, the broker is told, and the port
// is closed.
func serve(ctx context.Context, s settings, open func() (motor.Port, error), store device.Store, log *slog.Logger) error {
	m := motor.New(motor.Config{
		Open:           open,
		Baud:           s.baud,
		ID:             s.id,
		Speed:          s.speed,
		Acceleration:   s.acceleration,
		Tolerance:      s.tolerance,
		MoveTimeout:    s.moveTimeout,
		HealthInterval: s.healthInterval,
		Log:            log.With("part", "motor"),
	})
	d, err := device.New(device.Config{
		Carousel:  s.carousel,
		QueueSize: s.queueSize,
		NewID:     func() string { return ulid.Make().String() },
		Motor:     m,
		Store:     store,
		Log:       log.With("part", "device"),
	})
	if err != nil {
		return err
	}
	link := mqtt.NewLink(mqtt.Config{
		Brokers:   s.brokers,
		BaseTopic: s.baseTopic,
		DeviceID:  s.deviceID,
		Username:  s.username,
		Password:  s.password,
		Keepalive: s.keepalive,
		Log:       log.With("part", "mqtt"),
	}, d)

	log.Info("plate-resort is starting", "device", s.deviceID, "brokers", s.brokers, "port", s.port)
	defer start(m.Run)()
	defer start(link.Run)()
	return d.Run(ctx)
}

// start runs something on a goroutine of its own. What it returns ends that, and waits for the end.
func start(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = run(ctx) // ends without an error when it is told to end
	}()
	return func() {
		cancel()
		<-done
	}
}

func newLogger(s settings) *slog.Logger {
	options := &slog.HandlerOptions{Level: s.logLevel}
	if s.logJSON {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}
