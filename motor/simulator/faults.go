package simulator

import "time"

// Faults are what is wrong with a servo and its line. The zero value is nothing.
type Faults struct {
	// Mute: the servo carries out its instructions and says nothing.
	Mute bool
	// Jam: while torque is on the horn does not move. The profile runs on.
	Jam bool
	// Drop is how many of the next replies are lost.
	Drop int
	// Corrupt is how many of the next replies, after those that are lost, arrive with a flipped bit.
	Corrupt int
	// Noise arrives once, in front of the next reply that is not lost.
	Noise []byte
}

// SetFaults replaces all faults. A horn that is no longer jammed goes on to where it was to go.
func (s *Servo) SetFaults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.advance(now)
	s.change(now, func() { s.faults = f })
}

// spoil turns a status into what comes out of the line.
func (f *Faults) spoil(status []byte) []byte {
	if f.Mute {
		return nil
	}
	if f.Drop > 0 {
		f.Drop--
		return nil
	}
	if f.Corrupt > 0 {
		f.Corrupt--
		status[len(status)-3] ^= 0x04 // the last byte before the CRC: a parameter, or else the error
	}
	if len(f.Noise) > 0 {
		status = append(f.Noise[:len(f.Noise):len(f.Noise)], status...)
		f.Noise = nil
	}
	return status
}
