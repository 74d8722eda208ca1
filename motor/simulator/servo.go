package simulator

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// bootTime is how long a servo hears and says nothing after a reboot or power-up. The manual gives no
// number.
const bootTime = 300 * time.Millisecond

// Config is what sets one simulated servo apart from another. The zero value is an XC330-T288 as it comes
// out of its box, with the horn at 0°.
type Config struct {
	// ID on the bus, 0 for 1, as it leaves the factory.
	ID byte
	// Model is the model number, 0 for that of the XC330-T288. Another one changes the number and the
	// operating modes; all else stays that of the XC330-T288.
	Model int32
	// Firmware is the version, 0 for 52.
	Firmware byte
	// Baud is one of [dynamixel.Bauds] in bits a second, 0 for 57600. [New] panics at any other.
	Baud int
	// Angle of the horn in degrees at power-on, folded into one turn.
	Angle float64
	// Trace, if not nil, is called with every instruction packet that the servo gets, its own or one for
	// all, when it has been received completely and before it is carried out. The packet may be kept.
	Trace func(dynamixel.Packet)
}

// A Servo is a simulated servo. Its methods may be called concurrently.
type Servo struct {
	trace func(dynamixel.Packet)

	mu     sync.Mutex // held only briefly: nothing waits under it
	table  [tableSize]byte
	path   path      // where the profile wants the horn: the goal of the motor's control loop
	horn   float64   // where the horn is held while it is jammed, in steps
	booted time.Time // since when it listens, and the origin of Realtime Tick
	fed    time.Time // when the last instruction fed the bus watchdog
	faults Faults
}

// New returns a servo that is powered and has finished booting.
func New(config Config) *Servo {
	if config.Baud == 0 {
		config.Baud = 57600
	}
	baud := slices.Index(dynamixel.Bauds[:], config.Baud)
	if baud < 0 {
		panic(fmt.Sprintf("simulator: no servo has a baud rate of %d", config.Baud))
	}
	s := &Servo{trace: config.Trace}
	for _, e := range controlTable {
		s.set(e.Register, e.initial)
	}
	s.set(dynamixel.BaudRate, int32(baud))
	if config.ID != 0 {
		s.set(dynamixel.ID, int32(config.ID))
	}
	if config.Model != 0 {
		s.set(dynamixel.ModelNumber, config.Model)
	}
	if config.Firmware != 0 {
		s.set(dynamixel.FirmwareVersion, int32(config.Firmware))
	}
	s.path = resting(config.Angle / 360 * dynamixel.StepsPerTurn)
	s.boot(time.Now())
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
	now := time.Now()
	s.advance(now)
	if s.torque() {
		return
	}
	steps := degrees / 360 * dynamixel.StepsPerTurn
	if s.get(dynamixel.DriveMode)&dynamixel.DriveModeReverse != 0 {
		steps = -steps
	}
	position, _ := s.at(now)
	s.path = resting(position + steps)
}

// Fail sets bits of Hardware Error Status. Torque goes off if Shutdown(63) has one of them, and stays off
// until the servo is rebooted or power-cycled.
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#shutdown63
func (s *Servo) Fail(e dynamixel.HardwareError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.advance(now)
	s.set(dynamixel.HardwareErrorStatus, s.get(dynamixel.HardwareErrorStatus)|int32(e))
	if s.shut() {
		s.setTorque(false, now)
	}
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

func (s *Servo) get(r dynamixel.Register) int32    { return r.Get(s.table[:], 0) }
func (s *Servo) set(r dynamixel.Register, v int32) { r.Put(s.table[:], 0, v) }

func (s *Servo) torque() bool { return s.get(dynamixel.TorqueEnable) != 0 }

// shut reports whether an error has shut the servo down.
func (s *Servo) shut() bool {
	return s.get(dynamixel.HardwareErrorStatus)&s.get(dynamixel.Shutdown) != 0
}

// tripped reports whether the bus watchdog has stopped the servo.
func (s *Servo) tripped() bool { return s.get(dynamixel.BusWatchdog) < 0 }

// reboot boots the servo after the time that this takes.
func (s *Servo) reboot(now time.Time) {
	position, _ := s.at(now)
	s.path = resting(position)
	s.boot(now.Add(bootTime))
}

// boot gives RAM its initial values and folds the position into one turn, whatever the operating mode:
// https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/#present-position132. The manual leaves the first
// goal open; here it is where the horn stands, so that Startup Torque On holds it.
func (s *Servo) boot(at time.Time) {
	position, _ := s.at(at)
	s.path = resting(fold(position))
	for _, e := range controlTable {
		if e.Address >= ramStart {
			s.set(e.Register, e.initial)
		}
	}
	s.resetGoals()
	s.booted, s.fed = at, at
	s.refresh(at)
	s.set(dynamixel.GoalPosition, s.get(dynamixel.PresentPosition))
	if s.get(dynamixel.StartupConfiguration)&dynamixel.StartupTorqueOn != 0 {
		s.setTorque(true, at)
	}
}
