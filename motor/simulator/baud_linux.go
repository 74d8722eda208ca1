package simulator

import "golang.org/x/sys/unix"

// HostBaud is the rate in bits a second that the host has set, or 0 if it is not known.
func (p *PTY) HostBaud() int {
	rate := 0
	if t, _, _ := p.present(); t != nil {
		t.control(func(fd int) {
			if settings, err := unix.IoctlGetTermios(fd, unix.TCGETS2); err == nil {
				rate = int(settings.Ospeed)
			}
		})
	}
	return rate
}
