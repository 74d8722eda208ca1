package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"syscall"
)

// errDamaged is what a damaged file, which bbolt meets with a panic, becomes.
var errDamaged = errors.New("the file is damaged")

// guarded does something to the file. Pages that do not make sense, or that are missing from the memory
// that the file is mapped to, are an error.
func guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return do()
}

// isDamage reports whether an error is the file's own, rather than one of reaching it.
func isDamage(err error) bool {
	return err != nil && !errors.Is(err, errHeld) && !errors.As(err, new(*fs.PathError)) && !errors.As(err, new(syscall.Errno))
}

// advise says what to do about an error.
func (j *Journal) advise(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w; free some space there", err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w; make that file system writable", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; give the directory to the user that this program runs as", err)
	case errors.Is(err, errHeld):
		return err
	case errors.Is(err, errDamaged):
		return fmt.Errorf("%s: %w; see whether the disk is failing, and start the program again", j.file(fileName), err)
	}
	return fmt.Errorf("%s: %w; see whether the disk is full or failing, or set another directory", j.file(fileName), err)
}
