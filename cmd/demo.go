package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/dashboard"
	"github.com/plate-resort/plate-resort/motor/simulator"
	"github.com/plate-resort/plate-resort/mqtt/broker"
)

// maxDemos is how many devices a demo may have.
const maxDemos = 1000

func newDemo() *cobra.Command {
	var (
		mqttListen, httpListen string
		devices                int
	)
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a device with everything around it, on this machine and without hardware",
		Long: "Run a device named demo with a simulated servo behind a pseudo-terminal, an MQTT broker of its own, and\n" +
			"the dashboard, until SIGINT or SIGTERM. Nothing needs to be installed, and nothing is kept.",
		RunE: func(c *cobra.Command, _ []string) error {
			if devices < 1 || devices > maxDemos {
				return usageError{fmt.Errorf("--devices is %d; it must be from 1 to %d", devices, maxDemos)}
			}
			collectSoon()
			return demo(c.Context(), c.OutOrStdout(), mqttListen, httpListen, devices)
		},
	}
	c.Flags().StringVar(&mqttListen, "mqtt-listen", "127.0.0.1:1883", "the broker's `address`; port 0 takes a free one")
	c.Flags().StringVar(&httpListen, "http-listen", "127.0.0.1:8080", "the dashboard's `address`; port 0 takes a free one")
	c.Flags().IntVar(&devices, "devices", 1, "how many devices there are: demo, demo-2, and so on")
	return c
}

// collectSoon has garbage collected sooner, if GOGC does not say when. What waits for that is half of the memory of many
// devices.
func collectSoon() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
}

func demo(ctx context.Context, out io.Writer, mqttListen, httpListen string, devices int) error {
	if at, err := net.ResolveTCPAddr("tcp", mqttListen); err == nil && !at.IP.IsLoopback() {
		return usageError{fmt.Errorf("other machines reach %s, and the demo's broker lets everybody in: it is for this machine only, such as 127.0.0.1:1883", mqttListen)}
	}
	s, err := loadSettings(func(env *environment) {
		env.DeviceID = "demo"
		env.MQTTBroker, env.MQTTUsername, env.MQTTPassword, env.MQTTPasswordFile = "tcp://"+mqttListen, "", "", ""
		env.MQTTCaFile, env.MQTTCertFile, env.MQTTKeyFile = "", "", ""
		env.MotorPort, env.MotorBaud, env.MotorID = simulatedPort, "57600", "1"
		env.StateDir, env.ResumeWindow = "", "0"
	})
	if err != nil {
		return err
	}
	listener, err := listenHTTP(httpListen, "")
	switch {
	case errors.As(err, new(usageError)):
		return err
	case err != nil:
		return fmt.Errorf("%w\nIf another program has the port, choose another: plate-resort demo --http-listen 127.0.0.1:8081", err)
	}
	defer listener.Close()
	mqttBroker, err := broker.Listen(mqttListen)
	if err != nil {
		return fmt.Errorf("%w\nIf another broker has the port, choose another: plate-resort demo --mqtt-listen 127.0.0.1:1884", err)
	}
	defer mqttBroker.Close()
	s.broker.URLs = []string{"tcp://" + mqttBroker.Addr().String()}
	all := client.Config{Broker: s.broker, BaseTopic: s.baseTopic, Log: dashboardLog(s.log)}
	// It subscribes before there are devices: the broker has a data race between a subscription with + and what is
	// retained meanwhile.
	watching, err := client.Dial(ctx, all)
	if err != nil {
		return err
	}
	defer watching.Close()
	page := dashboard.New(dashboard.Config{Client: watching, Version: version(), Log: all.Log})
	fmt.Fprint(out, invitation(s, mqttBroker.Addr(), pageURL(listener.Addr()), devices))

	parts := []func(context.Context) error{
		func(ctx context.Context) error { return page.Serve(ctx, listener) },
		func(ctx context.Context) error { return serveSimulated(ctx, s, simulator.OpenPTY, forget) },
	}
	for n := 2; n <= devices; n++ {
		another := s
		another.deviceID = fmt.Sprintf("%s-%d", s.deviceID, n)
		parts = append(parts, func(ctx context.Context) error { return serveSimulated(ctx, another, noPTY, forget) })
	}
	return together(ctx, parts)
}

// together runs all parts until ctx ends or one fails, and returns when all have ended.
func together(ctx context.Context, parts []func(context.Context) error) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	failures := make(chan error, len(parts))
	var running sync.WaitGroup
	for _, run := range parts {
		running.Go(func() {
			if err := run(ctx); err != nil {
				failures <- err
				end()
			}
		})
	}
	running.Wait()
	close(failures)
	return <-failures // the first; nil of none
}

// invitation says what to try.
func invitation(s settings, addr net.Addr, page string, devices int) string {
	host, port, _ := net.SplitHostPort(addr.String())
	broker, mosquitto := "", ""
	if host != "127.0.0.1" {
		mosquitto += " -h " + host
	}
	if port != "1883" {
		mosquitto += " -p " + port
	}
	if mosquitto != "" {
		broker = " --broker tcp://" + addr.String()
	}
	hotels := s.carousel.Names()
	more := ""
	switch {
	case devices == 2:
		more = fmt.Sprintf(" The other one is %s-2.", s.deviceID)
	case devices > 2:
		more = fmt.Sprintf(" The others are %[1]s-2 to %[1]s-%[2]d.", s.deviceID, devices)
	}
	return fmt.Sprintf(`A carousel with the hotels %[1]s is here for you to turn, in a browser:

  dashboard           %[2]s

It is device %[3]s, broker %[4]v.%[5]s In another terminal:

  watch what it does  %[6]s watch%[7]s
  turn to a hotel     %[6]s send hotel %[8]s --device %[3]s%[7]s
  turn to an angle    %[6]s send angle 90 --device %[3]s%[7]s
  emergency stop      %[6]s send stop --device %[3]s%[7]s
  go on after it      %[6]s send reset --device %[3]s%[7]s

or with any other MQTT client, such as those of the package mosquitto-clients:

  watch everything    mosquitto_sub%[9]s -v -t '%[10]s/#'
  turn to a hotel     mosquitto_pub%[9]s -t %[10]s/hotel/set -m %[8]s

Ctrl-C ends it.

`, strings.Join(hotels, ", "), page, s.deviceID, addr, more, program(), broker, hotels[len(hotels)/2], mosquitto, s.baseTopic+"/"+s.deviceID)
}

// program is how this one was called. What `go run` has built is in a directory that nobody knows.
func program() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ."
	}
	return os.Args[0]
}
