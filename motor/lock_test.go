//go:build linux || darwin

package motor_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// openQuietly opens a port and lets the servo behind it answer, so that a pseudo-terminal is no longer kept for
// the one who has it open by anything but our lock.
func openQuietly(name string) (motor.Port, error) {
	port, err := motor.Serial(slog.New(slog.DiscardHandler))(name, 57600)
	if err != nil {
		return nil, err
	}
	port.SetReadTimeout(patience)
	if _, err := port.Write(ping); err != nil {
		port.Close()
		return nil, err
	}
	if _, err := io.ReadFull(port, make([]byte, len(pong1))); err != nil {
		port.Close()
		return nil, err
	}
	return port, nil
}

// serveTerminal puts a servo behind a terminal with two names.
func serveTerminal(t *testing.T) (path, link string) {
	link = filepath.Join(t.TempDir(), "servo")
	line, err := simulator.OpenPTY(link)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		simulator.New(simulator.Config{}).Serve(ctx, line)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return line.Path(), link
}

func mustOpen(t *testing.T, name string) motor.Port {
	t.Helper()
	port, err := openQuietly(name)
	if err != nil {
		t.Fatalf("it is not opened: %v", err)
	}
	return port
}

func mustBeLocked(t *testing.T, name string) {
	t.Helper()
	if port, err := openQuietly(name); err == nil {
		port.Close()
		t.Errorf("%s is opened a second time", name)
	} else if !strings.Contains(err.Error(), "serial port "+name+" is in use by another program") {
		t.Errorf("the error is %q", err)
	}
}

func TestPortIsOpenedOnce(t *testing.T) {
	path, link := serveTerminal(t)
	for range 2 {
		port := mustOpen(t, path)
		mustBeLocked(t, link)
		mustBeLocked(t, path)
		if err := port.Close(); err != nil {
			t.Error(err)
		}
		port = mustOpen(t, link)
		mustBeLocked(t, path)
		if err := port.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What could not be opened is not locked either.
func TestFailedOpenDoesNotLock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := openQuietly(file); err == nil || strings.Contains(err.Error(), "in use") {
			t.Errorf("error %v", err)
		}
	}
}

func TestPortIsOpenedByOneProcess(t *testing.T) {
	path, link := serveTerminal(t)
	port := mustOpen(t, path)
	if said := startHolder(t, link).said; !strings.Contains(said, "in use by another program") {
		t.Errorf("while the port is open, another process says %q", said)
	}
	port.Close()

	holder := startHolder(t, link)
	if holder.said != holding {
		t.Fatalf("after the port was closed, another process says %q", holder.said)
	}
	mustBeLocked(t, path)
	holder.release.Close()
	holder.wait()
	mustOpen(t, path).Close()

	holder = startHolder(t, link)
	mustBeLocked(t, path)
	if err := holder.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	holder.wait()
	mustOpen(t, path).Close()
}

const (
	heldPort = "PLATE_RESORT_TEST_HELD_PORT" // makes TestHoldPort the other process
	holding  = "holding the port"
)

// A holder is another process that opens a port and closes it when it is released.
type holder struct {
	command *exec.Cmd
	said    string
	release io.Closer
	wait    func() error
}

// startHolder runs this test program as the other process, and waits for what it says.
func startHolder(t *testing.T, port string) holder {
	t.Helper()
	command := exec.Command(os.Args[0], "-test.run=^TestHoldPort$", "-test.timeout="+patience.String())
	command.Env = append(os.Environ(), heldPort+"="+port)
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	h := holder{command: command, release: stdin, wait: command.Wait}
	t.Cleanup(func() {
		command.Process.Kill() // fails if it has ended
		h.wait()
	})
	said, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the other process says nothing: %v", err)
	}
	h.said = strings.TrimSuffix(said, "\n")
	return h
}

// TestHoldPort is the other process of TestPortIsOpenedByOneProcess, and nothing elsewhere.
func TestHoldPort(t *testing.T) {
	name := os.Getenv(heldPort)
	if name == "" {
		return
	}
	port, err := openQuietly(name)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer port.Close()
	fmt.Println(holding)
	io.Copy(io.Discard, os.Stdin)
}
