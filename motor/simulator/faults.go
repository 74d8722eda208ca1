package simulator

import (
	"math/rand/v2"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

const (
	// lateness is by how much a reply is held up that is late, and with it what follows.
	lateness = 60 * time.Millisecond
	// outage is how long the port is gone, or the power, when that is a fault.
	outage = 2 * time.Second
)

// Faults are what is wrong with a servo, with what it drives, and with its line. The zero value is nothing.
type Faults struct {
	// Mute: the servo carries out its instructions and says nothing.
	Mute bool
	// Echo: the host hears what it sends, as from an adapter that does not switch its receiver off.
	Echo bool
	// Jam: while torque is on the horn does not move. The profile runs on.
	Jam bool

	// Friction is by how many degrees a move stops short of its goal, with the initial Position P Gain(84).
	Friction float64
	// Inertia is the moment of inertia on the horn, as a multiple of that of a bare one; 0 is 1.
	Inertia float64
	// Voltage is the input voltage in V; 0 is what the model is made for.
	Voltage float64

	// How many of the replies, 0 to 1, are lost, are 60 ms late, have a wrong bit, end too early, or come
	// behind bytes of noise.
	DropRate, LateRate, CorruptRate, TruncateRate, NoiseRate float64

	// DropNext is how many of the next replies are lost.
	DropNext int
	// CorruptNext is how many of the next replies, after those that are lost, arrive with a flipped bit.
	CorruptNext int
	// NoiseNext arrives once, in front of the next reply that is not lost.
	NoiseNext []byte

	// Unplug is how often the port disappears for 2 s, if the line is a [PTY]; 0 is never. The servo keeps
	// its power and goes on.
	Unplug time.Duration
	// Power is how often the servo loses its power for 2 s; 0 is never.
	Power time.Duration

	// Seed of the random numbers, which are the same for the same seed.
	Seed uint64
}

// SetFaults replaces all faults. What a jam or friction held back goes on at once to where it was to go.
func (s *Servo) SetFaults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(time.Now())
	s.setFaults(f)
}

func (s *Servo) setFaults(f Faults) {
	s.faults = f
	s.random = rand.New(rand.NewPCG(f.Seed, 0))
	s.supply = s.rating.volts
	if f.Voltage > 0 {
		s.supply = f.Voltage
	}
	inertia := 1.0
	if f.Inertia > 0 {
		inertia = f.Inertia
	}
	initial := func(r dynamixel.Register) float64 {
		e, _ := s.model.Entry(r)
		return float64(e.Initial)
	}
	// The initial Velocity Limit(44) is about the speed without load at the voltage that the model is for.
	fastest := initial(dynamixel.VelocityLimit) * velocityUnit * s.supply / s.rating.volts
	friction := f.Friction / 360 * dynamixel.StepsPerTurn * initial(dynamixel.PositionPGain) / 128
	s.plant = newPlant(fastest, inertia, friction, f.Jam)
	s.dark = time.Time{}
	if f.Power > 0 {
		s.dark = s.clock.Add(f.Power)
	}
}

// blackout takes the power away when that is due.
func (s *Servo) blackout(now time.Time) {
	for !s.dark.IsZero() && !now.Before(s.dark) {
		s.run(s.dark)
		s.release()
		s.boot(s.dark.Add(outage + bootTime))
		s.dark = s.dark.Add(s.faults.Power)
	}
}

// spoil turns a status into what comes out of the line, and says by how much it is late.
func (s *Servo) spoil(status []byte) ([]byte, time.Duration) {
	f := &s.faults
	happens := func(rate float64) bool { return rate > 0 && s.random.Float64() < rate }
	if len(status) == 0 || f.Mute {
		return nil, 0
	}
	if f.DropNext > 0 {
		f.DropNext--
		return nil, 0
	}
	if happens(f.DropRate) {
		return nil, 0
	}
	if f.CorruptNext > 0 {
		f.CorruptNext--
		status[len(status)-3] ^= 0x04 // the last byte before the CRC: a parameter, or else the error
	}
	if happens(f.CorruptRate) {
		status[s.random.IntN(len(status))] ^= 1 << s.random.IntN(8)
	}
	if happens(f.TruncateRate) {
		status = status[:1+s.random.IntN(len(status)-1)]
	}
	if happens(f.NoiseRate) {
		status = append(s.noise(1+s.random.IntN(8)), status...)
	}
	if len(f.NoiseNext) > 0 {
		status = append(f.NoiseNext[:len(f.NoiseNext):len(f.NoiseNext)], status...)
		f.NoiseNext = nil
	}
	if happens(f.LateRate) {
		return status, lateness
	}
	return status, 0
}

// noise is that many random bytes.
func (s *Servo) noise(count int) []byte {
	bytes := make([]byte, count)
	for i := range bytes {
		bytes[i] = byte(s.random.Uint32())
	}
	return bytes
}
