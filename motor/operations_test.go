package motor_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
	"github.com/plate-resort/plate-resort/motor/simulator"
)

func TestStatusHoldsWhatIsKnownOfTheServo(t *testing.T) {
	for _, model := range []struct {
		number         int32
		name           string
		current, loads bool
		limit          int // of the velocity
	}{
		{1220, "XC330-T288", true, false, 320}, {1020, "XM430-W350", true, false, 200},
		{1060, "XL430-W250", false, true, 265}, {4711, "model 4711", false, false, 320},
	} {
		onRig(t, simulator.Config{Model: model.number, Firmware: 46, Angle: 90}, func(t *testing.T, r *rig) {
			r.connect()
			s := r.motor.Status()
			if s.Model != model.name || s.ModelNumber != int(model.number) || s.Firmware != 46 || s.SpeedLimit != model.limit {
				t.Errorf("%+v", s)
			}
			reading := s.Reading
			if reading.Angle != 90 || reading.Voltage != 12 || reading.Temperature < 20 || reading.Velocity != 0 ||
				(reading.Current != nil) != model.current || (reading.Load != nil) != model.loads {
				t.Errorf("%s: %+v", model.name, reading)
			}
		})
	}
}

func TestRefreshReadsTheServoNow(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		time.Sleep(5 * time.Second)
		if err := r.motor.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if age := time.Since(r.motor.Status().Reading.At); age > 100*time.Millisecond {
			t.Errorf("the reading is %v old", age)
		}
	})
}

func TestSpeedIsThatOfTheNextMoveAndSurvivesAReconnection(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		if err := r.motor.SetSpeed(t.Context(), 100); err != nil {
			t.Fatal(err)
		}
		r.holds(dynamixel.ProfileVelocity, 100)
		began := time.Now()
		r.moveTo(180)
		// 180° at 100 × 0.229 rpm, which is 137.4°/s, take 1.31 s.
		if took := time.Since(began); took < 1300*time.Millisecond || took > 1310*time.Millisecond+lag+100*time.Millisecond {
			t.Errorf("the move took %v", took)
		}
		r.unplug()
		r.servo.PowerCycle()
		r.await("disconnected", disconnected)
		failed(t, r.motor.SetSpeed(t.Context(), 50), device.CodeMotorDisconnected)
		r.plug()
		r.await("connected", connected)
		r.holds(dynamixel.ProfileVelocity, 100)
	})
}

func TestMoveThatNamesItsTolerance(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		jam := func() { // 2° short of 90°
			time.Sleep(lag + 88*time.Second*10/687)
			r.servo.SetFaults(simulator.Faults{Jam: true})
		}
		go jam()
		if _, err := r.motor.MoveTo(t.Context(), plain(90)); err != nil {
			t.Errorf("without a tolerance a move may end where friction leaves it: %v", err)
		}
		r.servo.SetFaults(simulator.Faults{})
		r.moveTo(0)
		go jam()
		_, err := r.motor.MoveTo(t.Context(), device.Move{Goal: 90, Tolerance: 1, Window: 1})
		failed(t, err, device.CodeStalled)
	})
}

func TestMoveThatNamesItsTimeout(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		began := time.Now()
		_, err := r.motor.MoveTo(t.Context(), device.Move{Goal: 350, Tolerance: 0.5, Window: 3, Timeout: time.Second})
		failed(t, err, device.CodeTimeout)
		if took := time.Since(began); took < time.Second || took > 1200*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		r.isHeldInPlace()
	})
}

func TestRebootClearsAHardwareErrorAndGivesEverythingBack(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		r.servo.Fail(dynamixel.OverloadError)
		if err := r.motor.Refresh(t.Context()); err != nil {
			t.Errorf("reading the servo is what was asked for: %v", err)
		}
		if s := r.motor.Status(); len(s.HardwareError) != 1 || s.HardwareError[0] != "overload" || s.Torque {
			t.Errorf("%+v", s)
		}
		if err := r.motor.Reboot(t.Context(), 800*time.Millisecond, true); err != nil {
			t.Fatal(err)
		}
		if s := r.motor.Status(); len(s.HardwareError) > 0 || !s.Torque || s.Connection != device.Connected {
			t.Errorf("%+v", s)
		}
		r.holds(dynamixel.ProfileVelocity, 50)
		r.isHeldInPlace()
		time.Sleep(time.Minute)
		if n := len(r.attempts()); n != 1 {
			t.Errorf("%d connections", n)
		}
		r.moveTo(90)
	})
}

func TestRebootWithoutTheSettings(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		if err := r.motor.Reboot(t.Context(), 800*time.Millisecond, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.holds(dynamixel.TorqueEnable, 0)
		if s := r.motor.Status(); s.Torque || s.Connection != device.Connected {
			t.Errorf("%+v", s)
		}
		r.reset(0)
		r.holds(dynamixel.ProfileVelocity, 50)
		r.moveTo(90)
	})
}

func TestRebootUnderAStopLeavesTorqueOff(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		press := r.press()
		if err := r.motor.Reboot(t.Context(), 800*time.Millisecond, true); err != nil {
			t.Fatal(err)
		}
		r.holds(dynamixel.TorqueEnable, 0)
		r.reset(press.Number)
		r.moveTo(90)
	})
}

func TestReleaseSwitchesTorqueOffAndClosesThePort(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.connect()
		if err := r.motor.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.holds(dynamixel.TorqueEnable, 0)
		if !r.ports[0].closed.Load() {
			t.Error("the port is open")
		}
		if s := r.motor.Status(); s.Connection != device.Released || s.Torque {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		if n := len(r.attempts()); n != 1 {
			t.Errorf("it was opened %d times", n)
		}
		if err := r.motor.Connect(t.Context(), device.Line{}); err != nil {
			t.Fatal(err)
		}
		r.isHeldInPlace()
		r.moveTo(90)
	})
}

func TestReleaseBeforeRunIsKept(t *testing.T) {
	onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
		r.motor = motor.New(r.config)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		_ = r.motor.Release(over)
		ctx, end := context.WithCancel(context.Background())
		r.end = end
		go func() { r.ended <- r.motor.Run(ctx) }()
		time.Sleep(time.Minute)
		if n := len(r.attempts()); n != 0 {
			t.Errorf("the port was opened %d times", n)
		}
		if err := r.motor.Connect(t.Context(), device.Line{}); err != nil {
			t.Fatal(err)
		}
		r.moveTo(90)
	})
}

func TestConnectToAnotherServo(t *testing.T) {
	onRig(t, simulator.Config{ID: new(byte(7))}, func(t *testing.T, r *rig) {
		r.run()
		r.await("disconnected", disconnected)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		failed(t, r.motor.Connect(ctx, device.Line{Port: "other"}), device.CodeMotorDisconnected)
		if err := r.motor.Connect(t.Context(), device.Line{ID: new(7)}); err != nil {
			t.Fatal(err)
		}
		r.moveTo(90)
		n := len(r.attempts())
		if err := r.motor.Connect(t.Context(), device.Line{ID: new(7)}); err != nil || len(r.attempts()) != n {
			t.Errorf("connecting to the same servo: %v, %d connections", err, len(r.attempts())-n)
		}
	})
}

// What is asked of a servo that boots fails; the reboot does not.
func TestOperationsDuringAReboot(t *testing.T) {
	for name, ask := range map[string]func(m *motor.Motor) error{
		"refresh": func(m *motor.Motor) error { return m.Refresh(context.Background()) },
		"speed":   func(m *motor.Motor) error { return m.SetSpeed(context.Background(), 70) },
	} {
		t.Run(name, func(t *testing.T) {
			onRig(t, simulator.Config{}, func(t *testing.T, r *rig) {
				r.connect()
				done := make(chan error, 1)
				go func() { done <- r.motor.Reboot(t.Context(), 800*time.Millisecond, true) }()
				time.Sleep(50 * time.Millisecond)
				failed(t, ask(r.motor), device.CodeMotorDisconnected)
				if err := <-done; err != nil {
					t.Error(err)
				}
				if len(r.attempts()) != 1 {
					t.Error("the port was opened anew")
				}
				r.moveTo(90)
			})
		})
	}
}

// Of another servo nothing is known until it answers.
func TestConnectingElsewhereForgetsTheServo(t *testing.T) {
	onRig(t, simulator.Config{Angle: 90}, func(t *testing.T, r *rig) {
		r.connect()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		failed(t, r.motor.Connect(ctx, device.Line{ID: new(9)}), device.CodeMotorDisconnected)
		if s := r.motor.Status(); s.Torque || s.Reading != nil || s.Model != "" || !strings.Contains(s.Problem, "no servo with id 9 answers at 57600 baud") {
			t.Errorf("the status is %+v", s)
		}
	})
}
