package device_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// healthy is inBubble with a device whose last health is old enough for the next one.
func healthy(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	inBubble(t, func(t *testing.T, r *rig) {
		r.motor.SetReading(func(m *device.Reading) { m.Angle, m.Temperature, m.Voltage = 100, 40, 12 })
		time.Sleep(2 * time.Second)
		r.settle()
		test(t, r)
	})
}

// renewed reports whether there is another health than before do.
func (r *rig) renewed(do func()) bool {
	r.settle()
	before := r.View().Health
	do()
	r.settle()
	return r.View().Health != before
}

func TestTheStatusOfTheHealth(t *testing.T) {
	for _, c := range []struct {
		name     string
		arrange  func(r *rig)
		status   string
		warnings []string
	}{
		{"good", func(*rig) {}, "ok", nil},
		{"warned", func(r *rig) {
			r.motor.SetReading(func(m *device.Reading) { m.Temperature, m.Current, m.Voltage = 71, new(-2000.5), 9.9 })
		}, "warning", []string{
			"Temperature 71 °C is above 70 °C", "Current 2000.5 mA is above 2000 mA", "Voltage 9.9 V is below 10 V",
		}},
		{"too much voltage", reading(func(m *device.Reading) { m.Voltage = 14.1 }), "warning",
			[]string{"Voltage 14.1 V is above 14 V"}},
		{"at its limits", reading(func(m *device.Reading) { m.Temperature, m.Current, m.Voltage = 70, new(2000.0), 10 }), "ok", nil},
		{"a warning of the device's own", warned, "ok", nil}, // it is not the motor's
		{"fault", faulty, "error", nil},
		{"fault and warned", func(r *rig) {
			faulty(r)
			r.motor.SetReading(func(m *device.Reading) { m.Temperature = 90 })
		}, "error", []string{"Temperature 90 °C is above 70 °C"}},
		{"lost", lost, "unknown", nil},
		{"lost and warned", func(r *rig) {
			r.motor.SetReading(func(m *device.Reading) { m.Temperature = 90 })
			lost(r)
		}, "unknown", []string{"Temperature 90 °C is above 70 °C"}},
		{"fault and lost", func(r *rig) { faulty(r); lost(r) }, "error", nil},
		{"released", released, "unknown", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				c.arrange(r)
				r.settle()
				h := r.View().Health
				if h.Status != c.status || !slices.Equal(h.Warnings, c.warnings) || h.Warnings == nil || h.HardwareError == nil {
					t.Errorf("the status is %s with %q, want %s with %q", h.Status, h.Warnings, c.status, c.warnings)
				}
			})
		})
	}
}

func TestBeforeTheFirstContactTheHealthIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRig(t, devicetest.NewUnconnected(), new(device.Memory))
		if h := r.View().Health; h.Status != "unknown" || h.Temperature != nil || h.Voltage != nil || h.Angle != nil || h.Velocity != nil {
			t.Errorf("the health is %+v", h)
		}
		if !r.renewed(r.motor.Find) {
			t.Error("the first contact was not announced")
		}
	})
}

// A value that has changed by its noise is not worth a message, and by more it is.
func TestAValueIsPublishedWhenItHasChangedByMoreThanItsNoise(t *testing.T) {
	for name, c := range map[string]struct {
		before, within, beyond func(m *device.Reading)
	}{
		"angle":      {nil, func(m *device.Reading) { m.Angle = 100.2 }, func(m *device.Reading) { m.Angle = 100.21 }},
		"angle back": {nil, func(m *device.Reading) { m.Angle = 99.8 }, func(m *device.Reading) { m.Angle = 99.79 }},
		"angle over 0°": {func(m *device.Reading) { m.Angle = 0.05 },
			func(m *device.Reading) { m.Angle = 359.85 }, func(m *device.Reading) { m.Angle = 359.84 }},
		"temperature":  {nil, func(m *device.Reading) { m.Temperature = 41 }, func(m *device.Reading) { m.Temperature = 42 }},
		"cooler":       {nil, func(m *device.Reading) { m.Temperature = 39 }, func(m *device.Reading) { m.Temperature = 38 }},
		"voltage":      {nil, func(m *device.Reading) { m.Voltage = 12.1 }, func(m *device.Reading) { m.Voltage = 12.2 }},
		"less voltage": {nil, func(m *device.Reading) { m.Voltage = 11.9 }, func(m *device.Reading) { m.Voltage = 11.8 }},
		"current": {func(m *device.Reading) { m.Current = new(100.0) },
			func(m *device.Reading) { m.Current = new(120.0) }, func(m *device.Reading) { m.Current = new(120.1) }},
		"load": {func(m *device.Reading) { m.Load = new(-10.0) },
			func(m *device.Reading) { m.Load = new(-12.0) }, func(m *device.Reading) { m.Load = new(-12.1) }},
		"velocity": {func(m *device.Reading) { m.Velocity = 10 },
			func(m *device.Reading) { m.Velocity = 11 }, func(m *device.Reading) { m.Velocity = 11.1 }},
		"current for the first time": {nil, func(m *device.Reading) {}, func(m *device.Reading) { m.Current = new(0.0) }},
	} {
		t.Run(name, func(t *testing.T) {
			healthy(t, func(t *testing.T, r *rig) {
				if c.before != nil {
					r.motor.SetReading(c.before)
					time.Sleep(2 * time.Second)
				}
				if r.renewed(func() { r.motor.SetReading(c.within); time.Sleep(2 * time.Second) }) {
					t.Error("noise was published")
				}
				if !r.renewed(func() { r.motor.SetReading(c.beyond) }) {
					t.Error("a change was not published")
				}
			})
		})
	}
}

// Noise that adds up is a change: what counts is the value that was published.
func TestSlowChangesAreNotLost(t *testing.T) {
	healthy(t, func(t *testing.T, r *rig) {
		published := 0
		for i := range 30 {
			time.Sleep(time.Second)
			if r.renewed(func() {
				r.motor.SetReading(func(m *device.Reading) { m.Temperature = 41 + i })
			}) {
				published++
			}
		}
		if published != 15 {
			t.Errorf("of 30 °C, %d were published, want each second one", published)
		}
	})
}

func TestValuesArePublishedOnceASecond(t *testing.T) {
	healthy(t, func(t *testing.T, r *rig) {
		published, last := 0, r.View().Health.UpdatedAt
		for i := range 500 {
			r.motor.SetReading(func(m *device.Reading) { m.Velocity, m.Angle = 30, device.Degrees(100+i%200) })
			time.Sleep(20 * time.Millisecond)
			r.settle()
			at := r.View().Health.UpdatedAt
			if at == last {
				continue
			}
			if published > 0 && at.Sub(last) != time.Second { // that it turns is published at once
				t.Fatalf("published after %v", at.Sub(last))
			}
			published, last = published+1, at
		}
		if published < 10 || published > 11 {
			t.Errorf("in 10 s, %d were published", published)
		}
	})
}

// The motor says nothing more, and what it said last is published all the same.
func TestTheLastValueIsPublishedAfterThePause(t *testing.T) {
	healthy(t, func(t *testing.T, r *rig) {
		r.motor.SetReading(func(m *device.Reading) { m.Temperature = 50 })
		r.settle()
		time.Sleep(300 * time.Millisecond)
		r.motor.SetReading(func(m *device.Reading) { m.Temperature = 60 })
		time.Sleep(700*time.Millisecond - 1)
		r.settle()
		if got := *r.View().Health.Temperature; got != 50 {
			t.Errorf("too early: %d °C", got)
		}
		time.Sleep(time.Nanosecond)
		r.settle()
		if got := *r.View().Health.Temperature; got != 60 {
			t.Errorf("after the pause: %d °C", got)
		}
	})
}

func TestWhatIsOfAnotherKindIsPublishedAtOnce(t *testing.T) {
	for name, c := range map[string]struct{ before, change func(r *rig) }{
		"lost":  {nil, lost},
		"fault": {nil, faulty},
		"another fault": {faulty, func(r *rig) {
			r.motor.Set(func(s *device.MotorStatus) { s.HardwareError = []string{"overheating"} })
		}},
		"warning":      {reading(func(m *device.Reading) { m.Temperature = 70 }), reading(func(m *device.Reading) { m.Temperature = 71 })},
		"warning gone": {reading(func(m *device.Reading) { m.Temperature = 71 }), reading(func(m *device.Reading) { m.Temperature = 70 })},
		"another warning": {reading(func(m *device.Reading) { m.Temperature, m.Current = 70, new(2001.0) }),
			reading(func(m *device.Reading) { m.Temperature, m.Current = 71, new(2000.0) })},
		"the other end of the voltage": {reading(func(m *device.Reading) { m.Voltage = 9.9 }),
			reading(func(m *device.Reading) { m.Voltage = 14.1 })},
		"turns": {nil, reading(func(m *device.Reading) { m.Velocity = 0.5 })},
		"rests": {reading(func(m *device.Reading) { m.Velocity = 0.5 }), reading(func(m *device.Reading) { m.Velocity = 0 })},
		"another servo": {nil, func(r *rig) {
			r.motor.Set(func(s *device.MotorStatus) { s.ModelNumber, s.Model = 1020, "XM430-W350" })
		}},
		"other firmware": {nil, func(r *rig) { r.motor.Set(func(s *device.MotorStatus) { s.Firmware = 53 }) }},
	} {
		t.Run(name, func(t *testing.T) {
			healthy(t, func(t *testing.T, r *rig) {
				if c.before != nil {
					c.before(r)
					time.Sleep(2 * time.Second)
				}
				r.motor.SetReading(func(m *device.Reading) { m.Angle += 10 }) // the pause begins
				if !r.renewed(func() { c.change(r) }) {
					t.Error("it was not published at once")
				}
			})
		})
	}
}

// A warning that says another number is still the same one.
func TestAWarningWithAnotherNumberIsOfTheSameKind(t *testing.T) {
	healthy(t, func(t *testing.T, r *rig) {
		r.motor.SetReading(func(m *device.Reading) { m.Temperature = 71 })
		time.Sleep(2 * time.Second)
		if r.renewed(func() { r.motor.SetReading(func(m *device.Reading) { m.Temperature = 72 }) }) {
			t.Error("71 °C and 72 °C are published")
		}
	})
}

// The health is never older than a minute, whatever came before, and though the motor says nothing of note.
func TestTheHealthIsPublishedEveryMinute(t *testing.T) {
	for _, after := range []time.Duration{0, 10 * time.Second, 59 * time.Second, 61 * time.Second} {
		t.Run(fmt.Sprint("change after ", after), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				time.Sleep(after)
				r.motor.SetReading(func(m *device.Reading) { m.Temperature = 50 })
				time.Sleep(2 * time.Second)
				r.settle()
				for range 5 {
					at := r.View().Health.UpdatedAt
					time.Sleep(20 * time.Second)
					r.motor.SetReading(func(m *device.Reading) { m.Angle += 0.01 })
					time.Sleep(time.Until(at.Add(time.Minute)) - 1)
					r.settle()
					if got := r.View().Health.UpdatedAt; got != at {
						t.Fatalf("the next one came after %v", got.Sub(at))
					}
					time.Sleep(time.Nanosecond)
					r.settle()
					h := r.View().Health
					if age := h.UpdatedAt.Sub(at); age != time.Minute {
						t.Fatalf("the next one came after %v", age)
					}
					if h.UptimeSeconds != int64(time.Since(start).Seconds()) {
						t.Errorf("the uptime is %d s", h.UptimeSeconds)
					}
				}
			})
		})
	}
}

// start is when time begins in a bubble.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func TestANewHealthIsAnnounced(t *testing.T) {
	healthy(t, func(t *testing.T, r *rig) {
		for len(r.Changed()) > 0 {
			<-r.Changed()
		}
		state := r.View().State
		time.Sleep(time.Minute)
		synctest.Wait()
		select {
		case <-r.Changed():
		default:
			t.Error("nothing was announced after a minute")
		}
		if r.View().State != state {
			t.Error("the state was replaced though nothing has changed")
		}
	})
}
