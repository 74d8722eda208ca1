//go:build linux || darwin || freebsd || openbsd

package simulator

import (
	"errors"
	"fmt"
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
// line, for [Servo.Serve]. Its methods may be called concurrently.
type PTY struct {
	link string
	lock *os.File // nil without a link

	mu       sync.Mutex // not held while anybody reads or writes
	terminal *terminal  // nil while it is unplugged
	closed   bool
	changed  chan struct{} // closed, and made anew, when one of the two changes
}

// A terminal is the kernel's part of a PTY, from when it is plugged in until it is unplugged.
type terminal struct {
	master *os.File
	slave  *os.File // never read: see openTerminal
}

// OpenPTY opens a pseudo-terminal. If link is not empty, it becomes a symbolic link to [PTY.Path], so that
// the host can be given a name that stays the same. A symbolic link of that name is replaced if nobody runs
// behind it any more; else it, and anything that is not a symbolic link, is not touched and an error. Who
// runs is told by a lock on a file beside the link, whose name has ".lock" at its end.
func OpenPTY(link string) (*PTY, error) {
	p := &PTY{link: link, changed: make(chan struct{})}
	if link != "" {
		var err error
		if p.lock, err = lockLink(link); err != nil {
			return nil, err
		}
	}
	if err := p.Plug(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Path is the name of the terminal that the host opens, such as /dev/pts/7, or nothing while it is unplugged.
func (p *PTY) Path() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal == nil {
		return ""
	}
	return p.terminal.slave.Name()
}

// Plug plugs in again what [PTY.Unplug] has unplugged: under the same link, but like a USB adapter possibly
// under another path. It does nothing if it is plugged in.
func (p *PTY) Plug() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return os.ErrClosed
	case p.terminal != nil:
		return nil
	}
	t, err := openTerminal()
	if err != nil {
		return err
	}
	if p.link != "" {
		if err := replaceLink(t.slave.Name(), p.link); err != nil {
			return errors.Join(err, t.close())
		}
	}
	p.change(t)
	return nil
}

// Unplug pulls the cable: the host's reads and writes fail, and the link is gone until [PTY.Plug]. Meanwhile
// Read waits, and what is written is lost. It does nothing if it is unplugged.
func (p *PTY) Unplug() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal == nil {
		return nil
	}
	var unlink error
	t := p.terminal
	if target, err := os.Readlink(p.link); err == nil && target == t.slave.Name() {
		unlink = os.Remove(p.link) // while the name of the slave is still ours
	}
	p.change(nil)
	return errors.Join(unlink, t.close())
}

// change puts a terminal, or none, in place of the present one. The caller holds mu.
func (p *PTY) change(t *terminal) {
	p.terminal = t
	close(p.changed)
	p.changed = make(chan struct{})
}

// present returns the terminal, or nil and what is closed when there may be one.
func (p *PTY) present() (*terminal, <-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, os.ErrClosed
	}
	return p.terminal, p.changed, nil
}

// is reports whether it is the present terminal.
func (p *PTY) is(t *terminal) bool {
	present, _, _ := p.present()
	return present == t
}

// Read waits for bytes that a host writes.
func (p *PTY) Read(b []byte) (int, error) {
	for {
		t, changed, err := p.present()
		if err != nil {
			return 0, err
		}
		if t == nil {
			<-changed
			continue
		}
		n, err := t.master.Read(b)
		if err != nil && !p.is(t) {
			continue
		}
		t.allowOthers()
		return n, err
	}
}

// Write sends bytes to the host. If there is none, or it does not read, they wait in the kernel's buffer;
// when that is full they are dropped, as on a wire that nobody listens to.
func (p *PTY) Write(b []byte) (int, error) {
	t, _, err := p.present()
	if err != nil {
		return 0, err
	}
	if t == nil {
		return len(b), nil
	}
	if err = t.master.SetWriteDeadline(time.Now().Add(patience)); err == nil {
		_, err = t.master.Write(b)
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && p.is(t) {
		return 0, err
	}
	return len(b), nil
}

// Close unplugs the host and gives the link up, unless that has been pointed elsewhere. It ends a Read that
// waits, and does nothing when called again.
func (p *PTY) Close() error {
	unplug := p.Unplug()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return unplug
	}
	p.closed = true
	p.change(nil)
	if p.lock == nil {
		return unplug
	}
	return errors.Join(unplug, os.Remove(p.lock.Name()), p.lock.Close())
}

func openTerminal() (*terminal, error) {
	master, slave, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("opening a pseudo-terminal: %w", err)
	}
	// The slave stays open here for as long as the terminal lives: while nobody has it open, reads from the
	// master fail (EIO on Linux), and hosts come and go.
	t := &terminal{slave: slave}
	if t.master, err = pollable(master); err != nil {
		err = errors.Join(err, master.Close(), slave.Close())
		return nil, fmt.Errorf("preparing the pseudo-terminal: %w", err)
	}
	if err := makeRaw(slave.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("preparing the pseudo-terminal: %w", err), t.close())
	}
	return t, nil
}

func (t *terminal) close() error { return errors.Join(t.master.Close(), t.slave.Close()) }

// allowOthers takes back the exclusive access that go.bug.st/serial and others give themselves to the
// slave. A host that is killed never gives it up, and since the slave stays open here the kernel would not
// either: the next host, unless it is root's, would find the port busy forever.
func (t *terminal) allowOthers() {
	t.control(func(fd int) { unix.IoctlSetInt(fd, unix.TIOCNXCL, 0) })
}

// control calls f with the slave's descriptor, unless the slave has been closed.
func (t *terminal) control(f func(fd int)) {
	if raw, err := t.slave.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { f(int(fd)) })
	}
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
