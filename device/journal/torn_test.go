package journal_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/journal"
)

var pageSize = os.Getpagesize()

// A life is what a journal holds before a Save and after it.
type life struct {
	file  []byte
	saved device.Saved
	plans schedules
}

// lives returns a journal with a tree of several pages and a list of free ones, before and after one Save.
func lives(t *testing.T) (before, after life) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "journal.db")
	see := func() life {
		t.Helper()
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		j, saved := open(t, dir)
		plans, _ := j.LoadSchedules()
		shut(t, j)
		return life{content, saved, plans}
	}
	j, _ := open(t, dir)
	if err := j.SaveSchedules(schedules{"nightly": json.RawMessage(`{"every_seconds":5}`)}); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(6) {
		all := make(map[int]device.Record)
		for slot := range 12 {
			all[slot] = record(slot, i*12+uint64(slot)+1, 0)
		}
		save(t, j, device.Change{Records: all, Events: []device.Event{event(i + 1)}, FirstEvent: 1, NextEvent: i + 2})
	}
	shut(t, j)
	before = see()
	j, _ = open(t, dir)
	save(t, j, device.Change{
		Standing: device.Standing{Latched: true, OperationsTotal: 9},
		Records:  records(record(5, 99, 99), record(12, 100, 0)), Events: []device.Event{event(7)}, FirstEvent: 3, NextEvent: 8,
	})
	shut(t, j)
	after = see()
	if before.saved.Latched || !after.saved.Latched || len(after.saved.Records) != 13 || len(before.file) != len(after.file) {
		t.Fatalf("the journal before is %+v and after %+v", before.saved, after.saved)
	}
	return before, after
}

// A bench has journals that are damaged, in memory where there is such a place: there are many.
type bench struct {
	dir, path string
	tried     int
}

// inMemory makes a directory, which is in memory where there is such a place.
func inMemory() (string, error) {
	if dir, err := os.MkdirTemp("/dev/shm", "journal-"); err == nil {
		return dir, nil
	}
	return os.MkdirTemp("", "journal-")
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir, err := inMemory()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &bench{dir: dir, path: filepath.Join(dir, "journal.db")}
	t.Cleanup(func() { t.Logf("%d files were tried", b.tried) })
	return b
}

// open is open without anything left for the end of the test.
func (b *bench) open(t *testing.T, what string) (*journal.Journal, device.Saved) {
	t.Helper()
	j, err := journal.Open(b.dir, quiet)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	saved, _ := j.Load()
	slices.SortFunc(saved.Records, func(a, b device.Record) int { return a.Slot - b.Slot })
	return j, saved
}

// begin opens a journal with that file, and goes on with it: what is saved then is there when it is opened again. It returns
// what was in it, and whether it was put aside.
func (b *bench) begin(t *testing.T, what string, file []byte) (l life, aside bool) {
	t.Helper()
	b.tried++
	if err := os.WriteFile(b.path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	j, saved := b.open(t, what)
	plans, _ := j.LoadSchedules()
	paths, _ := filepath.Glob(b.path + ".unreadable-*")
	for _, path := range paths {
		if kept, _ := os.ReadFile(path); !bytes.Equal(kept, file) {
			t.Errorf("%s: what was put aside has changed", what)
		}
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
	if len(paths) > 1 || (len(paths) > 0) != (saved.Warning != "") {
		t.Fatalf("%s: put aside is %q; said is %q", what, paths, saved.Warning)
	}
	l = life{file, saved, plans}
	l.saved.Warning = ""
	if err := j.Save(device.Change{Standing: device.Standing{OperationsTotal: 77}, Records: records(record(900, 1, 1)), NextEvent: 9}); err != nil {
		t.Fatalf("%s: saved after it: %v", what, err)
	}
	shut(t, j)
	j, saved = b.open(t, what)
	shut(t, j)
	if n := len(saved.Records); saved.OperationsTotal != 77 || n == 0 || diff(record(900, 1, 1), saved.Records[n-1]) != "" || saved.Warning != "" {
		t.Fatalf("%s: after a Save it says %q and holds %d operations, %+v", what, saved.Warning, n, saved)
	}
	return l, len(paths) > 0
}

// expect begins with that file, which must hold what the life did, all of it.
func (b *bench) expect(t *testing.T, what string, file []byte, want life) {
	t.Helper()
	got, aside := b.begin(t, what, file)
	if aside || !bytes.Equal(encode(want), encode(got)) {
		t.Fatalf("%s: put aside %v, -saved +loaded\n%s", what, aside, diff(want.saved, got.saved)+diff(want.plans, got.plans))
	}
}

// encode returns everything in a journal but for how long ago it was written.
func encode(l life) []byte {
	l.saved.Away = nil
	encoded, err := json.Marshal([]any{l.saved, l.plans})
	if err != nil {
		panic(err)
	}
	return encoded
}

// written returns the pages that differ, with the meta page last: the order in which a transaction makes them durable.
func written(t *testing.T, before, after []byte) (data []int, meta int) {
	t.Helper()
	meta = -1
	for p := 0; p < len(after)/pageSize; p++ {
		switch same := bytes.Equal(page(before, p), page(after, p)); {
		case !same && p < 2 && meta < 0:
			meta = p
		case !same && p >= 2:
			data = append(data, p)
		case !same:
			t.Fatal("a transaction has written both meta pages")
		}
	}
	if meta < 0 || len(data) < 3 {
		t.Fatalf("written are the pages %d, the meta page is %d", data, meta)
	}
	return data, meta
}

// replaced returns the file with that page of another one.
func replaced(file, by []byte, n int) []byte {
	file = bytes.Clone(file)
	copy(page(file, n), page(by, n))
	return file
}

func page(file []byte, n int) []byte { return file[n*pageSize : (n+1)*pageSize] }

// A tear is how a page may be left when power goes while it is written.
var tears = map[string]func(before, after []byte, n int) []byte{
	"the beginning new":              func(before, after []byte, n int) []byte { return slices.Concat(after[:n], before[n:]) },
	"the end new":                    func(before, after []byte, n int) []byte { return slices.Concat(before[:n], after[n:]) },
	"the beginning new, then zeroes": func(_, after []byte, n int) []byte { return slices.Concat(after[:n], make([]byte, len(after)-n)) },
}

// Power goes while a Save writes: first the pages that change, in any order, and when the disk has them the meta page, which
// makes them count. Whatever there is of them, the journal holds what it did before, or all of the Save.
func TestPowerGoesAtEveryByteOfTheLastPage(t *testing.T) {
	before, after := lives(t)
	data, meta := written(t, before.file, after.file)
	const counts = 16 + 80 // the bytes of the meta page that say something
	for name, tear := range tears {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			file := bytes.Clone(after.file)
			for n := range pageSize + 1 {
				torn := tear(page(before.file, meta), page(after.file, meta), n)
				if n > 0 && bytes.Equal(torn, page(file, meta)) {
					continue // it is the one before
				}
				copy(page(file, meta), torn)
				want := before
				if bytes.Equal(torn[:counts], page(after.file, meta)[:counts]) {
					want = after
				}
				b.expect(t, fmt.Sprintf("the meta page, torn at byte %d", n), file, want)
			}
			for _, p := range data {
				for order, file := range map[string][]byte{"alone": bytes.Clone(before.file), "last": replaced(after.file, before.file, meta)} {
					step := 512 // a disk writes sectors
					if order == "last" && p >= data[len(data)-2] {
						step = 1
					}
					for n := 0; n <= pageSize; n += step {
						torn := tear(page(before.file, p), page(after.file, p), n)
						if n > 0 && bytes.Equal(torn, page(file, p)) {
							continue
						}
						copy(page(file, p), torn)
						b.expect(t, fmt.Sprintf("page %d, %s, torn at byte %d", p, order, n), file, before)
					}
				}
			}
		})
	}
}

// A file that has lost its end, as a copy does, or a file system without a journal. It holds everything, or is put aside, and
// then it is said what is not known.
func TestAFileThatEndsAtEveryByteOfItsLastPage(t *testing.T) {
	_, after := lives(t)
	used := int(binary.NativeEndian.Uint64(page(after.file, 0)[16+40:])) // pages, as the meta page has it
	for name, last := range map[string]int{"of all": len(after.file)/pageSize - 1, "in use": used - 1} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			for n := last * pageSize; n < (last+1)*pageSize; n++ {
				what := fmt.Sprintf("%d bytes", n)
				if len(bytes.Trim(after.file[n:(last+1)*pageSize], "\x00")) == 0 {
					n = min(n+63, (last+1)*pageSize-1) // the rest is empty
				}
				if last >= used {
					b.expect(t, what, after.file[:n], after)
					continue
				}
				got, aside := b.begin(t, what, after.file[:n])
				if !aside || !got.saved.Latched || got.saved.OperationsTotal != 9 {
					t.Fatalf("%s: put aside %v, holds %+v", what, aside, got.saved)
				}
			}
		})
	}
}

// A new journal whose first pages are not all there.
func TestANewJournalThatEndsAtEveryByte(t *testing.T) {
	b := newBench(t)
	j, _ := open(t, b.dir)
	shut(t, j)
	file, err := os.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(file); n++ {
		if n%pageSize == 16+80 {
			n = n/pageSize*pageSize + pageSize - 1 // the rest of each page is empty
		}
		if got, _ := b.begin(t, fmt.Sprintf("%d bytes", n), file[:n]); len(got.saved.Records) > 0 {
			t.Fatalf("%d bytes hold %+v", n, got.saved)
		}
	}
}

// Whatever is wrong of what holds the pages together, the program begins and goes on.
func TestEveryByteThatHoldsThePagesTogether(t *testing.T) {
	_, after := lives(t)
	b := newBench(t)
	aside := 0
	for p := range len(after.file) / pageSize {
		content := page(after.file, p)
		end := 16 + 80
		if p >= 2 {
			end = 16 + 16*int(binary.NativeEndian.Uint16(content[10:])) // or half of it, in a list of free pages
		}
		for i := range end {
			file := bytes.Clone(after.file)
			page(file, p)[i] ^= 1 << (i % 8)
			if _, put := b.begin(t, fmt.Sprintf("page %d, byte %d", p, i), file); put {
				aside++
			}
		}
	}
	if aside == 0 || aside == b.tried {
		t.Errorf("of %d files %d were put aside", b.tried, aside)
	}
}
