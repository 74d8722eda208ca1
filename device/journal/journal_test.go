package journal_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/journal"
)

func TestMain(m *testing.M) {
	marks, err := inMemory()
	if err != nil {
		panic(err)
	}
	_ = os.Setenv("RUNTIME_DIRECTORY", marks)
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(marks)
		os.Exit(code)
	}))
}

var quiet = slog.New(slog.DiscardHandler)

// open opens the journal in the directory, which must not be in use.
func open(t testing.TB, dir string) (*journal.Journal, device.Saved) {
	t.Helper()
	j, err := journal.Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	saved, err := j.Load()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(saved.Records, func(a, b device.Record) int { return a.Slot - b.Slot })
	return j, saved
}

func save(t testing.TB, j *journal.Journal, c device.Change) {
	t.Helper()
	if err := j.Save(c); err != nil {
		t.Fatal(err)
	}
}

func shut(t *testing.T, j *journal.Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func operation(id string) device.Operation {
	at := time.Date(2026, 11, 23, 8, 0, 0, 123e6, time.UTC)
	deviation := device.Degrees(-0.04)
	return device.Operation{
		ID: id, Name: device.HotelOperation, Source: "mqtt", State: device.Completed, Attempt: 2,
		Parameters: device.Parameters{
			Hotel: new("B"), Retries: new(0), Overrides: map[string]*float64{"pulse_rest": new(0.1)},
			ExpiresAt: new(time.Date(2026, 11, 23, 8, 0, 0, 1, time.FixedZone("", 3600))),
		},
		QueuedAt: at, StartedAt: &at, FinishedAt: &at,
		Result: &device.Result{Hotel: "B", Angle: new(device.Degrees(109.04)), Deviation: &deviation, DurationSeconds: 1.31},
		Error:  device.Errorf(device.CodeTimeout, "no"),
	}
}

func total(n uint64) device.Change {
	return device.Change{Standing: device.Standing{OperationsTotal: n}}
}

func record(slot int, accepted, ended uint64) device.Record {
	return device.Record{Slot: slot, Accepted: accepted, Ended: ended, Operation: operation(fmt.Sprint("op-", accepted))}
}

func records(all ...device.Record) map[int]device.Record {
	m := make(map[int]device.Record)
	for _, r := range all {
		m[r.Slot] = r
	}
	return m
}

func event(sequence uint64) device.Event {
	return device.Event{Sequence: sequence, Operation: operation(fmt.Sprint("event-", sequence))}
}

func diff(want, got any) string {
	return cmp.Diff(want, got, cmpopts.IgnoreUnexported(device.Error{}), cmpopts.IgnoreFields(device.Saved{}, "Away"), cmpopts.EquateEmpty())
}

func TestWhatWasSavedIsLoaded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	j, saved := open(t, dir)
	if d := diff(device.Saved{}, saved); d != "" || saved.Away != nil {
		t.Errorf("a new journal holds\n%s", d)
	}
	save(t, j, device.Change{
		Standing:  device.Standing{Latched: true, OperationsTotal: 7},
		Records:   records(record(0, 1, 1), record(1, 2, 0), record(300, 3, 0)),
		Events:    []device.Event{event(1), event(2), event(255), event(256)},
		NextEvent: 300,
	})
	save(t, j, device.Change{
		Standing:   device.Standing{Released: true, OperationsTotal: 8},
		Records:    records(record(1, 2, 2), record(0, 4, 0)),
		Events:     []device.Event{event(300)},
		FirstEvent: 255, NextEvent: 301,
	})
	shut(t, j)
	_, saved = open(t, dir)
	want := device.Saved{
		Standing:  device.Standing{Released: true, OperationsTotal: 8},
		Records:   []device.Record{record(0, 4, 0), record(1, 2, 2), record(300, 3, 0)},
		Events:    []device.Event{event(255), event(256), event(300)},
		NextEvent: 301,
	}
	if d := diff(want, saved); d != "" {
		t.Errorf("-saved +loaded\n%s", d)
	}
}

// Numbers go on over a restart, though all events are delivered.
func TestTheNumberOfTheNextEventIsKept(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	save(t, j, device.Change{Events: []device.Event{event(1), event(2)}, FirstEvent: 1, NextEvent: 3})
	save(t, j, device.Change{FirstEvent: 3, NextEvent: 3})
	shut(t, j)
	if _, saved := open(t, dir); len(saved.Events) != 0 || saved.NextEvent != 3 {
		t.Errorf("loaded are %d events, the next is %d, want 3", len(saved.Events), saved.NextEvent)
	}
}

func TestAwayIsTheTimeSinceTheLastSave(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	began := time.Now()
	save(t, j, device.Change{})
	shut(t, j)
	if _, saved := open(t, dir); saved.Away == nil || *saved.Away <= 0 || *saved.Away > time.Since(began) {
		t.Errorf("away for %v, want up to %v", saved.Away, time.Since(began))
	}
}

// What came after a Save that failed is not on disk, and may be a stop.
func TestAwayIsNotKnownAfterASaveThatFailed(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	save(t, j, total(1))
	bad := record(0, 1, 0)
	bad.Operation.QueuedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) // JSON has no such year
	if err := j.Save(device.Change{Records: records(bad)}); err == nil {
		t.Fatal("saved")
	}
	shut(t, j)
	j, saved := open(t, dir)
	if saved.OperationsTotal != 1 || saved.Away != nil {
		t.Errorf("loaded is %+v", saved)
	}

	save(t, j, total(2)) // the disk is well again
	shut(t, j)
	if _, saved := open(t, dir); saved.Away == nil {
		t.Error("after a Save that succeeded it is not known either")
	}
}

// The next process has to save itself before another one may rely on it.
func TestAMarkCountsOnce(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	save(t, j, total(1))
	shut(t, j)
	for i, want := range []bool{true, false} {
		j, saved := open(t, dir)
		if (saved.Away != nil) != want {
			t.Errorf("start %d: away is %v, want one %v", i+1, saved.Away, want)
		}
		shut(t, j)
	}
}

// What waits to go on has no more time because of a Save.
func TestAwayGoesOnWhileTheDeviceIsResuming(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	save(t, j, device.Change{})
	began := time.Now()
	for range 2 {
		shut(t, j)
		j, _ = open(t, dir)
		save(t, j, device.Change{Standing: device.Standing{Resuming: true}})
	}
	least := time.Since(began)
	save(t, j, device.Change{Standing: device.Standing{Resuming: true}})
	shut(t, j)
	j, saved := open(t, dir)
	if saved.Away == nil || *saved.Away < least {
		t.Errorf("away for %v, want at least %v", saved.Away, least)
	}
	began = time.Now()
	save(t, j, device.Change{})
	shut(t, j)
	if _, saved := open(t, dir); saved.Away == nil || *saved.Away > time.Since(began) {
		t.Errorf("when it is not resuming, away for %v", saved.Away)
	}
}

func TestAnotherProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	save(t, j, total(3))
	began := time.Now()
	_, err := journal.Open(dir, quiet)
	if err == nil {
		t.Fatal("a second one has it too")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("that took %v", took)
	}
	for _, text := range []string{fmt.Sprintf("process %d ", os.Getpid()), dir} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not say %q: %v", text, err)
		}
	}
	// The first one is none the worse, and the next is let in after it.
	save(t, j, total(4))
	shut(t, j)
	if _, saved := open(t, dir); saved.OperationsTotal != 4 {
		t.Errorf("loaded is %d, want 4", saved.OperationsTotal)
	}
}

// A file that cannot be read, whatever is wrong with it.
func TestAnUnreadableFileIsPutAside(t *testing.T) {
	full := func(t *testing.T, path string) []byte {
		j, _ := open(t, filepath.Dir(path))
		all := make(map[int]device.Record)
		for slot := range 200 {
			all[slot] = record(slot, uint64(slot+1), 0)
		}
		save(t, j, device.Change{Standing: device.Standing{Latched: true}, Records: all, Events: []device.Event{event(1)}, NextEvent: 2})
		shut(t, j)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	for name, damage := range map[string]func(t *testing.T, path string) []byte{
		"text":      func(*testing.T, string) []byte { return []byte(strings.Repeat("not a journal\n", 1000)) },
		"short":     func(*testing.T, string) []byte { return []byte{1} },
		"zeros":     func(*testing.T, string) []byte { return make([]byte, 1<<16) },
		"truncated": func(t *testing.T, path string) []byte { c := full(t, path); return c[:3*os.Getpagesize()] },
		"pages of noise": func(t *testing.T, path string) []byte {
			c := full(t, path)
			for i := 2 * os.Getpagesize(); i < len(c); i++ {
				c[i] = byte(i * 7)
			}
			return c
		},
		"values of noise": func(t *testing.T, path string) []byte {
			return bytes.ReplaceAll(full(t, path), []byte(`"operation":`), []byte(`"operation";`))
		},
		"another format": func(t *testing.T, path string) []byte {
			return bytes.ReplaceAll(full(t, path), []byte(`{"format":1`), []byte(`{"format":9`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "journal.db")
			content := damage(t, path)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			j, err := journal.Open(dir, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			saved, err := j.Load()
			if err != nil || len(saved.Records) != 0 || len(saved.Events) != 0 || saved.Latched != (name == "values of noise") {
				t.Errorf("loaded are %d operations, latched %v, %v", len(saved.Records), saved.Latched, err)
			}
			aside, _ := filepath.Glob(path + ".unreadable-*")
			if len(aside) != 1 {
				t.Fatalf("put aside is %q", aside)
			}
			for _, said := range []string{saved.Warning, log.String()} {
				if !strings.Contains(said, aside[0]) || strings.Contains(said, "emergency stop") == saved.Latched {
					t.Errorf("said is %q", said)
				}
			}
			if kept, _ := os.ReadFile(aside[0]); !bytes.Equal(kept, content) {
				t.Error("what was put aside has changed")
			}

			save(t, j, total(1))
			shut(t, j)
			if _, saved := open(t, dir); saved.OperationsTotal != 1 || saved.Warning != "" {
				t.Errorf("the new journal holds %+v", saved)
			}
		})
	}
}

// The list of free pages is needed for writing only: with that damaged, everything can be read.
func TestAFileThatCanOnlyBeReadIsPutAsideAndCopied(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "journal.db")
	j, _ := open(t, dir)
	change := device.Change{
		Standing: device.Standing{Latched: true, Released: true, OperationsTotal: 9},
		Records:  records(record(0, 1, 0), record(3, 2, 2)), Events: []device.Event{event(7)}, FirstEvent: 7, NextEvent: 8,
	}
	save(t, j, change)
	shut(t, j)
	damageFreelist(t, path)
	j, saved := open(t, dir)
	aside, _ := filepath.Glob(path + ".unreadable-*")
	if len(aside) != 1 || !strings.Contains(saved.Warning, aside[0]+" and a new one begun with what was in it") {
		t.Errorf("put aside is %q; said is %q", aside, saved.Warning)
	}
	if saved.Away == nil {
		t.Error("it is not known how long the device was away")
	}
	shut(t, j)
	_, again := open(t, dir)
	for _, loaded := range []device.Saved{saved, again} {
		want := device.Saved{Standing: change.Standing, Records: []device.Record{record(0, 1, 0), record(3, 2, 2)}, Events: change.Events, NextEvent: 8}
		loaded.Warning = ""
		if d := diff(want, loaded); d != "" {
			t.Errorf("-saved +loaded\n%s", d)
		}
	}
}

// damageFreelist overwrites the page of a bbolt file that lists the free ones: the newer of the two meta pages
// says which (https://pkg.go.dev/go.etcd.io/bbolt/internal/common#Meta).
func damageFreelist(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const header, freelist, transaction = 16, 32, 48 // where in a page the meta begins, and in that these
	size, newer := os.Getpagesize(), 0
	field := func(page, offset int) int { return int(binary.NativeEndian.Uint64(content[page+header+offset:])) }
	if field(size, transaction) > field(0, transaction) {
		newer = size
	}
	page := field(newer, freelist) * size
	copy(content[page:page+size], bytes.Repeat([]byte{0xff}, size))
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// An empty file is what a full disk, or a power cut, leaves of a new one.
func TestAnEmptyFileIsANewJournal(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "journal.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j, saved := open(t, dir)
	if saved.Warning != "" {
		t.Error(saved.Warning)
	}
	save(t, j, device.Change{})
}

func TestADirectoryThatCannotBeMadeIsTriedAgain(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(parent, nil, 0o600); err != nil { // a file, where a directory must be
		t.Fatal(err)
	}
	j, saved := open(t, filepath.Join(parent, "lab"))
	if !strings.Contains(saved.Warning, "cannot be read") || !strings.Contains(saved.Warning, parent) {
		t.Errorf("said is %q", saved.Warning)
	}
	err := j.Save(total(1))
	if err == nil || !strings.Contains(err.Error(), parent) {
		t.Fatalf("Save: %v", err)
	}
	if err := os.Remove(parent); err != nil {
		t.Fatal(err)
	}
	save(t, j, total(2))
	shut(t, j)
	if _, saved := open(t, filepath.Join(parent, "lab")); saved.OperationsTotal != 2 {
		t.Errorf("loaded is %d, want 2", saved.OperationsTotal)
	}
}

// The device has begun without what is in it, and must not mix it with what is new.
func TestAJournalThatAppearsLaterIsPutAside(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "state")
	dir := filepath.Join(parent, "lab")
	old, _ := open(t, dir)
	save(t, old, device.Change{Standing: device.Standing{Latched: true}, Records: records(record(0, 1, 0)), NextEvent: 1})
	shut(t, old)
	if err := os.Rename(parent, parent+"-hidden"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(parent, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j, saved := open(t, dir)
	if !strings.Contains(saved.Warning, "also not whether an emergency stop was latched") {
		t.Errorf("said is %q", saved.Warning)
	}
	if err := j.Save(device.Change{}); err == nil {
		t.Fatal("saved")
	}
	if err := os.Remove(parent); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(parent+"-hidden", parent); err != nil {
		t.Fatal(err)
	}
	save(t, j, device.Change{Records: records(record(1, 9, 0)), NextEvent: 1})
	shut(t, j)
	_, saved = open(t, dir)
	if d := diff([]device.Record{record(1, 9, 0)}, saved.Records); d != "" {
		t.Errorf("-want +loaded\n%s", d)
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "journal.db.unreadable-*")); len(aside) != 1 {
		t.Errorf("put aside is %q", aside)
	}
}

// Slots are used again and events are deleted, so time does not make the file grow.
func TestTheFileDoesNotGrow(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "journal.db"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	var early int64
	for i := range uint64(60) {
		all := make(map[int]device.Record)
		var events []device.Event
		for slot := range 100 {
			all[slot] = record(slot, i*100+uint64(slot)+1, 0)
			events = append(events, event(i*100+uint64(slot)+1))
		}
		save(t, j, device.Change{Records: all, Events: events, FirstEvent: i * 100, NextEvent: (i + 1) * 100})
		if i == 20 {
			early = size()
		}
	}
	if late := size(); late > early {
		t.Errorf("the file has %d bytes, and had %d", late, early)
	}
}

func TestSaveTakesNothingOfAChangeThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	save(t, j, device.Change{Records: records(record(0, 1, 0))})
	bad := record(0, 2, 0)
	bad.Operation.QueuedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) // JSON has no such year
	change := device.Change{Standing: device.Standing{Latched: true}, Records: records(record(1, 3, 0), bad)}
	if err := j.Save(change); err == nil {
		t.Fatal("saved")
	}
	shut(t, j)
	_, saved := open(t, dir)
	if d := diff(slices.Collect(maps.Values(records(record(0, 1, 0)))), saved.Records); d != "" || saved.Latched {
		t.Errorf("latched %v, -want +loaded\n%s", saved.Latched, d)
	}
}
