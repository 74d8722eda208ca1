//go:build linux || darwin || freebsd || openbsd

package simulator

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"go.bug.st/serial"
)

// servePTY runs a servo on a pseudo-terminal with that link and returns the function that unplugs it.
func servePTY(t *testing.T, s *Servo, link string) (*PTY, func()) {
	t.Helper()
	line, err := OpenPTY(link)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, line) }()
	unplugged := false
	unplug := func() {
		if unplugged {
			return
		}
		unplugged = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
	t.Cleanup(unplug)
	return line, unplug
}

func openPort(t *testing.T, path string) serial.Port {
	t.Helper()
	port, err := serial.Open(path, &serial.Mode{BaudRate: 57600})
	if err != nil {
		t.Fatalf("opening %s: %v", path, err)
	}
	t.Cleanup(func() { port.Close() })
	if err := port.SetReadTimeout(10 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	return port
}

// exchange sends an instruction and waits up to 5 s for a status that wanted accepts.
func exchange(t *testing.T, port serial.Port, instruction []byte, wanted func(dynamixel.Packet) bool) dynamixel.Packet {
	t.Helper()
	if _, err := port.Write(instruction); err != nil {
		t.Fatalf("Write: %v", err)
	}
	var parser dynamixel.Parser
	buf := make([]byte, 4096)
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		n, err := port.Read(buf)
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		parser.Feed(buf[:n])
		for status, ok := parser.Next(); ok; status, ok = parser.Next() {
			if wanted(status) {
				return status
			}
		}
	}
	t.Fatal("no status")
	return dynamixel.Packet{}
}

var pingOne = dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: dynamixel.Ping})

func isPong(p dynamixel.Packet) bool {
	return bytes.Equal(p.Params, []byte{0xC4, 0x04, 52}) // 1220 and 52
}

func TestPTYThroughTheSerialLibrary(t *testing.T) {
	link := filepath.Join(t.TempDir(), "servo")
	s := New(Config{Angle: 90})
	_, unplug := servePTY(t, s, link)
	port := openPort(t, link)
	exchange(t, port, pingOne, isPong)
	read := dynamixel.AppendRead(nil, 1, 132, 4)
	is1024 := func(p dynamixel.Packet) bool { return bytes.Equal(p.Params, []byte{0x00, 0x04, 0, 0}) }
	exchange(t, port, read, is1024)

	unplug()
	if err := port.SetReadTimeout(time.Minute); err != nil {
		t.Fatal(err)
	}
	if n, err := port.Read(make([]byte, 1)); err == nil {
		t.Errorf("Read of an unplugged port: %d bytes and no error", n)
	}
	if _, err := port.Write(pingOne); err == nil {
		t.Error("Write to an unplugged port: no error")
	}
	if _, err := os.Lstat(link); !os.IsNotExist(err) {
		t.Errorf("the link of an unplugged port: %v", err)
	}

	servePTY(t, s, link)
	exchange(t, openPort(t, link), read, is1024)
}

func TestPTYUnplugsAHostThatWaits(t *testing.T) {
	line, unplug := servePTY(t, New(Config{}), "")
	port := openPort(t, line.Path())
	if err := port.SetReadTimeout(serial.NoTimeout); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error)
	go func() {
		_, err := port.Read(make([]byte, 1))
		failed <- err
	}()
	unplug()
	if err := <-failed; err == nil {
		t.Error("the read that waits ends without an error")
	}
}

func TestPTYOutlivesItsHosts(t *testing.T) {
	line, _ := servePTY(t, New(Config{}), "")
	for range 3 {
		port := openPort(t, line.Path())
		exchange(t, port, pingOne, isPong)
		port.Write(pingOne) // and leaves without waiting for the answer
		if err := port.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPTYDropsWhatNobodyReads(t *testing.T) {
	line, err := OpenPTY("")
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	for range 25 { // 100 kB, more than the kernel keeps
		if n, err := line.Write(make([]byte, 4096)); n != 4096 || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- New(Config{}).Serve(ctx, line) }()
	port := openPort(t, line.Path())
	for buf := make([]byte, 4096); ; { // what the kernel has kept
		if n, err := port.Read(buf); err != nil {
			t.Fatal(err)
		} else if n == 0 {
			break
		}
	}
	exchange(t, port, pingOne, isPong)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestPTYIsRawBeforeAHostSetsItUp(t *testing.T) {
	line, err := OpenPTY("")
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	sent := []byte{'a', '\r', '\n', 0x03, 0x04, 0x11, 0x13, 0x7F, 0xFF, 0x00, '\n'}
	if _, err := line.Write(sent); err != nil {
		t.Fatal(err)
	}
	host, err := os.OpenFile(line.Path(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	buf := make([]byte, 64)
	n, err := host.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	sameBytes(t, buf[:n], sent)
	if _, err := host.Write(sent); err != nil {
		t.Fatal(err)
	}
	n, err = line.Read(buf) // and no echo in front of it
	if err != nil {
		t.Fatal(err)
	}
	sameBytes(t, buf[:n], sent)
}

func TestPTYLink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "servo")

	if err := os.Symlink("/nowhere", link); err != nil {
		t.Fatal(err)
	}
	first, err := OpenPTY(link)
	if err != nil {
		t.Fatalf("a dangling link: %v", err)
	}
	if target, err := os.Readlink(link); target != first.Path() {
		t.Errorf("the link points to %q (%v), want %q", target, err, first.Path())
	}

	if second, err := OpenPTY(link); err == nil {
		second.Close()
		t.Error("took the link of a servo that is still running")
	}
	if target, err := os.Readlink(link); target != first.Path() {
		t.Errorf("the link points to %q (%v), want %q", target, err, first.Path())
	}
	elsewhere := filepath.Join(dir, "elsewhere")
	if err := errors.Join(os.Remove(link), os.Symlink(elsewhere, link)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := first.Close(); err != nil {
			t.Error(err)
		}
	}
	if target, err := os.Readlink(link); target != elsewhere {
		t.Errorf("it took a link that was not its own: %q (%v)", target, err)
	}

	second, err := OpenPTY(link)
	if err != nil {
		t.Fatalf("after the end of the first: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(link); !os.IsNotExist(err) {
		t.Errorf("the link is left over: %v", err)
	}

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, dir} {
		if p, err := OpenPTY(name); err == nil {
			p.Close()
			t.Errorf("replaced %s", name)
		}
	}
	if got, err := os.ReadFile(file); string(got) != "mine" {
		t.Errorf("the file holds %q (%v)", got, err)
	}
	if _, err := OpenPTY(filepath.Join(dir, "missing", "servo")); err == nil {
		t.Error("made a link in a directory that does not exist")
	}
	fs.WalkDir(os.DirFS(dir), ".", func(path string, _ fs.DirEntry, _ error) error {
		if path != "." && path != "file" {
			t.Errorf("left over: %s", path)
		}
		return nil
	})
}

// Also in the moment in which one gives the link up, only one other gets it.
func TestOnlyOneHasALink(t *testing.T) {
	link := filepath.Join(t.TempDir(), "servo")
	var owners atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 300 {
				lock, err := lockLink(link)
				if err != nil {
					continue
				}
				if n := owners.Add(1); n != 1 {
					t.Errorf("%d have it", n)
				}
				os.Lstat(link) // keeps it for a moment
				owners.Add(-1)
				os.Remove(lock.Name())
				lock.Close()
			}
		})
	}
	all.Wait()
}

func TestPTYIsUnpluggedAndPluggedInAgain(t *testing.T) {
	link := filepath.Join(t.TempDir(), "servo")
	s := New(Config{})
	line, _ := servePTY(t, s, link)
	port := openPort(t, link)
	exchange(t, port, pingOne, isPong)
	for range 3 {
		for range 2 {
			if err := line.Unplug(); err != nil {
				t.Fatal(err)
			}
		}
		if line.Path() != "" {
			t.Errorf("unplugged, and at %s", line.Path())
		}
		port.SetReadTimeout(time.Minute)
		if n, err := port.Read(make([]byte, 1)); err == nil {
			t.Errorf("Read of an unplugged port: %d bytes and no error", n)
		}
		if _, err := os.Lstat(link); !os.IsNotExist(err) {
			t.Errorf("the link of an unplugged port: %v", err)
		}
		if n, err := line.Write([]byte("abc")); n != 3 || err != nil {
			t.Errorf("what the servo says meanwhile: %d, %v", n, err)
		}
		for range 2 {
			if err := line.Plug(); err != nil {
				t.Fatal(err)
			}
		}
		port = openPort(t, link)
		exchange(t, port, pingOne, isPong)
	}
}

func TestPTYIsClosedWhileItIsUnplugged(t *testing.T) {
	link := filepath.Join(t.TempDir(), "servo")
	line, err := OpenPTY(link)
	if err != nil {
		t.Fatal(err)
	}
	line.Unplug()
	read := make(chan error)
	go func() {
		_, err := line.Read(make([]byte, 1))
		read <- err
	}()
	if err := line.Close(); err != nil {
		t.Error(err)
	}
	if err := <-read; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	if err := line.Plug(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("plugged in after its end: %v", err)
	}
	if _, err := os.Lstat(link); !os.IsNotExist(err) {
		t.Errorf("a link to nothing: %v", err)
	}
}
