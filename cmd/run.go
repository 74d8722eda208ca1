package cmd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/journal"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/mqtt"
	"github.com/plate-resort/plate-resort/scheduler"
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
			if s.stateDir == "" {
				return usageError{errors.New("PLATE_RESORT_STATE_DIR is not set, and there is no home directory to keep the state in")}
			}
			openStore := func(log *slog.Logger) (store, error) { return journal.Open(s.stateDir, log) }
			if s.port == simulatedPort {
				return serveSimulated(c.Context(), s, noPTY, openStore)
			}
			return serve(c.Context(), s, world{port: motor.Serial, store: openStore, now: time.Now})
		},
	}
}

// openFunc opens a serial port by name, at a rate in bits a second.
type openFunc = func(port string, baud int) (motor.Port, error)

// gather is little beside the time that a disk takes, and a lot beside that until a motion has begun.
const gather = 3 * time.Millisecond

// A store is what keeps a device's state until it is closed.
type store interface {
	device.Store
	scheduler.Store
	io.Closer
}

var _ store = (*journal.Journal)(nil)

// A forgetful store keeps nothing.
type forgetful struct {
	device.Memory
	schedules
}

type schedules = scheduler.Memory

func (*forgetful) Close() error { return nil }

var _ mqtt.Schedules = (*scheduler.Scheduler)(nil)

// A world is what a device process finds around it, besides the broker.
type world struct {
	port      func(*slog.Logger) openFunc
	store     func(*slog.Logger) (store, error)
	now       func() time.Time // the wall clock
	simulated bool             // the servo is
}

// serve runs one device until ctx ends. Then the device halts first, the broker is told, and the port
// is closed.
func serve(ctx context.Context, s settings, w world) error {
	lines := mqtt.NewLog()
	log := slog.New(lines.Handler(s.log.WithAttrs([]slog.Attr{slog.String("device", s.deviceID)})))
	kept, err := w.store(log.With("part", "journal"))
	if err != nil {
		return err
	}
	defer func() {
		if err := kept.Close(); err != nil {
			log.Error("cannot close the journal", "error", err)
		}
	}()
	motorLog := log.With("part", "motor")
	m := motor.New(motor.Config{
		Open:           w.port(motorLog),
		Port:           s.port,
		Baud:           s.baud,
		ID:             s.id,
		Speed:          s.speed,
		Acceleration:   s.acceleration,
		Shortest:       s.shortest,
		MoveTimeout:    s.moveTimeout,
		Watchdog:       s.watchdog,
		IdleTimeout:    s.idleTimeout,
		HealthInterval: s.healthInterval,
		Log:            motorLog,
	})
	d, err := device.New(device.Config{
		Carousel:     s.carousel,
		Tolerance:    s.tolerance,
		Precise:      s.precise,
		IsPrecise:    s.isPrecise,
		Bauds:        dynamixel.Bauds[:],
		QueueSize:    s.queueSize,
		Limits:       s.limits,
		Retries:      s.retries,
		RetryDelay:   s.retryDelay,
		ResumeWindow: s.resumeWindow,
		Setup:        device.Setup{Port: s.port, Baud: s.baud, ID: int(s.id), Speed: s.speed},
		NewID:        newID,
		Now:          w.now,
		Motor:        m,
		Store:        kept,
		Gather:       gather,
		Log:          log.With("part", "device"),
		Version:      version(),
		Simulated:    w.simulated,
	})
	if err != nil {
		return err
	}
	planner, err := scheduler.New(scheduler.Config{
		Device: d,
		Store:  kept,
		NewID:  newID,
		Now:    w.now,
		Gather: gather,
		Log:    log.With("part", "scheduler"),
	})
	if err != nil {
		return err
	}
	d.Observe(planner.Observe)
	link := mqtt.NewLink(mqtt.Config{
		Broker:          s.broker,
		BaseTopic:       s.baseTopic,
		DeviceID:        s.deviceID,
		KeepCommands:    s.keepCommands,
		DiscoveryPrefix: s.discovery,
		Lines:           lines,
		Log:             log.With("part", "mqtt"),
	}, d, planner)

	log.Info("plate-resort is starting", "brokers", s.broker.URLs, "port", s.port)
	for _, warning := range s.warnings {
		log.Warn(warning)
	}
	defer start(m.Run)()
	// The scheduler ends together with the device, which halts at once and then waits for the answers to the
	// schedules that were set: they are stored by then, or were not taken.
	defer start(func(context.Context) error { return planner.Run(ctx) })()
	defer start(func(own context.Context) error { return notify(own, ctx.Done(), d, log) })()
	return d.Run(ctx, start(link.Run))
}

func newID() string { return ulid.Make().String() }

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

// stamped is the version that a build gives to the program with -ldflags=-X, if any.
var stamped string

// version is that of the build or else of the module, as the Go tools have stamped it into the program.
func version() string {
	if stamped != "" {
		return stamped
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
