package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// markTimeout is how long a Save may take before what is on disk is not all there is.
const markTimeout = 2 * time.Second

// A mark is an empty file that says that what is on disk is all there is. It is in memory, so that a disk
// that fails, or hangs, does not keep it: what was stopped after the last Save must not go on after a restart.
type mark string

// markOf is the mark of the journal in that directory. A unit with RuntimeDirectory= needs
// RuntimeDirectoryPreserve=restart, or systemd removes the mark with the process
// (https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html).
func markOf(dir string) mark {
	memory, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	if memory == "" {
		memory = "/dev/shm"
		if info, err := os.Stat(memory); err != nil || !info.IsDir() {
			memory = os.TempDir()
		}
	}
	if absolute, err := filepath.Abs(dir); err == nil {
		dir = absolute
	}
	hash := sha256.Sum256([]byte(dir))
	return mark(filepath.Join(memory, "plate-resort-"+hex.EncodeToString(hash[:8])))
}

// saving does a Save. Without a mark nothing goes on, so where it cannot be made is no error.
func (m mark) saving(save func() error) error {
	late := time.AfterFunc(markTimeout, m.remove)
	err := save()
	late.Stop() // if it comes all the same, the next Save makes the mark again
	if err != nil {
		m.remove()
		return err
	}
	if f, err := os.OpenFile(string(m), os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		_ = f.Close()
	}
	return nil
}

func (m mark) remove() { _ = os.Remove(string(m)) }

// take reports whether the mark is there, and removes it: the first Save makes it again. One that cannot be
// removed could not be taken back either.
func (m mark) take() bool { return os.Remove(string(m)) == nil }
