package device_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

func TestOFFReleasesTheMotorAndONConnectsIt(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(connection("off", "OFF"))
		r.expect("off completed")
		s := r.View().State
		if s.Status != device.StatusRequiresInit || s.Connection != device.Released || s.Torque ||
			s.Message != "Motor released: nothing moves until it is connected again" {
			t.Errorf("released is %+v", s)
		}
		r.submit(home("1"))
		r.expect("1 rejected motor_disconnected")
		if got, want := r.last("1").Error.Message, "the motor is released; connect it first"; got != want {
			t.Errorf("the message is %q, want %q", got, want)
		}

		r.submit(connection("on", "ON"))
		r.expect("on completed")
		r.status(device.StatusReady)
		r.submit(home("2"))
		r.expect("2 queued", "2 running")
	})
}

func TestOFFCancelsWhatRunsAndEndsWhatWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"), hotel("2", "B"), reboot("3"))
		r.expect("1 queued", "1 running", "2 queued", "3 queued")
		r.submit(connection("off", "OFF"))
		r.expect("2 cancelled motor_disconnected", "3 cancelled motor_disconnected")
		r.call(devicetest.Release, 0) // torque stays on until the carousel has come to rest
		if r.move(1).Context.Err() == nil {
			t.Error("the move is not cancelled")
		}
		time.Sleep(time.Second)
		r.move(1).Fail(device.Errorf(device.CodeTimeout, "halted"))
		r.expect("1 cancelled cancelled", "off completed")
		r.call(devicetest.Release, 1)
	})
}

// From the moment OFF has come, nothing begins that the release would end.
func TestNothingBeginsOnceOFFHasCome(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"))
		r.submit(connection("off", "OFF"), home("2"), reboot("3"), speed("4", 10))
		r.status(device.StatusRequiresInit)
		for _, id := range []string{"2", "3", "4"} {
			if got := brief(r.last(id)); got != id+" rejected motor_disconnected" {
				t.Error(got)
			}
		}
		r.move(1).Fail(device.Errorf(device.CodeTimeout, "halted"))
		r.move(1)
		r.call(devicetest.Release, 1)
	})
}

func TestOFFReleasesAMotorThatDoesNotHalt(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"))
		r.submit(connection("off", "OFF"))
		time.Sleep(immediateTimeout)
		r.call(devicetest.Release, 1)
		if got := brief(r.last("off")); got != "off failed timeout" {
			t.Error(got)
		}
		if c := r.View().State.Connection; c != device.Released {
			t.Errorf("the connection is %s", c)
		}
	})
}

func TestONHandsTheLineOn(t *testing.T) {
	port, baud, id, on := "/dev/ttyUSB7", 1000000, 0, "ON"
	for name, c := range map[string]struct {
		parameters device.Parameters
		want       device.Line
	}{
		"nothing":  {device.Parameters{State: &on}, device.Line{}},
		"port":     {device.Parameters{State: &on, Port: &port}, device.Line{Port: port}},
		"baud":     {device.Parameters{State: &on, Baud: &baud}, device.Line{Baud: baud}},
		"motor_id": {device.Parameters{State: &on, MotorID: &id}, device.Line{ID: &id}},
		"all": {device.Parameters{State: &on, Port: &port, Baud: &baud, MotorID: &id},
			device.Line{Port: port, Baud: baud, ID: &id}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.submit(command("1", device.ConnectionOperation, c.parameters))
				r.expect("1 completed")
				if diff := cmp.Diff(c.want, r.call(devicetest.Connect, 1).Line); diff != "" {
					t.Errorf("the line differs (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestONThatIsNotAnsweredFailsAndGoesOnLooking(t *testing.T) {
	for name, c := range map[string]struct {
		command device.Command
		timeout time.Duration
	}{
		"by default":           {connection("on", "ON"), 5 * time.Second},
		"with timeout_seconds": {within(12, connection("on", "ON")), 12 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.submit(connection("off", "OFF"))
				r.motor.Lose("cable out")
				r.expect("off completed")
				r.submit(c.command)
				time.Sleep(c.timeout - 1)
				r.expect()
				time.Sleep(time.Nanosecond)
				r.expect("on failed motor_disconnected")
				r.status(device.StatusRequiresInit)

				r.motor.Find()
				r.status(device.StatusReady)
			})
		})
	}
}

func TestONThatIsAnsweredInTimeCompletes(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.Lose("cable out")
		r.submit(connection("on", "ON"))
		time.Sleep(4 * time.Second)
		r.motor.Find()
		r.expect("on completed")
	})
}

func TestTheLastOfONAndOFFHolds(t *testing.T) {
	for _, c := range []struct {
		states []string
		want   device.Connection
	}{
		{[]string{"ON", "OFF"}, device.Released},
		{[]string{"OFF", "ON"}, device.Connected},
		{[]string{"OFF", "ON", "OFF", "ON", "OFF"}, device.Released},
		{[]string{"ON", "OFF", "ON", "OFF", "ON"}, device.Connected},
	} {
		t.Run(fmt.Sprint(c.states), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				var commands []device.Command
				for i, state := range c.states {
					commands = append(commands, connection(fmt.Sprint(i), state))
				}
				r.submit(commands...)
				if got := r.View().State.Connection; got != c.want {
					t.Errorf("the connection is %s, want %s", got, c.want)
				}
				saved, _ := r.store.Load()
				if saved.Released != (c.want == device.Released) {
					t.Errorf("stored is released %v", saved.Released)
				}
			})
		})
	}
}

// A connection that is given up before its turn does not let the next one past what came before.
func TestAConnectionThatIsGivenUpKeepsTheOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.HoldHalts(true)
		r.submit(home("1"))
		r.submit(connection("off", "OFF"), connection("on", "ON"), connection("again", "ON"))
		r.call(devicetest.Connect, 0) // the release waits for the move, and they for the release
		r.move(1).Fail(device.Errorf(device.CodeTimeout, "halted"))
		r.settle()
		if calls := r.motor.Calls(); calls[0].Method != devicetest.Release {
			t.Errorf("the first call is %s", calls[0].Method)
		}
		r.status(device.StatusReady)
		if got := brief(r.last("again")); got != "again completed" {
			t.Error(got)
		}
	})
}

// Who sent ON for a port that was wrong need not wait until it has failed.
func TestTheNextConnectionDoesNotWaitForOneThatIsNotAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.Lose("no such port")
		r.submit(connection("on", "ON"))
		r.submit(connection("off", "OFF"))
		r.expect("on cancelled cancelled", "off completed")
	})
}

func TestAShutdownDoesNotWaitForAConnection(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.Lose("cable out")
		r.submit(within(3600, connection("on", "ON")))
		r.cancel()
		if took := r.waitEnd(time.Minute); took != 0 {
			t.Errorf("Run returned after %v", took)
		}
		r.expect("on interrupted interrupted")
	})
}

func TestTheReleaseSurvivesARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(connection("off", "OFF"))
		r.shutDown()

		motor := devicetest.NewUnconnected()
		r = newRig(t, motor, r.store)
		if len(motor.Calls(devicetest.Release)) != 1 { // before it could connect
			t.Fatal("the motor was not released before Run")
		}
		if s := r.View().State; s.Status != device.StatusRequiresInit || s.Connection != device.Released {
			t.Errorf("the first state is %s, %s", s.Status, s.Connection)
		}
		r.start()
		motor.Find()
		r.status(device.StatusRequiresInit)
		r.submit(home("1"))
		r.expect("1 rejected motor_disconnected")
		r.submit(connection("on", "ON"))
		r.status(device.StatusReady)

		r = r.restart(devicetest.New())
		r.status(device.StatusReady)
		r.call(devicetest.Release, 0)
	})
}

// The motor goes on being looked for: what was asked for is the connection, answered or not.
func TestONThatWasNotAnsweredIsRecorded(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(connection("off", "OFF"))
		r.motor.Lose("cable out")
		r.submit(connection("on", "ON"))
		time.Sleep(immediateTimeout)
		r = r.restart(devicetest.New())
		r.status(device.StatusReady)
	})
}

func TestAReleaseThatCouldNotBeStoredIsStoredLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(disk)
		r := startRig(t, devicetest.New(), d)
		d.fail(errDisk)
		r.submit(connection("off", "OFF"))
		r.stop("stop")
		d.fail(nil)
		time.Sleep(time.Second)
		r.settle()
		if saved, _ := d.Load(); !saved.Released || !saved.Latched {
			t.Errorf("stored is released %v, latched %v", saved.Released, saved.Latched)
		}
	})
}

func TestAStopWhileReleasedLatches(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.submit(connection("off", "OFF"))
		r.stop("stop")
		r.expect("off completed", "stop failed motor_disconnected")
		r.submit(connection("on", "ON"))
		r.status(device.StatusEStop)
		if r.View().State.Torque {
			t.Error("torque came on with the connection")
		}
	})
}
