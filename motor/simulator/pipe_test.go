package simulator

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestPortReadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, device := Pipe()
		buf := make([]byte, 8)
		for _, timeout := range []time.Duration{0, 50 * time.Millisecond} {
			if err := host.SetReadTimeout(timeout); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if n, err := host.Read(buf); n != 0 || err != nil || time.Since(start) != timeout {
				t.Errorf("Read: %d, %v after %v, want 0, nil after %v", n, err, time.Since(start), timeout)
			}
		}
		host.SetReadTimeout(NoTimeout)
		time.AfterFunc(time.Hour, func() { device.Write([]byte("a")) })
		if n, err := host.Read(buf); n != 1 || err != nil {
			t.Errorf("Read: %d, %v", n, err)
		}
		if err := host.SetReadTimeout(-2); err == nil {
			t.Error("a negative timeout is taken")
		}
	})
}

func TestPortReadsInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host, device := Pipe()
		host.SetReadTimeout(time.Second)
		device.Write([]byte("abc"))
		device.Write([]byte("d"))
		buf := make([]byte, 3)
		for _, want := range []string{"abc", "d", ""} {
			n, err := host.Read(buf)
			if got := string(buf[:n]); got != want || err != nil {
				t.Errorf("Read: %q, %v, want %q", got, err, want)
			}
		}
		device.Write([]byte("old"))
		if err := host.ResetInputBuffer(); err != nil {
			t.Error(err)
		}
		device.Write([]byte("new"))
		if n, err := host.Read(buf); string(buf[:n]) != "new" || err != nil {
			t.Errorf("after a reset: %q, %v", buf[:n], err)
		}
	})
}

func TestPortFailsWhenClosedOrUnplugged(t *testing.T) {
	for name, e := range map[string]struct {
		cut  func(host, device *Port)
		want error
	}{
		"closed":    {func(host, _ *Port) { host.Close() }, os.ErrClosed},
		"unplugged": {func(_, device *Port) { device.Close() }, ErrUnplugged},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				host, device := Pipe()
				time.AfterFunc(time.Second, func() { e.cut(host, device) })
				buf := make([]byte, 1)
				start := time.Now()
				if _, err := host.Read(buf); !errors.Is(err, e.want) || time.Since(start) != time.Second {
					t.Errorf("the read that waits: %v after %v", err, time.Since(start))
				}
				if _, err := host.Read(buf); !errors.Is(err, e.want) {
					t.Errorf("Read: %v", err)
				}
				if _, err := host.Write(buf); !errors.Is(err, e.want) {
					t.Errorf("Write: %v", err)
				}
				if err := host.ResetInputBuffer(); !errors.Is(err, e.want) {
					t.Errorf("ResetInputBuffer: %v", err)
				}
				if err := host.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		})
	}
}
