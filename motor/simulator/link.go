//go:build linux || darwin || freebsd || openbsd

package simulator

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// lockLink takes the link for this process, which it stays until the file that it returns is closed: also one
// that is killed gives it up. The terminal itself is not locked, as that is for the hosts.
func lockLink(link string) (*os.File, error) {
	name := link + ".lock"
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, fmt.Errorf("%s belongs to another simulated servo, which is still running", link)
			}
			return nil, fmt.Errorf("locking %s: %w", name, err)
		}
		ours, err1 := f.Stat()
		present, err2 := os.Stat(name)
		if err1 == nil && err2 == nil && os.SameFile(ours, present) {
			return f, nil
		}
		f.Close() // it has just been removed by who had it before
	}
}

// replaceLink makes link a symbolic link to target. At no time is there no link if there was one.
func replaceLink(target, link string) error {
	info, err := os.Lstat(link)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.Symlink(target, link)
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSymlink:
		return fmt.Errorf("%s exists and is not a symbolic link: not replacing it", link)
	}
	next := fmt.Sprintf("%s.%d", link, os.Getpid())
	if err := os.Symlink(target, next); err != nil {
		return err
	}
	if err := os.Rename(next, link); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return nil
}
