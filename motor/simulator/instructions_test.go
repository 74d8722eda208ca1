package simulator

import (
	"slices"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// The exchanges of https://emanual.robotis.com/docs/en/dxl/protocol2/, with the servo of those examples.
func TestTheExamplesOfTheProtocol(t *testing.T) {
	onBench(t, Config{Model: 1030, Firmware: 38, Angle: 166.0 / 4096 * 360}, func(b *bench) {
		pong := []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x07, 0x00, 0x55, 0x00, 0x06, 0x04, 0x26, 0x65, 0x5D}
		done := []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x04, 0x00, 0x55, 0x00, 0xA1, 0x0C}
		for _, e := range []struct {
			name              string
			instruction, want []byte
		}{
			{"ping", []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x03, 0x00, 0x01, 0x19, 0x4E}, pong},
			{"ping all", []byte{0xFF, 0xFF, 0xFD, 0x00, 0xFE, 0x03, 0x00, 0x01, 0x31, 0x42}, pong},
			{"read position", []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x07, 0x00, 0x02, 0x84, 0x00, 0x04, 0x00, 0x1D, 0x15},
				[]byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x08, 0x00, 0x55, 0x00, 0xA6, 0x00, 0x00, 0x00, 0x8C, 0xC0}},
			{"write goal", []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x09, 0x00, 0x03, 0x74, 0x00, 0x00, 0x02, 0x00, 0x00, 0xCA, 0x89}, done},
			{"reboot", []byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x03, 0x00, 0x08, 0x2F, 0x4E}, done},
		} {
			t.Run(e.name, func(t *testing.T) { sameBytes(t, b.raw(e.instruction...), e.want) })
		}
	})
}

// The initial values of https://emanual.robotis.com/docs/en/dxl/x/xc330-t288/.
func TestInitialValues(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		for _, e := range []struct {
			address, size uint16
			want          int32
		}{
			{0, 2, 1220}, {6, 1, 52}, {7, 1, 1}, {8, 1, 1}, {9, 1, 250}, {10, 1, 0}, {11, 1, 3}, {12, 1, 255},
			{13, 1, 2}, {20, 4, 0}, {24, 4, 10}, {31, 1, 70}, {32, 2, 140}, {34, 2, 55}, {36, 2, 885}, {38, 2, 910},
			{44, 4, 320}, {48, 4, 4095}, {52, 4, 0}, {60, 1, 0}, {62, 1, 255}, {63, 1, 52}, {64, 1, 0}, {65, 1, 0},
			{68, 1, 2}, {69, 1, 0}, {70, 1, 0}, {76, 2, 1200}, {78, 2, 40}, {80, 2, 0}, {82, 2, 0}, {84, 2, 900},
			{88, 2, 0}, {90, 2, 0}, {98, 1, 0}, {108, 4, 0}, {112, 4, 0}, {122, 1, 0}, {144, 2, 120}, {146, 1, 31},
		} {
			b.read(dynamixel.Register{Address: e.address, Size: e.size}, e.want)
		}
	})
}

func TestConfig(t *testing.T) {
	onBench(t, Config{ID: new(byte(1)), Model: 1060, Firmware: 46, Baud: 1_000_000, Angle: -90}, func(b *bench) {
		b.read(dynamixel.ModelNumber, 1060)
		b.read(dynamixel.FirmwareVersion, 46)
		b.read(dynamixel.BaudRate, 3)
		b.read(dynamixel.PresentPosition, 3072)
		b.read(dynamixel.GoalPosition, 3072)
		b.write(dynamixel.OperatingMode, 0, dynamixel.DataRangeError) // an XL430 has no current control
		b.write(dynamixel.OperatingMode, 5, dynamixel.DataRangeError)
		b.write(dynamixel.OperatingMode, 16, 0)
	})
}

func TestErrorsOfWrites(t *testing.T) {
	mode := func(m byte) []byte { return []byte{11, 0, m} }
	for _, e := range []struct {
		name   string
		torque bool
		params []byte // address and data
		want   dynamixel.StatusError
	}{
		{"EEPROM without torque", false, []byte{63, 0, 53}, 0},
		{"EEPROM under torque", true, []byte{63, 0, 53}, dynamixel.AccessError},
		{"RAM under torque", true, []byte{65, 0, 1}, 0},
		{"read-only", false, []byte{146, 0, 1}, dynamixel.AccessError},
		{"hardware error status is read-only", false, []byte{70, 0, 0}, dynamixel.AccessError},
		{"unused address", false, []byte{66, 0, 1}, dynamixel.AccessError},
		{"inside a register", false, []byte{117, 0, 1, 0, 0}, dynamixel.AccessError},
		{"beyond the table", false, []byte{0, 4, 1}, dynamixel.AccessError},
		{"into an unused address", false, []byte{65, 0, 1, 0}, dynamixel.AccessError},
		{"short", false, []byte{116, 0, 0, 2}, dynamixel.DataLengthError},
		{"no data", false, []byte{116, 0}, dynamixel.DataLengthError},
		{"no address", false, []byte{116}, dynamixel.DataLengthError},
		{"several registers", false, []byte{108, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0}, 0},
		{"goal 4095", false, []byte{116, 0, 0xFF, 0x0F, 0, 0}, 0},
		{"goal 4096", false, []byte{116, 0, 0, 0x10, 0, 0}, dynamixel.DataLimitError},
		{"goal -1", false, []byte{116, 0, 0xFF, 0xFF, 0xFF, 0xFF}, dynamixel.DataLimitError},
		{"profile velocity 32767", false, []byte{112, 0, 0xFF, 0x7F, 0, 0}, 0},
		{"profile velocity 32768", false, []byte{112, 0, 0, 0x80, 0, 0}, dynamixel.DataRangeError},
		{"profile velocity -1", false, []byte{112, 0, 0xFF, 0xFF, 0xFF, 0xFF}, dynamixel.DataRangeError},
		{"goal PWM -885", false, []byte{100, 0, 0x8B, 0xFC}, 0},
		{"goal PWM -886", false, []byte{100, 0, 0x8A, 0xFC}, dynamixel.DataRangeError},
		{"goal current 911", false, []byte{102, 0, 0x8F, 0x03}, dynamixel.DataRangeError},
		{"goal velocity 321", false, []byte{104, 0, 0x41, 0x01, 0, 0}, dynamixel.DataLimitError},
		{"torque 2", false, []byte{64, 0, 2}, dynamixel.DataRangeError},
		{"watchdog 128", false, []byte{98, 0, 128}, dynamixel.DataRangeError},
		{"id 253", false, []byte{7, 0, 253}, dynamixel.DataRangeError},
		{"drive mode 2", false, []byte{10, 0, 2}, dynamixel.DataRangeError},
		{"drive mode 13", false, []byte{10, 0, 13}, 0},
		{"mode 0", false, mode(0), 0}, {"mode 1", false, mode(1), 0}, {"mode 2", false, mode(2), dynamixel.DataRangeError},
		{"mode 4", false, mode(4), 0}, {"mode 5", false, mode(5), 0}, {"mode 16", false, mode(16), 0},
		{"mode 17", false, mode(17), dynamixel.DataRangeError},
		{"mode under torque", true, mode(4), dynamixel.AccessError},
	} {
		t.Run(e.name, func(t *testing.T) {
			onBench(t, Config{}, func(b *bench) {
				if e.torque {
					b.write(dynamixel.TorqueEnable, 1, 0)
				}
				piece := func() []byte { // what the table holds there
					if len(e.params) < 3 || e.params[1] != 0 {
						return nil
					}
					status, _ := b.send(dynamixel.AppendRead(nil, 1, uint16(e.params[0]), uint16(len(e.params)-2)))
					return slices.Clone(status.Params)
				}
				before := piece()
				status, ok := b.send(dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: dynamixel.Write, Params: e.params}))
				if !ok || status.Error != e.want {
					t.Fatalf("status %+v (%v), want error %#02x", status, ok, byte(e.want))
				}
				if e.want == 0 {
					before = e.params[2:]
				}
				sameBytes(t, piece(), before)
			})
		})
	}
}

func TestGoalKeepsWithinThePositionLimits(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.MaxPositionLimit, 2000, 0)
		b.write(dynamixel.MinPositionLimit, 1000, 0)
		b.write(dynamixel.GoalPosition, 2001, dynamixel.DataLimitError)
		b.write(dynamixel.GoalPosition, 999, dynamixel.DataLimitError)
		b.write(dynamixel.GoalPosition, 2000, 0)
		b.write(dynamixel.OperatingMode, 4, 0)
		b.write(dynamixel.GoalPosition, 1_048_576, dynamixel.DataRangeError)
		b.write(dynamixel.GoalPosition, -1_048_575, 0)
	})
}

func TestReads(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		for _, e := range []struct {
			name          string
			address, size uint16
			want          dynamixel.StatusError
		}{
			{"122 to 146 in one go", 122, 25, 0},
			{"the whole table", 0, 228, 0},
			{"beyond the table", 228, 1, dynamixel.AccessError},
			{"across the end", 227, 2, dynamixel.AccessError},
			{"nothing", 122, 0, dynamixel.DataLengthError},
		} {
			t.Run(e.name, func(t *testing.T) {
				status, ok := b.send(dynamixel.AppendRead(nil, 1, e.address, e.size))
				size := int(e.size)
				if e.want != 0 {
					size = 0
				}
				if !ok || status.Error != e.want || len(status.Params) != size {
					t.Errorf("status %+v (%v), want error %#02x and %d bytes", status, ok, byte(e.want), size)
				}
			})
		}
	})
}

func TestUnknownInstructionIsAnError(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		// The Action instruction of the manual's example.
		status, ok := b.send([]byte{0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x03, 0x00, 0x05, 0x02, 0xCE})
		if !ok || status.Error != dynamixel.InstructionError {
			t.Errorf("status %+v (%v), want error 0x02", status, ok)
		}
	})
}

func TestBroadcast(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		all := dynamixel.BroadcastID
		if got := b.raw(dynamixel.AppendRead(nil, all, 132, 4)...); len(got) != 0 {
			t.Errorf("a read of all servos is answered with % X", got)
		}
		if got := b.raw(dynamixel.AppendWrite(nil, all, dynamixel.LED, 1)...); len(got) != 0 {
			t.Errorf("a write to all servos is answered with % X", got)
		}
		b.read(dynamixel.LED, 1)
		if got := b.raw(dynamixel.AppendPacket(nil, dynamixel.Packet{ID: all, Instruction: dynamixel.Reboot})...); len(got) != 0 {
			t.Errorf("a reboot of all servos is answered with % X", got)
		}
		time.Sleep(time.Second)
		b.read(dynamixel.LED, 0)
	})
}

func TestWhatIsForOthersIsIgnored(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		for name, bytes := range map[string][]byte{
			"another id":         dynamixel.AppendWrite(nil, 2, dynamixel.LED, 1),
			"a status":           dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: dynamixel.Status}),
			"a wrong CRC":        {0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x03, 0x00, 0x01, 0x19, 0x4F},
			"noise":              {0x00, 0xFF, 0xFF, 0x17},
			"a long LEN's begin": {0xFF, 0xFF, 0xFD, 0x00, 0x01, 0xFF, 0xFF, 0x03},
		} {
			if got := b.raw(bytes...); len(got) != 0 {
				t.Errorf("%s is answered with % X", name, got)
			}
		}
		b.is(dynamixel.LED, 0)
		if len(b.heard()) != 0 {
			t.Errorf("traced %v", b.heard())
		}
		b.read(dynamixel.ID, 1) // all that did not put it out of step
	})
}

func TestTraceComesBeforeTheInstruction(t *testing.T) {
	var led []int32
	var s *Servo
	s = New(Config{Trace: func(dynamixel.Packet) { led = append(led, s.Register(dynamixel.LED)) }})
	write := dynamixel.Packet{ID: 1, Instruction: dynamixel.Write, Params: []byte{65, 0, 1}}
	s.execute(write)
	s.execute(write)
	if !slices.Equal(led, []int32{0, 1}) {
		t.Errorf("the LED was %v when the writes were traced, want [0 1]", led)
	}
}

func TestTraceIsInOrder(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.LED, 1, 0)
		b.write(dynamixel.LED, 7, dynamixel.DataRangeError)
		b.read(dynamixel.LED, 1)
		b.send(dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 254, Instruction: dynamixel.Ping}))
		if got, want := instructions(b.heard()), []dynamixel.Instruction{3, 3, 2, 1}; !slices.Equal(got, want) {
			t.Errorf("traced %v, want %v", got, want)
		}
		sameBytes(t, b.heard()[0].Params, []byte{65, 0, 1}) // still what it was, after the parser moved on
	})
}

func TestStatusReturnLevel(t *testing.T) {
	ping := dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: dynamixel.Ping})
	read := dynamixel.AppendRead(nil, 1, 65, 1)
	write := dynamixel.AppendWrite(nil, 1, dynamixel.LED, 1)
	reboot := dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: dynamixel.Reboot})
	action := dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: dynamixel.Action})
	for level, want := range [][5]bool{{true}, {true, true}, {true, true, true, true, true}} {
		onBench(t, Config{}, func(b *bench) {
			b.raw(dynamixel.AppendWrite(nil, 1, dynamixel.StatusReturnLevel, int32(level))...)
			var got [5]bool
			for i, instruction := range [][]byte{ping, read, write, action, reboot} {
				if i == len(got)-1 {
					b.is(dynamixel.LED, 1) // the write was obeyed, answered or not
				}
				_, got[i] = b.send(instruction)
			}
			if got != want {
				t.Errorf("level %d: ping, read, write, action, reboot are answered: %v, want %v", level, got, want)
			}
		})
	}
}

func TestAlert(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.TorqueEnable, 1, 0)
		b.Fail(dynamixel.InputVoltageError) // not among the initial Shutdown(63) bits
		b.is(dynamixel.TorqueEnable, 1)
		b.write(dynamixel.LED, 1, dynamixel.Alert)
		b.write(dynamixel.LED, 2, dynamixel.Alert|dynamixel.DataRangeError)
		b.Fail(dynamixel.OverloadError)
		b.read(dynamixel.HardwareErrorStatus, 0x21)
		b.read(dynamixel.TorqueEnable, 0)
		b.write(dynamixel.TorqueEnable, 1, dynamixel.Alert|dynamixel.ResultFail)
		b.read(dynamixel.TorqueEnable, 0)

		reboot := dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: dynamixel.Reboot})
		if status, ok := b.send(reboot); !ok || status.Error != dynamixel.Alert {
			t.Errorf("reboot: status %+v (%v), want a bare alert", status, ok)
		}
		time.Sleep(300 * time.Millisecond)
		b.read(dynamixel.HardwareErrorStatus, 0)
		b.write(dynamixel.TorqueEnable, 1, 0)
	})
}

func TestReboot(t *testing.T) {
	for name, restart := range map[string]func(*bench) time.Time{
		"instruction": func(b *bench) time.Time {
			if _, ok := b.send(dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: dynamixel.Reboot})); !ok {
				b.t.Error("no status")
			}
			return b.received()
		},
		"power cycle": func(b *bench) time.Time { b.PowerCycle(); return time.Now() },
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, Config{}, func(b *bench) {
				b.write(dynamixel.OperatingMode, 4, 0)
				b.write(dynamixel.TemperatureLimit, 60, 0)
				b.write(dynamixel.ProfileVelocity, 300, 0)
				b.write(dynamixel.LED, 1, 0)
				b.write(dynamixel.TorqueEnable, 1, 0)
				b.write(dynamixel.GoalPosition, 5000, 0)
				time.Sleep(2 * time.Second)
				b.read(dynamixel.PresentPosition, 5000)

				boots := restart(b)
				ping := dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: dynamixel.Ping})
				time.Sleep(time.Until(boots.Add(290 * time.Millisecond)))
				heard := len(b.heard())
				b.port.Write(ping) // is received at 291.7 ms
				time.Sleep(time.Until(boots.Add(300 * time.Millisecond)))
				if len(b.heard()) != heard {
					t.Error("it hears before it has booted")
				}
				if got := b.raw(ping...); len(got) == 0 {
					t.Error("no answer after 300 ms")
				}
				b.read(dynamixel.PresentPosition, 5000-4096)
				b.read(dynamixel.GoalPosition, 5000-4096)
				b.read(dynamixel.TorqueEnable, 0)
				b.read(dynamixel.LED, 0)
				b.read(dynamixel.ProfileVelocity, 0)
				b.read(dynamixel.OperatingMode, 4)
				b.read(dynamixel.TemperatureLimit, 60)
			})
		})
	}
}

func TestStartupTorqueOnHoldsTheHorn(t *testing.T) {
	onBench(t, Config{Angle: 90}, func(b *bench) {
		b.write(dynamixel.StartupConfiguration, dynamixel.StartupTorqueOn, 0)
		b.PowerCycle()
		time.Sleep(time.Second)
		b.read(dynamixel.TorqueEnable, 1)
		b.read(dynamixel.PresentPosition, 1024)
		b.read(dynamixel.Moving, 0)
	})
}

func TestChangingTheModeResetsTheProfile(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		set := func() {
			b.write(dynamixel.ProfileVelocity, 50, 0)
			b.write(dynamixel.ProfileAcceleration, 10, 0)
			b.write(dynamixel.GoalPWM, 100, 0)
			b.write(dynamixel.PositionPGain, 1000, 0)
		}
		set()
		b.write(dynamixel.OperatingMode, 3, 0) // the one it is in
		b.read(dynamixel.ProfileVelocity, 50)
		b.write(dynamixel.OperatingMode, 4, 0)
		b.read(dynamixel.ProfileVelocity, 0)
		b.read(dynamixel.ProfileAcceleration, 0)
		b.read(dynamixel.GoalPWM, 885)
		b.read(dynamixel.PositionPGain, 900)
	})
}
