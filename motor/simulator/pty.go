//go:build linux || darwin || freebsd || openbsd

package simulator

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/creack/pty"
	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// patience is how long a status may wait for room in the kernel's buffer.
const patience = 20 * time.Millisecond

// A PTY is a pseudo-terminal that other programs open like a serial port. It is the servo's end of the
// line, for [Servo.Serve].
type PTY struct {
	master *os.File
	slave  *os.File // never read: see OpenPTY
	link   string
	close  func() error
}

// OpenPTY opens a pseudo-terminal. If link is not empty, it becomes a symbolic link to [PTY.Path], so that
// the host can be given a name that stays the same. A symbolic link of that name is replaced, anything else
// is not touched and an error.
func OpenPTY(link string) (*PTY, error) {
	master, slave, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("opening a pseudo-terminal: %w", err)
	}
	// The slave stays open here for as long as the PTY lives: while nobody has it open, reads from the
	// master fail (EIO on Linux), and hosts come and go.
	p := &PTY{slave: slave, link: link}
	p.close = sync.OnceValue(p.shut)
	if p.master, err = pollable(master); err != nil {
		err = errors.Join(err, master.Close(), slave.Close())
		return nil, fmt.Errorf("preparing the pseudo-terminal: %w", err)
	}
	if err := makeRaw(p.Path()); err != nil {
		p.link = ""
		return nil, errors.Join(fmt.Errorf("preparing the pseudo-terminal: %w", err), p.Close())
	}
	if link != "" {
		if err := replaceLink(p.Path(), link); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	return p, nil
}

// Path is the name of the terminal that the host opens, such as /dev/pts/7.
func (p *PTY) Path() string { return p.slave.Name() }

// Read waits for bytes that a host writes.
func (p *PTY) Read(b []byte) (int, error) {
	n, err := p.master.Read(b)
	p.allowOthers()
	return n, err
}

// Write sends bytes to the host. If there is none, or it does not read, they wait in the kernel's buffer;
// when that is full they are dropped, as on a wire that nobody listens to.
func (p *PTY) Write(b []byte) (int, error) {
	if err := p.master.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	if _, err := p.master.Write(b); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, err
	}
	return len(b), nil
}

// Close unplugs the host, whose reads and writes fail from now on, and removes the link unless it has been
// pointed elsewhere. It ends a Read that waits, and does nothing when called again.
func (p *PTY) Close() error { return p.close() }

func (p *PTY) shut() error {
	var unlink error
	if target, err := os.Readlink(p.link); err == nil && target == p.Path() {
		unlink = os.Remove(p.link) // while the name of the slave is still ours
	}
	return errors.Join(unlink, p.master.Close(), p.slave.Close())
}

// allowOthers takes back the exclusive access that go.bug.st/serial and others give themselves to the
// slave. A host that is killed never gives it up, and since the slave stays open here the kernel would not
// either: the next host, unless it is root's, would find the port busy forever.
func (p *PTY) allowOthers() {
	raw, err := p.slave.SyscallConn()
	if err != nil {
		return // closed
	}
	raw.Control(func(fd uintptr) { unix.IoctlSetInt(int(fd), unix.TIOCNXCL, 0) })
}

// pollable returns the terminal as a file with deadlines, whose Close ends a Read that waits. It closes f.
func pollable(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), f.Name()), f.Close()
}

// makeRaw keeps the terminal from echoing and editing. The settings that the library makes for a host last
// for as long as somebody has the terminal open.
func makeRaw(path string) error {
	port, err := serial.Open(path, &serial.Mode{BaudRate: 57600})
	if err != nil {
		return err
	}
	return port.Close()
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
