package simulator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// Config is what sets one simulated servo apart from another. The zero value is an XC330-T288 as it comes
// out of its box, with the horn at 0°.
type Config struct {
	// ID on the bus, 0 to 252. It leaves the factory with 1, which nil stands for.
	ID *byte
	// Model is the model number, 0 for that of the XC330-T288. One that [dynamixel.LookupModel] does not
	// know is an XC330-T288 that calls itself so.
	Model int32
	// Firmware is the version, 0 for 52.
	Firmware byte
	// Baud is one of [dynamixel.Bauds] in bits a second, 0 for 57600. [New] panics at any other.
	Baud int
	// Angle of the horn in degrees at power-on, folded into one turn.
	Angle float64
	// Faults that it has from the beginning.
	Faults Faults
	// Trace, if not nil, is called with every instruction packet that the servo gets, its own or one for
	// all, when it has been received completely and before it is carried out. The packet may be kept.
	Trace func(dynamixel.Packet)
}

// A Servo is a simulated servo. Its methods may be called concurrently.
type Servo struct {
	trace  func(dynamixel.Packet)
	model  dynamixel.Model
	rating rating

	mu sync.Mutex // held only briefly: nothing waits under it
	*memory
	state            // of control loop and horn, at the time of clock
	clock  time.Time // when the last period of the control loop ended
	plant  plant
	path   path    // position that is wanted, in the modes that control it
	ramp   ramp    // velocity that is wanted, in velocity mode
	halted bool    // no goal counts until a new one is written
	supply float64 // V without load
	heat   float64 // K above ambient
	strain time.Duration
	booted time.Time // since when it listens, and the origin of Realtime Tick
	fed    time.Time // when the last instruction fed the bus watchdog
	faults Faults
	random *rand.Rand
	dark   time.Time // when the power is lost next, if that is a fault

	registered []byte // parameters of a write that waits for its Action
	backup     []byte // of the control table
}

// New returns a servo that is powered and has finished booting.
func New(config Config) *Servo {
	number, firmware, rate := config.Model, config.Firmware, config.Baud
	if number == 0 {
		number = xc330
	}
	if firmware == 0 {
		firmware = 52
	}
	if rate == 0 {
		rate = 57600
	}
	baud := slices.Index(dynamixel.Bauds[:], rate)
	if baud < 0 {
		panic(fmt.Sprintf("simulator: no servo has a baud rate of %d", rate))
	}
	model, known := dynamixel.LookupModel(number)
	if !known {
		model, _ = dynamixel.LookupModel(xc330)
	}
	s := &Servo{trace: config.Trace, model: model, rating: rateOf(model.Number), memory: newMemory(model, firmware)}
	s.set(dynamixel.ModelNumber, number)
	s.set(dynamixel.BaudRate, int32(baud))
	if config.ID != nil {
		s.set(dynamixel.ID, int32(*config.ID))
	}
	now := time.Now()
	s.clock = now
	s.position = config.Angle / 360 * dynamixel.StepsPerTurn
	s.setFaults(config.Faults)
	s.boot(now)
	return s
}

// Register returns what the register holds now. It panics if the servo has no such register.
func (s *Servo) Register(r dynamixel.Register) int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(time.Now())
	return s.get(r)
}

// Turn is a hand that turns the horn by degrees, counterclockwise if positive. While torque is on the
// servo holds it, and nothing happens.
func (s *Servo) Turn(degrees float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(time.Now())
	if s.torque() {
		return
	}
	steps := degrees / 360 * dynamixel.StepsPerTurn
	if s.reversed() {
		steps = -steps
	}
	s.position += steps
}

// Fail sets bits of Hardware Error Status. Torque goes off if Shutdown(63) has one of them, and stays off
// until the servo is rebooted or power-cycled.
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#shutdown63
func (s *Servo) Fail(e dynamixel.HardwareError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(time.Now())
	s.fail(e)
}

// PowerCycle takes the power away and gives it back: RAM is lost, EEPROM is kept, the position is folded
// into one turn, and for a moment the servo is deaf.
func (s *Servo) PowerCycle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.advance(now)
	s.reboot(now)
}

func (s *Servo) torque() bool { return s.get(dynamixel.TorqueEnable) != 0 }

func (s *Servo) reversed() bool {
	return s.get(dynamixel.DriveMode)&dynamixel.DriveModeReverse != 0
}

// shut reports whether an error has shut the servo down.
func (s *Servo) shut() bool {
	return s.get(dynamixel.HardwareErrorStatus)&s.get(dynamixel.Shutdown) != 0
}

// tripped reports whether the bus watchdog has stopped the servo.
func (s *Servo) tripped() bool { return s.get(dynamixel.BusWatchdog) < 0 }
