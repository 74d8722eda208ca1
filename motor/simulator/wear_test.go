package simulator

import (
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// push lets a jammed servo push with that much PWM.
func (b *bench) push(pwm int32) {
	b.SetFaults(Faults{Jam: true})
	b.write(dynamixel.TorqueEnable, 1, 0)
	b.write(dynamixel.GoalPWM, pwm, 0)
	b.write(dynamixel.GoalPosition, 2000, 0)
}

func TestOverload(t *testing.T) {
	t.Run("switches torque off", func(t *testing.T) {
		onBench(t, Config{}, func(b *bench) {
			b.push(885)
			b.after(2990 * time.Millisecond)
			b.is(dynamixel.HardwareErrorStatus, 0)
			b.after(3020 * time.Millisecond)
			b.is(dynamixel.HardwareErrorStatus, int32(dynamixel.OverloadError))
			b.is(dynamixel.TorqueEnable, 0)
			b.is(dynamixel.PresentPWM, 0)
			b.is(dynamixel.PresentCurrent, 0)
			b.write(dynamixel.TorqueEnable, 1, dynamixel.Alert|dynamixel.ResultFail)
		})
	})
	t.Run("found late", func(t *testing.T) {
		onBench(t, Config{}, func(b *bench) {
			b.push(885)
			b.after(time.Hour)
			b.is(dynamixel.HardwareErrorStatus, int32(dynamixel.OverloadError))
			b.is(dynamixel.PresentTemperature, 31) // it has long cooled down
		})
	})
	t.Run("unless Shutdown says otherwise", func(t *testing.T) {
		onBench(t, Config{}, func(b *bench) {
			b.write(dynamixel.Shutdown, 0, 0)
			b.push(885)
			b.after(4 * time.Second)
			b.is(dynamixel.HardwareErrorStatus, int32(dynamixel.OverloadError))
			b.is(dynamixel.TorqueEnable, 1)
			b.is(dynamixel.PresentCurrent, 800)
		})
	})
	t.Run("not with less force", func(t *testing.T) {
		onBench(t, Config{}, func(b *bench) {
			b.push(600)
			b.after(10 * time.Second)
			b.is(dynamixel.HardwareErrorStatus, 0)
			b.is(dynamixel.PresentPWM, 600)
		})
	})
	t.Run("not with pauses", func(t *testing.T) {
		onBench(t, Config{}, func(b *bench) {
			b.push(885)
			b.after(2 * time.Second)
			b.write(dynamixel.GoalPWM, 800, 0)
			b.after(10 * time.Millisecond)
			b.write(dynamixel.GoalPWM, 885, 0)
			b.after(2 * time.Second)
			b.is(dynamixel.HardwareErrorStatus, 0)
		})
	})
	t.Run("not while it turns", func(t *testing.T) {
		onBench(t, Config{}, func(b *bench) {
			b.write(dynamixel.OperatingMode, dynamixel.ModePWM, 0)
			b.write(dynamixel.TorqueEnable, 1, 0)
			b.after(time.Minute)
			b.is(dynamixel.PresentPWM, 885)
			b.is(dynamixel.HardwareErrorStatus, 0)
		})
	})
}

// 60 K at full force are 60 · (720 / 885)² = 39.7 K, of which 5 minutes bring 63 %.
func TestTemperature(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.push(720)
		b.after(5 * time.Minute)
		b.is(dynamixel.PresentTemperature, 31+25)
		b.after(2 * time.Hour)
		b.is(dynamixel.PresentTemperature, 31+39)
		b.is(dynamixel.HardwareErrorStatus, 0)
		b.SetFaults(Faults{})
		time.Sleep(5 * time.Minute)
		b.is(dynamixel.PresentTemperature, 31+14)
		time.Sleep(3 * time.Hour)
		b.is(dynamixel.PresentTemperature, 31)
		if b.heat != 0 {
			t.Errorf("%v K are still to be computed", b.heat)
		}
	})
}

func TestOverheating(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.write(dynamixel.TemperatureLimit, 40, 0)
		b.push(600)
		b.after(time.Minute)
		b.is(dynamixel.HardwareErrorStatus, 0)
		b.after(5 * time.Minute)
		b.is(dynamixel.HardwareErrorStatus, int32(dynamixel.OverheatingError))
		b.is(dynamixel.TorqueEnable, 0)
	})
}

func TestInputVoltage(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.is(dynamixel.PresentInputVoltage, 120)
		b.push(885)
		b.after(time.Second)
		b.is(dynamixel.PresentInputVoltage, 117) // sags
		for voltage, want := range map[float64]int32{5.4: 0x01, 5.5: 0, 14: 0, 14.1: 0x01} {
			b.SetFaults(Faults{Voltage: voltage})
			b.PowerCycle()
			time.Sleep(time.Second)
			b.is(dynamixel.HardwareErrorStatus, want)
		}
	})
}

// The initial Shutdown(63) does not list the input voltage.
func TestInputVoltageLeavesTorqueOn(t *testing.T) {
	for shutdown, torque := range map[int32]int32{52: 1, 53: 0} {
		onBench(t, Config{}, func(b *bench) {
			b.write(dynamixel.Shutdown, shutdown, 0)
			b.write(dynamixel.TorqueEnable, 1, 0)
			b.SetFaults(Faults{Voltage: 15})
			b.is(dynamixel.HardwareErrorStatus, 0x01)
			b.is(dynamixel.TorqueEnable, torque)
		})
	}
}
