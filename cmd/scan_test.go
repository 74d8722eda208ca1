package cmd

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

func TestListPorts(t *testing.T) {
	dev := t.TempDir()
	in := func(names ...string) (paths []string) {
		for _, name := range names {
			paths = append(paths, filepath.Join(dev, name))
		}
		return paths
	}
	touch := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dev, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	is := func(want ...string) {
		t.Helper()
		if got := listPorts(dev); !slices.Equal(got, in(want...)) {
			t.Errorf("got %q, want %q", got, in(want...))
		}
	}

	for _, name := range []string{"tty", "ttyS0", "ttyAMA0", "tty1", "console"} {
		touch(name)
	}
	is()
	for _, name := range []string{"ttyUSB1", "ttyACM0", "ttyUSB0", "cu.usbserial-1"} {
		touch(name)
	}
	is("ttyUSB0", "ttyUSB1", "ttyACM0", "cu.usbserial-1")
	if err := os.MkdirAll(filepath.Join(dev, "serial/by-id"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../ttyUSB1", filepath.Join(dev, "serial/by-id/usb-FTDI-port0")); err != nil {
		t.Fatal(err)
	}
	is("serial/by-id/usb-FTDI-port0", "ttyUSB0", "ttyACM0", "cu.usbserial-1")
}

func TestDistinct(t *testing.T) {
	dir := t.TempDir()
	port, link := filepath.Join(dir, "port"), filepath.Join(dir, "link")
	if err := os.WriteFile(port, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(port, link); err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(dir, "gone")
	given := []string{gone, link, port, gone, "COM3", link}
	if got, want := distinct(given), []string{gone, link, "COM3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if given[2] != port {
		t.Error("what was given has been changed")
	}
}

func TestLikelyBauds(t *testing.T) {
	got := likelyBauds()
	if !slices.Equal(got[:3], []int{57600, 1000000, 9600}) {
		t.Errorf("it begins with %v", got[:3])
	}
	slices.Sort(got)
	if !slices.Equal(got, dynamixel.Bauds[:]) {
		t.Errorf("it has %v, want %v", got, dynamixel.Bauds)
	}
}
