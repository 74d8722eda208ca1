package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// simulatedPort is the name of a port that has a simulated servo behind it, in this process.
const simulatedPort = "simulated"

// noPTY is for a servo that only this process needs: the system has only so many pseudo-terminals, and threads to
// wait for them.
func noPTY(string) (*simulator.PTY, error) { return nil, errors.ErrUnsupported }

// forget opens a store that keeps nothing.
func forget(*slog.Logger) (store, error) { return new(forgetful), nil }

// serveSimulated runs one device with a servo of its own, behind a pseudo-terminal or, where there is none, on lines in
// memory.
func serveSimulated(ctx context.Context, s settings, openPTY func(link string) (*simulator.PTY, error), openStore func(*slog.Logger) (store, error)) error {
	servo := simulator.New(simulator.Config{ID: &s.id, Baud: s.baud})
	var open func(*slog.Logger) openFunc
	switch line, err := openPTY(""); {
	case err == nil:
		s.port = line.Path()
		open = motor.Serial
		defer start(func(ctx context.Context) error { return servo.Serve(ctx, line) })()
	case errors.Is(err, errors.ErrUnsupported):
		var lines sync.WaitGroup // each ends when the motor closes its end
		defer lines.Wait()
		open = func(*slog.Logger) openFunc {
			return func(port string, baud int) (motor.Port, error) {
				if port != s.port {
					return nil, fmt.Errorf("there is no port %q here: the servo is simulated, and its port is %q", port, s.port)
				}
				host, line := simulator.Pipe()
				host.SetBaud(baud)
				lines.Go(func() { _ = servo.Serve(context.Background(), line) })
				return host, nil
			}
		}
	default:
		return err
	}
	return serve(ctx, s, world{port: open, store: openStore, now: time.Now, simulated: true})
}
