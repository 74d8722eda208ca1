package journal_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/journal"
)

// limit sets how large a file of this process may become, in bytes: the kernel then refuses to write, as on
// a full disk.
func limit(t *testing.T, bytes uint64) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	set := old
	set.Cur = min(bytes, old.Max)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &set); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Setrlimit(unix.RLIMIT_FSIZE, &old) })
}

func TestAFullDiskIsTriedAgainAndForgetsNothing(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	save(t, j, device.Change{Records: records(record(0, 1, 0)), NextEvent: 1})
	info, err := os.Stat(filepath.Join(dir, "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	limit(t, uint64(info.Size()))
	all := make(map[int]device.Record)
	for slot := range 500 {
		all[slot] = record(slot, uint64(slot+2), 0)
	}
	for range 3 {
		if err := j.Save(device.Change{Records: all}); err == nil || !strings.Contains(err.Error(), "disk is full") {
			t.Fatalf("Save on a full disk: %v", err)
		}
	}
	limit(t, unix.RLIM_INFINITY)
	save(t, j, device.Change{Records: records(record(1, 2, 0)), NextEvent: 1})
	shut(t, j)
	_, saved := open(t, dir)
	if d := diff([]device.Record{record(0, 1, 0), record(1, 2, 0)}, saved.Records); d != "" {
		t.Errorf("-saved +loaded\n%s", d)
	}
}

func TestANewJournalOnAFullDiskIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	limit(t, 0)
	j, saved := open(t, dir)
	if saved.Warning != "" {
		t.Error(saved.Warning)
	}
	if err := j.Save(total(1)); err == nil {
		t.Fatal("saved")
	}
	limit(t, unix.RLIM_INFINITY)
	save(t, j, total(2))
	shut(t, j)
	if _, saved := open(t, dir); saved.OperationsTotal != 2 || saved.Warning != "" {
		t.Errorf("loaded is %+v", saved)
	}
}

// There is room for a part of a new journal only.
func TestWhatThereIsOfANewJournalIsNotPutAside(t *testing.T) {
	dir := t.TempDir()
	limit(t, 4096)
	j, _ := open(t, dir)
	for range 3 {
		if err := j.Save(total(1)); err == nil {
			t.Fatal("saved")
		}
	}
	limit(t, unix.RLIM_INFINITY)
	save(t, j, total(2))
	shut(t, j)
	if aside, _ := filepath.Glob(filepath.Join(dir, "*.unreadable-*")); len(aside) != 0 {
		t.Errorf("put aside is %q", aside)
	}
	if _, saved := open(t, dir); saved.OperationsTotal != 2 || saved.Warning != "" {
		t.Errorf("loaded is %+v", saved)
	}
}

// onProtected runs a test on a journal that holds the change, opened by somebody to whom the directory and the
// file in it have these permissions, though the tests run as root.
func onProtected(t *testing.T, c device.Change, dirMode, fileMode os.FileMode, test func(t *testing.T, j *journal.Journal, path string)) {
	t.Helper()
	dir, err := os.MkdirTemp("", "journal-") // which others can reach
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	j, _ := open(t, dir)
	save(t, j, c)
	shut(t, j)
	path := filepath.Join(dir, "journal.db")
	for name, mode := range map[string]os.FileMode{dir: dirMode, path: fileMode} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() { // on a thread of its own
		defer close(done)
		if os.Getuid() == 0 {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			if err := unix.Setfsuid(65534); err != nil {
				t.Error(err)
				return
			}
		}
		j, err := journal.Open(dir, quiet)
		if err != nil {
			t.Error(err)
			return
		}
		defer j.Close()
		test(t, j, path)
	}()
	<-done
}

// The latch must hold though nothing can be written.
func TestAJournalThatCannotBeWrittenIsReadAndTriedAgain(t *testing.T) {
	latched := device.Change{Standing: device.Standing{Latched: true, OperationsTotal: 1}, NextEvent: 1}
	var dir string
	onProtected(t, latched, 0o555, 0o444, func(t *testing.T, j *journal.Journal, path string) {
		dir = filepath.Dir(path)
		if saved, _ := j.Load(); !saved.Latched || saved.Warning != "" {
			t.Errorf("loaded is %+v", saved)
		}
		err := j.Save(total(2))
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "give the directory to the user") {
			t.Errorf("Save: %v", err)
		}
		if err := os.Chmod(path, 0o666); err == nil && os.Getuid() == 0 {
			t.Error("the test is still privileged")
		}
		allow := make(chan error)
		go func() { allow <- os.Chmod(path, 0o666) }() // as whom the test runs
		if err := <-allow; err != nil {
			t.Error(err)
		}
		if err := j.Save(total(3)); err != nil {
			t.Error(err)
		}
	})
	if _, saved := open(t, dir); saved.OperationsTotal != 3 {
		t.Errorf("loaded is %d, want 3", saved.OperationsTotal)
	}
}

// What is there and cannot be read may be a latched stop: nothing moves until somebody has looked.
func TestAStopIsTakenForLatchedInAJournalThatCannotBeRead(t *testing.T) {
	onProtected(t, device.Change{NextEvent: 1}, 0o755, 0o000, func(t *testing.T, j *journal.Journal, _ string) {
		if saved, _ := j.Load(); !saved.Latched || !strings.Contains(saved.Warning, "so one is taken for latched") {
			t.Errorf("loaded is %+v", saved)
		}
	})
}
