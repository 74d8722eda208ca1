package session

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// acknowledger returns what has the kernel acknowledge all that was read: TCP_QUICKACK of tcp(7), which does not last.
func acknowledger(conn net.Conn) func() {
	tcp, ok := conn.(syscall.Conn)
	if !ok {
		return func() {}
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return func() {}
	}
	set := func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) }
	return func() { _ = raw.Control(set) } // without it the acknowledgement comes later
}
