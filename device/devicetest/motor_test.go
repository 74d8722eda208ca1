package devicetest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

func code(t *testing.T, err error) device.Code {
	t.Helper()
	var coded *device.Error
	if !errors.As(err, &coded) {
		t.Fatalf("%v has no code", err)
	}
	return coded.Code
}

// move calls MoveTo, and returns the call and what will receive its error.
func move(ctx context.Context, m *devicetest.Motor, goal device.Degrees) (*devicetest.Move, <-chan error) {
	ended := make(chan error, 1)
	go func() {
		_, err := m.MoveTo(ctx, device.Move{Goal: goal})
		ended <- err
	}()
	synctest.Wait()
	moves := m.Moves()
	return moves[len(moves)-1], ended
}

func TestAMoveEndsOnceAndAsTheTestSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := devicetest.New()
		call, ended := move(t.Context(), m, 109)
		if call.Goal != 109 || call.Refused != nil || call.Ended() || !m.Status().Reading.Moving {
			t.Errorf("the call is %+v", call)
		}
		if !call.ArriveAt(109.4) || call.Arrive() || call.Fail(errors.New("late")) {
			t.Error("the first end is not the only one")
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if s := m.Status().Reading; s.Angle != 109.4 || s.Moving {
			t.Errorf("the status is %+v", s)
		}
	})
}

func TestAMoveIsHaltedWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := devicetest.New()
		cause := errors.New("cause")
		ctx, cancel := context.WithCancelCause(t.Context())
		_, ended := move(ctx, m, 109)
		cancel(cause)
		if err := <-ended; err != cause || m.Status().Reading.Moving {
			t.Errorf("ended with %v", err)
		}

		m.HoldHalts(true)
		call, ended := move(ctx, m, 109)
		if synctest.Wait(); call.Ended() {
			t.Error("a held move was halted")
		}
		call.Arrive()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestNothingMovesThatCannot(t *testing.T) {
	for want, arrange := range map[device.Code]func(*devicetest.Motor){
		device.CodeEmergencyStopped:  func(m *devicetest.Motor) { m.Stop() },
		device.CodeMotorDisconnected: func(m *devicetest.Motor) { m.Lose("gone") },
		device.CodeMotorFault:        func(m *devicetest.Motor) { m.Fault("overload") },
	} {
		m := devicetest.New()
		arrange(m)
		_, err := m.MoveTo(t.Context(), device.Move{})
		if got := code(t, err); got != want || m.Moves()[0].Refused == nil {
			t.Errorf("ended with %s, want %s", got, want)
		}
	}
}

func TestAResetReleasesOnlyWhenItNamesTheLatestPress(t *testing.T) {
	m := devicetest.New()
	first, second := m.Stop(), m.Stop()
	if first.Number != 1 || second.Number != 2 || <-first.Done != nil || <-second.Done != nil {
		t.Fatalf("the presses are %d and %d", first.Number, second.Number)
	}
	if got := code(t, m.Reset(t.Context(), 1)); got != device.CodeEmergencyStopped || !m.Held() || m.Status().Torque {
		t.Errorf("a reset of the first press ended with %s, held %v", got, m.Held())
	}
	if err := m.Reset(t.Context(), 2); err != nil || m.Held() || !m.Status().Torque {
		t.Errorf("a reset of both ended with %v, held %v", err, m.Held())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m.Stop()
	if got := code(t, m.Reset(ctx, 3)); got != device.CodeTimeout || !m.Held() {
		t.Errorf("a reset without time ended with %s, held %v", got, m.Held())
	}
}

func TestHeldCallsAreAnsweredByTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := devicetest.New()
		m.HoldStops(true)
		m.HoldResets(true)
		press := m.Stop()
		if len(press.Done) != 0 || !m.Status().Torque {
			t.Error("a held stop was answered")
		}
		if !m.Presses()[0].Answer(nil) || m.Presses()[0].Answer(nil) || <-press.Done != nil || m.Status().Torque {
			t.Error("the stop was not answered once")
		}

		ended := make(chan error, 1)
		go func() { ended <- m.Reset(t.Context(), 1) }()
		synctest.Wait()
		reset := m.Resets()[0]
		if reset.Press != 1 || reset.Answered() {
			t.Errorf("the reset is %+v", reset)
		}
		later := m.Stop()
		reset.Answer(nil)
		if got := code(t, <-ended); got != device.CodeEmergencyStopped {
			t.Errorf("the reset of an older press ended with %s", got)
		}
		m.Lose("gone")
		if got := code(t, <-later.Done); got != device.CodeMotorDisconnected {
			t.Errorf("the stop ended with %s", got)
		}
		m.Find()
		if m.Status().Torque {
			t.Error("torque came on while a stop is held")
		}
	})
}
