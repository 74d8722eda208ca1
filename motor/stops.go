package motor

import (
	"sync"
	"sync/atomic"

	"github.com/plate-resort/plate-resort/device"
)

// A permit allows motion as long as no emergency stop is pressed after it was given. It is one more
// than the number of presses at that time, so that 0 is none.
type permit uint64

// stops counts the presses of the emergency stop, and those that have been released.
type stops struct {
	pressed  atomic.Uint64
	released atomic.Uint64

	mu         sync.Mutex // held for moments only
	unanswered presses
	signal     chan<- struct{} // to the bus; nil when there is none
	wake       func()          // has the port opened while it is closed for want of work, else nil
}

// presses wait for their answers.
type presses []chan error

func (p presses) answer(err error) {
	for _, done := range p {
		done <- err
	}
}

// press makes a press and signals the bus.
func (s *stops) press() device.Press {
	done := make(chan error, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	number := s.pressed.Add(1)
	if s.signal == nil && s.wake == nil {
		done <- device.Errorf(device.CodeMotorDisconnected, "the motor is not connected; torque will be switched off first when it is")
	} else {
		s.unanswered = append(s.unanswered, done)
		if s.wake != nil {
			s.wake()
		}
		s.ring()
	}
	return device.Press{Number: number, Done: done}
}

func (s *stops) ring() {
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// take returns the presses that have no answer yet.
func (s *stops) take() presses {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.unanswered
	s.unanswered = nil
	return p
}

// attach sends the signal to a new bus, at once if a stop is held.
func (s *stops) attach(signal chan<- struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signal, s.wake = signal, nil
	if s.held() {
		s.ring()
	}
}

// detach is for a bus that is lost: presses that it has not obeyed are answered. If it can be had again by
// wake, they wait for that.
func (s *stops) detach(wake func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signal, s.wake = nil, wake
	if wake != nil {
		if len(s.unanswered) > 0 {
			wake()
		}
		return
	}
	s.unanswered.answer(device.Errorf(device.CodeMotorDisconnected, "the motor was lost before torque was off"))
	s.unanswered = nil
}

// held reports whether a stop has been pressed and not released.
func (s *stops) held() bool { return s.pressed.Load() != s.released.Load() }

// permit gives a permit as of the latest release; it is worth nothing while a stop is held.
func (s *stops) permit() permit { return permit(s.released.Load() + 1) }

// permits reports whether no stop has been pressed since the permit was given.
func (s *stops) permits(p permit) bool { return uint64(p) == s.pressed.Load()+1 }

// release lets go of the presses up to that number.
func (s *stops) release(press uint64) { s.released.Store(press) }
