package journal

import (
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

// A Journal is a device.Store in a directory of its own. It is safe for concurrent use.
type Journal struct {
	dir string
	log *slog.Logger

	mu    sync.Mutex
	db    *bbolt.DB // nil while the file cannot be written
	known bool      // what was in the file is loaded, or there was nothing
	begun bool      // the device has begun with what was loaded
	saved device.Saved
}

var _ device.Store = (*Journal)(nil)

// Open opens the journal in a directory, which is made if it is missing, and reads it. The only error is
// that another process has it. What else is wrong shows in what Load returns, and in the error of a Save.
func Open(dir string, log *slog.Logger) (*Journal, error) {
	j := &Journal{dir: dir, log: log}
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
	saved := j.saved
	j.saved = device.Saved{} // it is not small
	return saved, nil
}

// Save implements [device.Store].
func (j *Journal) Save(c device.Change) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.open(); err != nil {
		return j.advise(err)
	}
	return j.advise(guarded(func() error {
		return j.db.Update(func(tx *bbolt.Tx) error { return write(tx, c) })
	}))
}

// Close gives the journal to other processes. It does not wait for a Save that hangs, which keeps it until
// the process has ended.
func (j *Journal) Close() error {
	if !j.mu.TryLock() {
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
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return err
	}
	if err := j.know(); err != nil {
		return err
	}
	db, err := j.openFile(false)
	if isDamage(err) {
		if err := j.putAside(err.Error()); err != nil {
			return err
		}
		db, err = j.openFile(false)
	}
	if err != nil {
		return err
	}
	syncDir(j.dir)
	syncDir(filepath.Dir(j.dir))
	_ = os.WriteFile(j.file(pidName), []byte(fmt.Sprintln(os.Getpid())), 0o600) // the lock holds without it
	j.db = db
	return nil
}

// know loads what is in the file. What cannot be read is put aside, and so is a file that appears when the
// device has begun without it, which is of an earlier life.
func (j *Journal) know() error {
	if j.known {
		return nil
	}
	saved, err := j.load()
	switch {
	case isDamage(err):
		err = j.putAside(err.Error())
	case err == nil && j.begun && saved != nil:
		err = j.putAside("it could not be read when the device began")
	case err == nil && saved != nil:
		j.saved = *saved
	}
	j.known = err == nil
	return err
}

// load reads the file; nil when there is nothing in it. It is opened for reading only: one on a read-only
// disk can be read, and one that is damaged is not changed.
func (j *Journal) load() (*device.Saved, error) {
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
	var saved *device.Saved
	err = guarded(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			saved, err = read(tx)
			return err
		})
	})
	return saved, errors.Join(err, db.Close())
}

// putAside renames the file, for people to look at, and has the device say so.
func (j *Journal) putAside(reason string) error {
	aside := j.file(fileName) + ".unreadable-" + time.Now().UTC().Format("20060102T150405.000Z")
	if err := os.Rename(j.file(fileName), aside); err != nil {
		return err
	}
	j.saved = device.Saved{Warning: fmt.Sprintf(
		"The journal was put aside as %s and a new one begun: what ran or waited is not known, nor whether an emergency stop was latched (%s)", aside, reason)}
	j.log.Error("the journal was put aside and a new one begun: what was in it is not known, nor whether an emergency stop was latched",
		"path", aside, "reason", reason)
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
	return db, err
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
