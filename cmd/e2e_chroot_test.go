//go:build e2e

package cmd_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// copySources copies the repository as a checkout has it, but for what is made there.
func copySources(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == ".." {
			return err
		}
		to := filepath.Join(dir, strings.TrimPrefix(path, ".."))
		switch {
		case slices.Contains([]string{".git", "node_modules", "dist"}, entry.Name()):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return os.Mkdir(to, 0o755)
		case !entry.Type().IsRegular():
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // of a test that runs beside this one
			return nil
		}
		return errors.Join(err, os.WriteFile(to, content, info.Mode()))
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A chroot is a Debian 12 of its own, as small as it gets.
type chroot struct{ dir string }

// newChroot makes one of the archive that an earlier run has left, or of Debian's packages.
func newChroot(t *testing.T) chroot {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test needs root, for chroot")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache = filepath.Join(cache, "plate-resort")
	archive := filepath.Join(cache, "bookworm-minbase.tar")
	dir := filepath.Join(t.TempDir(), "debian")
	if err := errors.Join(os.MkdirAll(cache, 0o755), os.Mkdir(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(archive); err == nil {
		runTool(t, "tar", "-xf", archive, "-C", dir, "--numeric-owner")
		return chroot{dir}
	}
	runTool(t, "debootstrap", "--variant=minbase", "bookworm", dir, "http://deb.debian.org/debian")
	runTool(t, "tar", "-cf", archive+".new", "-C", dir, "--numeric-owner", "--exclude=./var/cache/apt/archives/*.deb", ".")
	if err := os.Rename(archive+".new", archive); err != nil {
		t.Fatal(err)
	}
	return chroot{dir}
}

func (c chroot) path(name string) string { return filepath.Join(c.dir, name) }

// try runs a program in there.
func (c chroot) try(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "chroot", append([]string{c.dir}, args...)...)
	command.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"}
	out, err := command.CombinedOutput()
	return string(out), err
}

// run is try for a program that must succeed.
func (c chroot) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.try(t, args...)
	if err != nil {
		t.Fatalf("in the chroot, %q: %v\n%s", args, err, out)
	}
	return out
}

// find returns the files there that have the program's name or lie below one that has.
func (c chroot) find(t *testing.T) []string {
	t.Helper()
	return strings.Fields(c.run(t, "find", "/", "-xdev", "-path", "*plate-resort*"))
}

// has checks that a file is there with these: %A, %U and %G of stat, such as -rw-r----- root plate-resort.
func (c chroot) has(t *testing.T, name, want string) {
	t.Helper()
	if got := strings.TrimSpace(c.run(t, "stat", "-c", "%A %U %G", name)); got != want {
		t.Errorf("%s is %s, want %s", name, got, want)
	}
}
