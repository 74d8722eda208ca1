package motor_test

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

// disturbances befall one transaction, or two of them in a row.
var disturbances = []struct {
	name   string
	faults simulator.Faults
	spares func(instruction) bool // what is not disturbed
}{
	{"a lost reply", simulator.Faults{DropNext: 1}, nil},
	{"two lost replies", simulator.Faults{DropNext: 2}, nil},
	{"a damaged reply", simulator.Faults{CorruptNext: 1}, nil},
	{"a lost and a damaged reply", simulator.Faults{DropNext: 1, CorruptNext: 1}, nil},
	{"noise", noise(0x00, 0xFF, 0x55, 0xFF, 0xFF, 0xFD, 0xFF), nil},
	{"the header of a long packet", noise(longHeader...), nil},
	{"the header of a packet of plausible length", noise(0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x14, 0x00, 0x55), nil},
	// What a servo with the id 2 answers to writes and to reads of four bytes.
	{"another servo's reply", noise(0xFF, 0xFF, 0xFD, 0x00, 0x02, 0x04, 0x00, 0x55, 0x00, 0x29, 0x0C), nil},
	{"another servo's error", noise(0xFF, 0xFF, 0xFD, 0x00, 0x02, 0x04, 0x00, 0x55, 0x07, 0x38, 0x8C), nil},
	{"another servo's position", noise(0xFF, 0xFF, 0xFD, 0x00, 0x02, 0x08, 0x00, 0x55, 0x00, 0x1F, 0x08, 0x00, 0x00, 0xBA, 0xBE), nil},
	{"a reply of another length", noise(0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x08, 0x00, 0x55, 0x00, 0xA6, 0x00, 0x00, 0x00, 0x8C, 0xC0),
		func(i instruction) bool { return i.Instruction == dynamixel.Read && i.Params[2] == 4 }},
}

func noise(b ...byte) simulator.Faults { return simulator.Faults{NoiseNext: b} }

// longHeader is how a packet of 65,535 bytes would begin.
var longHeader = []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0xFF, 0xFF, 0x55}

// Each transaction of connecting, of a move and of its end is disturbed once: nobody notices.
func TestDisturbedTransactionsAreRepeated(t *testing.T) {
	for _, d := range disturbances {
		t.Run(d.name, func(t *testing.T) {
			atEveryInstruction(t, func(t *testing.T, n int, end func()) {
				onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
					r.onInstruction(func(i int, heard instruction) {
						if i == n && (d.spares == nil || !d.spares(heard)) {
							r.servo.SetFaults(d.faults)
						}
					})
					r.connect()
					r.moveTo(10)
					r.isHeldInPlace()
					if attempts := len(r.attempts()); attempts != 1 {
						t.Errorf("%d connections", attempts)
					}
					if lines := r.log.lines(); len(lines) > 0 {
						t.Errorf("logged %q", lines)
					}
					if r.count() <= n {
						end()
					}
				})
			})
		})
	}
}

func TestRepeatedLossesAreSurvivedAsLongAsSomethingArrives(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.onInstruction(func(i int, _ instruction) {
			if i%3 == 0 { // two of three replies
				r.servo.SetFaults(simulator.Faults{DropNext: 2})
			}
		})
		r.connect()
		r.moveTo(90)
		r.press()
		if attempts := len(r.attempts()); attempts != 1 {
			t.Errorf("%d connections", attempts)
		}
	})
}

// Noise in front of a reply does not make the driver miss it.
func TestNoiseCostsNoRepetition(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		before := r.count()
		r.servo.SetFaults(noise(longHeader...))
		time.Sleep(11 * time.Second)
		samples := 0
		for _, i := range r.since(before) {
			if i.samples() {
				samples++
			}
		}
		if samples != 1 {
			t.Errorf("the servo was read %d times", samples)
		}
	})
}

// A reply that is late belongs to a transaction that has been given up, and not to the next one. Three
// of the registers that are read while connecting have the same size.
func TestLateReplyIsNotTakenForTheNext(t *testing.T) {
	atEveryInstruction(t, func(t *testing.T, n int, end func()) {
		onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
			var late latePort
			r.wrapPort = func(p motor.Port) motor.Port {
				late.Port = p
				return &late
			}
			r.onInstruction(func(i int, _ instruction) {
				if i == n {
					late.withhold.Store(true)
				}
			})
			r.connect()
			if written := eepromWrites(r.instructions()); written != 0 {
				t.Errorf("%d registers were written because of what others hold", written)
			}
			if r.count() <= n {
				end()
			}
		})
	})
}

// A latePort can keep a reply back until the driver has given it up.
type latePort struct {
	motor.Port
	withhold atomic.Bool
	kept     []byte // used by one goroutine
}

func (p *latePort) Read(b []byte) (int, error) {
	if n := copy(b, p.kept); n > 0 {
		p.kept = nil
		return n, nil
	}
	n, err := p.Port.Read(b)
	if n > 0 && p.withhold.CompareAndSwap(true, false) {
		p.kept = bytes.Clone(b[:n])
		time.Sleep(200 * time.Millisecond)
		return 0, nil
	}
	return n, err
}

func (p *latePort) ResetInputBuffer() error {
	p.kept = nil
	return p.Port.ResetInputBuffer()
}

func TestRepliesThatComeTwice(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.wrapPort = func(p motor.Port) motor.Port { return doublePort{p} }
		r.connect()
		if written := eepromWrites(r.instructions()); written != 0 {
			t.Errorf("%d registers were written because of what others hold", written)
		}
		r.moveTo(90)
	})
}

// A doublePort returns twice what it reads.
type doublePort struct{ motor.Port }

func (p doublePort) Read(b []byte) (int, error) {
	n, err := p.Port.Read(b[:len(b)/2])
	return n + copy(b[n:], b[:n]), err
}

// An adapter of two wires hears what it says itself.
func TestEchoIsPassedOver(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.wrapPort = func(p motor.Port) motor.Port { return &echoPort{Port: p} }
		r.connect()
		r.moveTo(90)
		r.press()
	})
}

// An echoPort returns what is written before what arrives. It is used by one goroutine.
type echoPort struct {
	motor.Port
	echo []byte
}

func (p *echoPort) Write(b []byte) (int, error) {
	n, err := p.Port.Write(b)
	p.echo = append(p.echo, b[:n]...)
	return n, err
}

func (p *echoPort) Read(b []byte) (int, error) {
	if n := copy(b, p.echo); n > 0 {
		p.echo = p.echo[n:]
		return n, nil
	}
	return p.Port.Read(b)
}

// Replies arrive byte by byte, and reads return early with nothing, as a serial port may do.
func TestRepliesInPieces(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.wrapPort = func(p motor.Port) motor.Port { return &crumblingPort{Port: p} }
		r.connect()
		r.moveTo(90)
	})
}

// A crumblingPort reads and writes a byte at a time. It is used by one goroutine.
type crumblingPort struct {
	motor.Port
	reads int
}

func (p *crumblingPort) Write(b []byte) (int, error) { return p.Port.Write(b[:1]) }

func (p *crumblingPort) Read(b []byte) (int, error) {
	if p.reads++; p.reads%3 == 0 {
		return 0, nil
	}
	return p.Port.Read(b[:1])
}

// A servo that refuses a goal says so, and is not asked again.
func TestRefusedInstructionIsNotRepeated(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.prepare(setting{dynamixel.MaxPositionLimit, 2000})
		r.connect()
		before := r.count()
		o := <-r.begin(t.Context(), 300)
		failed(t, o.err, device.CodeSerialError)
		goals := 0
		for _, i := range r.since(before) {
			if i.writes(dynamixel.GoalPosition, 3413) {
				goals++
			}
		}
		if goals != 1 {
			t.Errorf("the goal was written %d times", goals)
		}
		r.isHeldInPlace()
		r.moveTo(90)
	})
}
