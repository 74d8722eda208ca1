package motor_test

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// Promises are what the driver keeps whatever goes wrong, as far as the servo can tell from what it hears.
type promises struct {
	*rig

	mu     sync.Mutex
	broken []string
	goal   int32   // of the move under way, in steps, or -1
	been   []place // lately
	stop   stopState
	isOff  bool // and the servo has said that torque is off
}

// A stopState is how far a stop has come.
type stopState int

const (
	released stopState = iota
	pressed            // but torque off is not written yet
	written            // but the servo has not heard it yet
	held
)

// A place is where the carousel was at a time, and how fast.
type place struct {
	at       time.Time
	position int32   // steps
	velocity float64 // rpm
}

// A tap is a port whose packets are looked at as the driver sends and receives them. The servo may hear them later,
// where it still has another one to answer.
type tap struct {
	motor.Port
	*promises
	parser *dynamixel.Parser
}

func (t tap) Read(b []byte) (int, error) {
	n, err := t.Port.Read(b)
	t.parser.Feed(b[:n])
	for packet, ok := t.parser.Next(); ok; packet, ok = t.parser.Next() {
		t.received(packet)
	}
	return n, err
}

func (t tap) ResetInputBuffer() error {
	t.parser.Reset()
	return t.Port.ResetInputBuffer()
}

func (t tap) Write(b []byte) (int, error) {
	var p dynamixel.Parser
	p.Feed(b)
	packet, _ := p.Next()
	t.sent(instruction{Packet: packet})
	return t.Port.Write(b)
}

// memory is how old a position may be that is taken for the present one: a reply that is late has come by then, or
// has been asked for again.
const memory = 500 * time.Millisecond

func (p *promises) breaks(format string, args ...any) {
	p.broken = append(p.broken, fmt.Sprintf(format, args...))
}

// all are the promises that have been broken.
func (p *promises) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broken
}

// begin says that a move is under way.
func (p *promises) begin(goal device.Degrees) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.goal = min(int32(math.Round(float64(goal)*4096/360)), 4095)
}

// end says that none is.
func (p *promises) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.goal = -1
}

// press says that the emergency stop is pressed now.
func (p *promises) press() { p.stopIs(pressed) }

// release says that it is reset.
func (p *promises) release() { p.stopIs(released) }

func (p *promises) stopIs(s stopState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stop, p.isOff = s, false
}

// sent checks what the driver sends: the first packet after a stop is torque off.
func (p *promises) sent(i instruction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != pressed {
		return
	}
	if !i.writes(dynamixel.TorqueEnable, 0) {
		p.breaks("the first packet after the stop was pressed is %+v", i.Packet)
	}
	p.stop = written
}

// received notices that the servo says of a register of one byte that it is 0.
func (p *promises) received(packet dynamixel.Packet) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if packet.Instruction == dynamixel.Status && len(packet.Params) == 1 && packet.Params[0] == 0 {
		p.isOff = p.stop == written || p.stop == held
	}
}

// readBack reports whether the servo has said that its torque is off since the stop was pressed.
func (p *promises) readBack() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.isOff
}

// hear checks an instruction before the servo carries it out.
func (p *promises) hear(i instruction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.been) > 1 && i.at.Sub(p.been[1].at) > memory {
		p.been = p.been[1:]
	}
	p.been = append(p.been, place{i.at, i.position, float64(p.servo.Register(dynamixel.PresentVelocity)) * dynamixel.RPMPerUnit})
	if goal, ok := i.write(dynamixel.GoalPosition); ok && !p.isPresent(goal) && (p.goal < 0 || fold(goal) != p.goal) {
		p.breaks("the goal position %d is written at %d, and that of the move is %d", goal, i.position, p.goal)
	}
	if !p.config.Shortest && i.torque == 1 && (i.position < -40 || i.position > 4135) {
		p.breaks("with torque the carousel is at %d", i.position)
	}
	if p.stop == written && i.writes(dynamixel.TorqueEnable, 0) {
		p.stop = held
	}
	if p.stop != held {
		return
	}
	if goal, ok := i.write(dynamixel.GoalPosition); ok {
		p.breaks("the goal position %d is written while a stop is held", goal)
	}
	if i.writes(dynamixel.TorqueEnable, 1) {
		p.breaks("torque comes on while a stop is held")
	}
}

// isPresent reports whether a goal is where the carousel lately was, give or take what it brakes by.
func (p *promises) isPresent(goal int32) bool {
	least, most, fastest := p.been[0].position, p.been[0].position, 0.
	for _, b := range p.been {
		least, most, fastest = min(least, b.position), max(most, b.position), max(fastest, math.Abs(b.velocity))
	}
	way := int32(3)
	if a := float64(p.config.Acceleration) * dynamixel.RPM2PerUnit; a > 0 {
		way += int32(fastest * fastest / (2 * a) * 4096)
	}
	for _, turned := range []int32{0, fold(least) - least, fold(most) - most} {
		if goal >= least+turned-way && goal <= most+turned+way {
			return true
		}
	}
	return false
}
