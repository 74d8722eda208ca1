package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/plate-resort/plate-resort/device"
)

const (
	fileName = "journal.db"
	pidName  = "pid"
	// lockTimeout is how long another process may take to end.
	lockTimeout = 500 * time.Millisecond
)

// A Journal is a device.Store, and one of schedules, in a directory of its own. It is safe for concurrent use.
type Journal struct {
	dir  string
	mark mark
	log  *slog.Logger

	mu    sync.Mutex
	db    *bbolt.DB // nil while the file cannot be written
	known bool      // what is in the file has been loaded
	begun bool      // the device has begun with what was loaded
	saved contents
	// written is when the device was saved last that was not resuming.
	written moment
}

var _ device.Store = (*Journal)(nil)

// Open opens the journal in a directory, which is made if it is missing, and reads it. The only error is
// that another process has it. What else is wrong shows in what Load returns, and in the error of a Save.
func Open(dir string, log *slog.Logger) (*Journal, error) {
	j := &Journal{dir: dir, mark: markOf(dir), log: log}
	if err := j.open(); errors.Is(err, errHeld) {
		return nil, err
	}
	j.begun = true
	return j, nil
}

// Load implements [device.Store], once. It never fails: a device that has lost its past still runs.
func (j *Journal) Load() (device.Saved, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	saved := j.saved.Saved
	j.saved.Saved = device.Saved{} // it is not small
	return saved, nil
}

// LoadSchedules returns the schedules that were saved, by name, once. It never fails, as Load.
func (j *Journal) LoadSchedules() (map[string]json.RawMessage, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	schedules := j.saved.schedules
	j.saved.schedules = nil
	return schedules, nil
}

// Save implements [device.Store].
func (j *Journal) Save(c device.Change) error {
	return j.advise(j.mark.saving(func() error {
		return j.update(func(tx *bbolt.Tx) error {
			if !c.Resuming {
				j.written = present()
			}
			return write(tx, c, j.written)
		})
	}))
}

// SaveSchedules keeps these in place of what it had of those names, all of them or none, before it returns;
// nil deletes one. Of operations it says nothing, so it leaves the mark alone.
func (j *Journal) SaveSchedules(schedules map[string]json.RawMessage) error {
	return j.advise(j.update(func(tx *bbolt.Tx) error { return writeSchedules(tx, schedules) }))
}

func (j *Journal) update(write func(*bbolt.Tx) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.open(); err != nil {
		return err
	}
	return guarded(func() error { return j.db.Update(write) })
}

// Close gives the journal to other processes. It does not wait for a Save that hangs, which keeps it until
// the process has ended.
func (j *Journal) Close() error {
	if !j.mu.TryLock() {
		j.mark.remove()
		return errors.New("the journal is still being written")
	}
	defer j.mu.Unlock()
	if j.db == nil {
		return nil
	}
	_ = os.Remove(j.file(pidName)) // it only names who has the lock
	err := j.db.Close()
	j.db = nil
	return err
}

// open makes the file ready to be written, and loads what is in it unless that has been done.
func (j *Journal) open() error {
	if j.db != nil {
		return nil
	}
	isNew, err := j.know()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return err
	}
	db, err := j.openFile(false)
	if isDamage(err) && !isNew { // what is in it could be read
		unknown := nothingUnknown
		if j.begun { // and was, long ago
			unknown = allUnknown
		}
		if err := j.putAside(err.Error(), j.saved, unknown); err != nil {
			return err
		}
		isNew = true
		db, err = j.openNew()
	}
	if err != nil {
		if isNew && !errors.Is(err, errHeld) {
			_ = os.Remove(j.file(fileName)) // there is nothing in what there is of it
		}
		return err
	}
	syncDir(j.dir)
	syncDir(filepath.Dir(j.dir))
	_ = os.WriteFile(j.file(pidName), []byte(fmt.Sprintln(os.Getpid())), 0o600) // the lock holds without it
	j.db = db
	return nil
}

// openNew begins a file with what was in the one that was put aside.
func (j *Journal) openNew() (*bbolt.DB, error) {
	db, err := j.openFile(false)
	if err != nil || j.begun {
		return db, err
	}
	c := device.Change{Standing: j.saved.Standing, Records: make(map[int]device.Record), Events: j.saved.Events, NextEvent: j.saved.NextEvent}
	for _, r := range j.saved.Records {
		c.Records[r.Slot] = r
	}
	err = guarded(func() error {
		return db.Update(func(tx *bbolt.Tx) error {
			return errors.Join(write(tx, c, j.written), writeSchedules(tx, j.saved.schedules))
		})
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// know loads what is in the file, and reports whether there is nothing. What cannot be read is put aside, and
// so is a file that appears when the device has begun without it, which is of an earlier life.
func (j *Journal) know() (isNew bool, err error) {
	if j.known {
		return false, nil
	}
	saved, err := j.load()
	switch {
	case isDamage(err) && saved != nil:
		err = j.putAside(err.Error(), *saved, operationsUnknown)
	case isDamage(err):
		err = j.putAside(err.Error(), contents{}, allUnknown)
	case err == nil && saved != nil && j.begun:
		err = j.putAside("it could not be read when the device began", contents{}, allUnknown)
	case err == nil && saved != nil:
		j.saved, j.known = *saved, true
		return false, nil
	}
	if err != nil && !j.begun {
		j.saved.Warning = fmt.Sprintf("What was stored before cannot be read, also not whether an emergency stop was latched: %v", j.advise(err))
		if _, missing := os.Stat(j.file(fileName)); missing == nil {
			j.saved.Latched = true // it is there to be known, and until then the safe side counts
			j.saved.Warning += "; so one is taken for latched: reset it when it is safe to move"
		}
	}
	return err == nil, err
}

// load reads the file; nil when there is nothing in it. Of a damaged one it may return how the device stood.
// It is opened for reading only: one on a read-only disk can be read, and one that is damaged is not changed.
func (j *Journal) load() (*contents, error) {
	info, err := os.Stat(j.file(fileName))
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	db, err := j.openFile(true)
	if err != nil {
		return nil, err
	}
	var now *state
	var saved *contents
	err = guarded(func() error {
		return db.View(func(tx *bbolt.Tx) (err error) {
			p, tree, _ := check(tx)
			if tree != nil && !p.buckets[string(deviceBucket)] {
				return tree
			}
			if now, err = readState(tx); err != nil || tree != nil {
				return errors.Join(tree, err)
			}
			saved, err = read(tx, now)
			return err
		})
	})
	if err = errors.Join(err, db.Close()); err != nil && now != nil {
		return &contents{Saved: device.Saved{Standing: now.Standing, NextEvent: now.NextEvent}}, err
	}
	if saved != nil && now != nil {
		j.written = now.Written
		if !j.mark.take() {
			saved.Away = nil
		}
	}
	return saved, err
}

// What is not known when a file has been put aside.
const (
	allUnknown        = ": what ran or waited is not known, nor whether an emergency stop was latched, and there are no schedules"
	operationsUnknown = ": what ran or waited is not known, and there are no schedules"
	nothingUnknown    = " with what was in it"
)

// putAside renames the file, for people to look at, goes on with what is kept of it, and has the device say so.
func (j *Journal) putAside(reason string, keep contents, unknown string) error {
	j.saved = keep
	aside := j.file(fileName) + ".unreadable-" + time.Now().UTC().Format("20060102T150405.000Z")
	if err := os.Rename(j.file(fileName), aside); err != nil {
		return err
	}
	j.known = false
	j.saved.Warning = fmt.Sprintf("The journal was put aside as %s and a new one begun%s (%s)", aside, unknown, reason)
	j.log.Error("the journal was put aside and a new one begun"+unknown, "path", aside, "reason", reason)
	return nil
}

func (j *Journal) openFile(readOnly bool) (*bbolt.DB, error) {
	var db *bbolt.DB
	err := guarded(func() (err error) {
		db, err = bbolt.Open(j.file(fileName), 0o600, &bbolt.Options{Timeout: lockTimeout, ReadOnly: readOnly})
		return err
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, j.held()
	}
	if err != nil || readOnly {
		return db, err
	}
	err = guarded(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			_, _, free := check(tx)
			return free
		})
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// errHeld is that another process has the journal.
var errHeld = errors.New("another process has this device's journal")

func (j *Journal) held() error {
	who := "another process"
	if pid, err := os.ReadFile(j.file(pidName)); err == nil && len(pid) > 0 {
		who = "process " + strings.TrimSpace(string(pid))
	}
	return fmt.Errorf("%w: %s runs the device that keeps its state in %s; end that one, or give this one another id or directory",
		errHeld, who, j.dir)
}

func (j *Journal) file(name string) string { return filepath.Join(j.dir, name) }

// syncDir makes the names in a directory durable, where the system can.
func syncDir(dir string) {
	if f, err := os.Open(dir); err == nil {
		_ = f.Sync()
		_ = f.Close()
	}
}
