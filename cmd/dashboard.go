package cmd

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/dashboard"
)

func newDashboard() *cobra.Command {
	var (
		remote               remoteFlags
		listen, passwordFile string
	)
	c := &cobra.Command{
		Use:   "dashboard",
		Short: "Serve a web page that shows all devices on the broker, and commands them",
		Long: "Serve a web page that shows all devices on the broker, and commands them, until SIGINT or SIGTERM. It\n" +
			"reads the MQTT_ settings of the device.\n\n" +
			"Whoever opens the page can turn every carousel. On an address that other machines reach, it needs a\n" +
			"password; the user name does not matter. It is plain HTTP: a proxy with TLS before it keeps the password\n" +
			"from whoever listens on the way.",
		RunE: func(c *cobra.Command, _ []string) error {
			env, err := remote.environment()
			if err != nil {
				return err
			}
			var p parser
			all := p.allDevices(env)
			all.Log = dashboardLog(p.log(env))
			if err := report(p.faults); err != nil {
				return err
			}
			password, err := readPassword(passwordFile)
			if err != nil {
				return usageError{err}
			}
			listener, err := listenHTTP(listen, password)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "The dashboard is at %s\nCtrl-C ends it.\n", pageURL(listener.Addr()))
			if password != "" && othersRead(passwordFile) {
				p.warnings = append(p.warnings, "all users of this machine can read the file of --password-file: chmod o= "+passwordFile)
			}
			for _, warning := range p.warnings {
				all.Log.Warn(warning)
			}
			devices := client.Start(all)
			defer devices.Close()
			return dashboard.New(dashboard.Config{Client: devices, Password: password, Version: version(), Log: all.Log}).
				Serve(c.Context(), listener)
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "the page's `address`; port 0 takes a free one")
	remote.addBroker(c)
	c.Flags().StringVar(&passwordFile, "password-file", "", "the `file` with the password that browsers ask for (default: none, which only this machine may have)")
	return c
}

// readPassword reads the password from a file, without the line's end; "" is none.
func readPassword(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--password-file cannot be read: %w", err)
	}
	password := strings.TrimRight(string(content), "\r\n")
	if password == "" {
		return "", fmt.Errorf("--password-file: %s is empty; write a password into it", file)
	}
	return password, nil
}

// listenHTTP listens for browsers. Without a password, only this machine's may come.
func listenHTTP(address, password string) (net.Listener, error) {
	at, err := net.ResolveTCPAddr("tcp", address)
	switch {
	case err != nil:
		return nil, usageError{fmt.Errorf("%q is no address for the dashboard, such as 127.0.0.1:8080: %w", address, err)}
	case password == "" && !at.IP.IsLoopback():
		return nil, usageError{fmt.Errorf("other machines reach %s, so the dashboard needs a password there:\n"+
			"plate-resort dashboard --listen %[1]s --password-file FILE", address)}
	}
	listener, err := net.ListenTCP("tcp", at)
	if err != nil {
		return nil, fmt.Errorf("the dashboard cannot listen: %w", err)
	}
	return listener, nil
}

func dashboardLog(h slog.Handler) *slog.Logger { return slog.New(h).With("part", "dashboard") }

// pageURL is where a browser finds the page.
func pageURL(at net.Addr) string {
	address, ok := at.(*net.TCPAddr)
	if !ok || !address.IP.IsUnspecified() {
		return "http://" + at.String()
	}
	host, err := os.Hostname() // it is at every address of this machine
	if err != nil {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(address.Port))
}
