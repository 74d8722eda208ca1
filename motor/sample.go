package motor

import (
	"context"
	"math"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// The registers from Realtime Tick to Present Temperature, 120 to 146, are read in one go: 14 bytes out
// and 38 back hold everything that a move and a health report need.
var (
	sampleAddress = dynamixel.RealtimeTick.Address
	sampleSize    = dynamixel.PresentTemperature.Address + dynamixel.PresentTemperature.Size - sampleAddress
)

// A sample is one reading of the servo's present registers.
type sample struct {
	device.Reading
	position   int32         // steps; more than one turn when torque is off and somebody turns it
	trajectory int32         // where the profile wants it
	velocity   int32         // 0.229 rpm
	tick       time.Duration // the servo's clock, which begins anew every 32.768 s
	alert      bool          // Hardware Error Status is not 0
}

func (b *bus) sample(ctx context.Context) (sample, error) {
	table, alert, err := b.read(ctx, sampleAddress, sampleSize)
	if err != nil {
		return sample{}, err
	}
	get := func(r dynamixel.Register) int32 { return r.Get(table, sampleAddress) }
	s := sample{
		position:   get(dynamixel.PresentPosition),
		trajectory: get(dynamixel.PositionTrajectory),
		velocity:   get(dynamixel.PresentVelocity),
		tick:       time.Duration(get(dynamixel.RealtimeTick)) * time.Millisecond,
		alert:      alert,
	}
	b.position.Store(s.position)
	s.Reading = device.Reading{
		At:          time.Now(),
		Angle:       degrees(s.position),
		Moving:      get(dynamixel.Moving) != 0 || get(dynamixel.MovingStatus)&dynamixel.ProfileOngoing != 0,
		Velocity:    round(float64(s.velocity)*degreesPerSecond, 2),
		Temperature: int(get(dynamixel.PresentTemperature)),
		Voltage:     round(float64(get(dynamixel.PresentInputVoltage))/10, 1),
	}
	if unit := b.model.CurrentUnit; unit > 0 {
		current := round(float64(get(dynamixel.PresentCurrent))*unit, 1)
		s.Current = &current
	}
	if unit := b.model.LoadUnit; unit > 0 {
		load := round(float64(get(dynamixel.PresentCurrent))*unit, 1)
		s.Load = &load
	}
	return s, nil
}

// rests reports whether the servo stands, and not only for a moment as what swings about its goal does: the
// velocity is 0 or the least that there is, 1.4° a second.
func (s sample) rests() bool { return !s.Moving && abs(s.velocity) <= 1 }

// degreesPerSecond is the unit of the velocity registers.
const degreesPerSecond = dynamixel.RPMPerUnit * 360 / 60

func round(value float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Round(value*scale) / scale
}

// follows reports whether the servo's clock has gone on as ours has since an earlier sample. If not, the
// servo has been without power. Its clock may be wrong by a twentieth.
func (s sample) follows(earlier sample) bool {
	const period = 32768 * time.Millisecond
	passed := s.At.Sub(earlier.At)
	apart := (s.tick - earlier.tick - passed) % period
	if apart < 0 {
		apart += period
	}
	return min(apart, period-apart) <= passed/20+100*time.Millisecond
}

// degrees is the angle of a position, over any number of turns: 0 ≤ angle < 360.
func degrees(position int32) device.Degrees {
	return toDegrees(position).Wrap()
}
