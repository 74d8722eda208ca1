package simulator

import (
	"bytes"
	"errors"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

func TestParseFaults(t *testing.T) {
	for text, want := range map[string]Faults{
		"":                             {},
		" , ":                          {},
		"jam":                          {Jam: true},
		"friction=2.5,drop=0.02, mute": {Friction: 2.5, DropRate: 0.02, Mute: true},
		"late=0.1,corrupt=0.2,truncate=0.3,noise=1,echo":     {LateRate: 0.1, CorruptRate: 0.2, TruncateRate: 0.3, NoiseRate: 1, Echo: true},
		"inertia=20,voltage=11.1,unplug=30s,power=1m,seed=7": {Inertia: 20, Voltage: 11.1, Unplug: 30 * time.Second, Power: time.Minute, Seed: 7},
	} {
		if got, err := ParseFaults(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseFaults(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestParseFaultsSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string][]string{
		"smoke=1":           {`no fault "smoke"`, "friction", "unplug"},
		"Jam":               {`no fault "Jam"`},
		"drop":              {`"drop"`, "0 to 1"},
		"drop=1.5":          {`"1.5"`, "0 to 1"},
		"drop=-0.1":         {"0 to 1"},
		"drop=NaN":          {"0 to 1"},
		"friction=91":       {"0 to 90"},
		"inertia=0":         {"0.1 to 1000"},
		"jam=2":             {"no value"},
		"unplug=30":         {`"30"`, "30s"},
		"power=3s":          {"4s"},
		"seed=-1":           {"whole number"},
		"jam,jam":           {"twice"},
		"smoke,drop=2,fire": {"smoke", "0 to 1", "fire"},
	} {
		f, err := ParseFaults(text)
		if err == nil || !reflect.DeepEqual(f, Faults{}) {
			t.Errorf("ParseFaults(%q) = %+v, %v", text, f, err)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("ParseFaults(%q): %q says nothing of %q", text, err, part)
			}
		}
	}
}

func TestEveryFaultHasANameAndAMeaning(t *testing.T) {
	text := FaultNames()
	for _, f := range faults {
		if !strings.Contains(text, "  "+f.name) || !strings.Contains(text, f.meaning) {
			t.Errorf("%s is missing in\n%s", f.name, text)
		}
	}
}

// replies pings that often and returns what came back each time, and when.
func (b *bench) replies(count int) (all [][]byte, took []time.Duration) {
	ping := dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: dynamixel.Ping})
	for range count {
		start := time.Now()
		all = append(all, slices.Clone(b.raw(ping...)))
		took = append(took, time.Since(start))
		time.Sleep(time.Second)
	}
	return all, took
}

func TestRatesOfFaults(t *testing.T) {
	const count = 2000
	good := dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: dynamixel.Status, Params: []byte{0xC4, 0x04, 52}})
	for name, e := range map[string]struct {
		faults Faults
		spoilt func(reply []byte, took time.Duration) bool
	}{
		"drop": {Faults{DropRate: 0.1}, func(r []byte, _ time.Duration) bool { return len(r) == 0 }},
		"late": {Faults{LateRate: 0.1}, func(r []byte, took time.Duration) bool {
			return took > 60*time.Millisecond && took < 66*time.Millisecond && bytes.Equal(r, good)
		}},
		"corrupt": {Faults{CorruptRate: 0.1}, func(r []byte, _ time.Duration) bool {
			return len(r) == len(good) && !bytes.Equal(r, good)
		}},
		"truncate": {Faults{TruncateRate: 0.1}, func(r []byte, _ time.Duration) bool {
			return len(r) > 0 && len(r) < len(good) && bytes.HasPrefix(good, r)
		}},
		"noise": {Faults{NoiseRate: 0.1}, func(r []byte, _ time.Duration) bool {
			return len(r) > len(good) && bytes.HasSuffix(r, good)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, Config{Faults: e.faults}, func(b *bench) {
				all, took := b.replies(count)
				spoilt := 0
				for i, r := range all {
					switch {
					case e.spoilt(r, took[i]):
						spoilt++
					case !bytes.Equal(r, good) || took[i] > 10*time.Millisecond:
						t.Fatalf("after %v: % X", took[i], r)
					}
				}
				// Six times the standard deviation of 0.1 either way.
				if share := float64(spoilt) / count; math.Abs(share-0.1) > 0.04 {
					t.Errorf("%v of the replies", share)
				}
			})
		})
	}
}

func TestFaultsAreReproducible(t *testing.T) {
	history := func(seed uint64) (all [][]byte) {
		faults := Faults{DropRate: 0.2, CorruptRate: 0.2, TruncateRate: 0.2, NoiseRate: 0.2, Seed: seed}
		onBench(t, Config{Faults: faults}, func(b *bench) { all, _ = b.replies(50) })
		return all
	}
	if !reflect.DeepEqual(history(1), history(1)) {
		t.Error("the same seed makes other faults")
	}
	if reflect.DeepEqual(history(1), history(2)) {
		t.Error("another seed makes the same faults")
	}
}

func TestEcho(t *testing.T) {
	onBench(t, Config{Faults: Faults{Echo: true}}, func(b *bench) {
		led := dynamixel.AppendWrite(nil, 1, dynamixel.LED, 1)
		start := time.Now()
		sameBytes(t, b.raw(led...), led)
		if took := time.Since(start); took != 13*10*time.Second/57600 {
			t.Errorf("it hears itself after %v", took)
		}
		if got := b.raw(); len(got) == 0 || got[7] != byte(dynamixel.Status) {
			t.Errorf("and then % X", got)
		}
		b.is(dynamixel.LED, 1)
	})
}

func TestHostAtAnotherRate(t *testing.T) {
	ping := dynamixel.AppendPacket(nil, dynamixel.Packet{ID: 1, Instruction: dynamixel.Ping})
	onBench(t, Config{}, func(b *bench) {
		b.port.SetBaud(57600)
		if len(b.raw(ping...)) == 0 {
			t.Error("no answer at the right rate")
		}
		b.port.SetBaud(115200)
		if got := b.raw(ping...); len(got) > 0 {
			t.Errorf("at another rate it is answered with % X", got)
		}
		// A host that changes its rate while a status is on its way hears noise.
		b.port.SetBaud(57600)
		b.port.Write(ping)
		time.Sleep(3 * time.Millisecond)
		b.port.SetBaud(9600)
		var parser dynamixel.Parser
		parser.Feed(b.raw())
		if status, ok := parser.Next(); ok {
			t.Errorf("at another rate it understands %+v", status)
		}
	})
}

// The status still comes at the old rate.
func TestBaudRateRegister(t *testing.T) {
	onBench(t, Config{}, func(b *bench) {
		b.port.SetBaud(57600)
		start := time.Now()
		b.write(dynamixel.BaudRate, 3, 0)
		if took, want := time.Since(start), (13+11)*10*time.Second/57600+500*time.Microsecond; took < want-2 || took > want+2 {
			t.Errorf("the write took %v, want %v", took, want)
		}
		if got := b.raw(dynamixel.AppendRead(nil, 1, 8, 1)...); len(got) > 0 {
			t.Errorf("it still understands the old rate: % X", got)
		}
		b.port.SetBaud(1_000_000)
		b.read(dynamixel.BaudRate, 3)
		b.PowerCycle()
		time.Sleep(time.Second)
		b.read(dynamixel.BaudRate, 3)
	})
}

func TestPowerIsLostEverySoLong(t *testing.T) {
	onBench(t, Config{Faults: Faults{Power: 10 * time.Second}}, func(b *bench) {
		start := time.Now()
		for n := range time.Duration(3) {
			b.write(dynamixel.ProfileVelocity, 50, 0)
			time.Sleep(time.Until(start.Add((n+1)*10*time.Second - time.Millisecond)))
			b.is(dynamixel.ProfileVelocity, 50)
			time.Sleep(2 * time.Millisecond)
			b.is(dynamixel.ProfileVelocity, 0)
			for range 10 { // 0.1 s each
				if got := b.raw(dynamixel.AppendWrite(nil, 1, dynamixel.TemperatureLimit, 60)...); len(got) > 0 {
					t.Errorf("without power it says % X", got)
				}
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(time.Until(start.Add((n+1)*10*time.Second + 2400*time.Millisecond)))
			b.read(dynamixel.TemperatureLimit, 70)
		}
	})
}

// A cable is a line that can be plugged in three times.
type cable struct {
	*Port
	start           time.Time
	pulled, plugged []time.Duration
}

func (c *cable) Unplug() error {
	c.pulled = append(c.pulled, time.Since(c.start))
	return nil
}

func (c *cable) Plug() error {
	c.plugged = append(c.plugged, time.Since(c.start))
	if len(c.plugged) == 3 {
		return os.ErrPermission
	}
	return nil
}

func TestPortIsUnpluggedEverySoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, device := Pipe()
		c := &cable{Port: device, start: time.Now()}
		err := New(Config{Faults: Faults{Unplug: 30 * time.Second}}).Serve(t.Context(), c)
		if !errors.Is(err, os.ErrPermission) {
			t.Errorf("Serve: %v", err)
		}
		if want := []time.Duration{30 * time.Second, 60 * time.Second, 90 * time.Second}; !slices.Equal(c.pulled, want) {
			t.Errorf("unplugged after %v", c.pulled)
		}
		if want := []time.Duration{32 * time.Second, 62 * time.Second, 92 * time.Second}; !slices.Equal(c.plugged, want) {
			t.Errorf("plugged in after %v", c.plugged)
		}
	})
}
