package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/simulator"
	"github.com/plate-resort/plate-resort/mqtt/broker"
)

func newDemo() *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a device with everything around it, on this machine and without hardware",
		Long: "Run a device named demo with a simulated servo behind a pseudo-terminal and an MQTT broker of its\n" +
			"own, until SIGINT or SIGTERM. Nothing needs to be installed, and nothing is kept.",
		RunE: func(c *cobra.Command, _ []string) error { return demo(c.Context(), c.OutOrStdout(), listen) },
	}
	c.Flags().StringVar(&listen, "mqtt-listen", "127.0.0.1:1883", "the broker's address; port 0 takes a free one")
	return c
}

func demo(ctx context.Context, out io.Writer, listen string) error {
	s, err := loadSettings(func(env *environment) {
		env.DeviceID = "demo"
		env.MQTTBroker, env.MQTTUsername, env.MQTTPassword, env.MQTTPasswordFile = "tcp://"+listen, "", "", ""
		env.MQTTCaFile, env.MQTTCertFile, env.MQTTKeyFile = "", "", ""
		env.MotorPort, env.MotorBaud, env.MotorID = "simulated", "57600", "1"
		env.StateDir, env.ResumeWindow = "", "0"
	})
	if err != nil {
		return err
	}
	mqttBroker, err := broker.Listen(listen)
	if err != nil {
		return fmt.Errorf("%w\nIf another broker has the port, choose another: plate-resort demo --mqtt-listen 127.0.0.1:1884", err)
	}
	defer mqttBroker.Close()
	s.broker.URLs = []string{"tcp://" + mqttBroker.Addr().String()}

	servo := simulator.New(simulator.Config{})
	var open func(*slog.Logger) openFunc
	switch line, err := simulator.OpenPTY(""); {
	case err == nil:
		s.port = line.Path()
		open = motor.Serial
		defer start(func(ctx context.Context) error { return servo.Serve(ctx, line) })()
	case errors.Is(err, errors.ErrUnsupported):
		host, line := simulator.Pipe()
		open = func(*slog.Logger) openFunc {
			return func(string, int) (motor.Port, error) { return host, nil }
		}
		defer start(func(ctx context.Context) error { return servo.Serve(ctx, line) })()
	default:
		return err
	}
	fmt.Fprint(out, invitation(s, mqttBroker.Addr()))
	return serve(ctx, s, open, func(*slog.Logger) (store, error) { return new(forgetful), nil }, true)
}

// invitation says what to try.
func invitation(s settings, addr net.Addr) string {
	host, port, _ := net.SplitHostPort(addr.String())
	at := ""
	if host != "127.0.0.1" {
		at += " -h " + host
	}
	if port != "1883" {
		at += " -p " + port
	}
	topic := s.baseTopic + "/" + s.deviceID
	hotels := s.carousel.Names()
	return fmt.Sprintf(`A carousel with the hotels %[4]s is here for you to turn: device %[3]s, broker %[5]v.
In another terminal (mosquitto_sub and mosquitto_pub are in the package mosquitto-clients):

  watch everything    mosquitto_sub%[1]s -v -t '%[2]s/#'
  turn to a hotel     mosquitto_pub%[1]s -t %[2]s/hotel/set -m %[6]s
  turn to an angle    mosquitto_pub%[1]s -t %[2]s/angle/set -m 90
  emergency stop      mosquitto_pub%[1]s -t %[2]s/stop/set -m STOP
  go on after it      mosquitto_pub%[1]s -t %[2]s/reset/set -m PRESS

Ctrl-C ends it.

`, at, topic, s.deviceID, strings.Join(hotels, ", "), addr, hotels[len(hotels)/2])
}
