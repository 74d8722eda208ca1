package device_test

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/plate-resort/plate-resort/device"
)

// degrees draws any angle, also ones next to a whole turn.
func degrees() *rapid.Generator[device.Degrees] {
	return rapid.Custom(func(t *rapid.T) device.Degrees {
		turns := device.Degrees(rapid.IntRange(-3, 3).Draw(t, "turns") * 360)
		return turns + device.Degrees(rapid.OneOf(
			rapid.Float64Range(-360, 360),
			rapid.Float64Range(-0.01, 0.01),
			rapid.SampledFrom([]float64{0, 180, -180, 359.99, 359.995, -1e-20}),
		).Draw(t, "angle"))
	})
}

// carousels draws evenly spaced carousels, as dense as they may be.
func carousels() *rapid.Generator[device.Carousel] {
	return rapid.Custom(func(t *rapid.T) device.Carousel {
		names := make([]string, rapid.IntRange(1, 35).Draw(t, "hotels"))
		for i := range names {
			names[i] = fmt.Sprint("H", i)
		}
		direction := rapid.SampledFrom([]int{1, -1}).Draw(t, "direction")
		return device.Carousel{Hotels: device.EvenlySpaced(names, degrees().Draw(t, "offset"), direction), RoomsPerHotel: 20}
	})
}

func TestAnEvenlySpacedCarouselIsValidAndEachHotelIsAtItsAngle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := carousels().Draw(t, "carousel")
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, name := range c.Names() {
			angle, ok := c.Angle(name)
			if !ok || c.At(angle) != name || c.At(angle.Round()) != name {
				t.Fatalf("%s is at %v, %v; there is %q", name, angle, ok, c.At(angle))
			}
			near := angle + device.Degrees(rapid.Float64Range(-4.99, 4.99).Draw(t, "off"))
			if c.At(near.Wrap()) != name {
				t.Fatalf("%s is at %v; at %v there is %q", name, angle, near, c.At(near.Wrap()))
			}
		}
	})
}

func TestTheDirectionMirrorsTheHotels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := make([]string, rapid.IntRange(1, 35).Draw(t, "hotels"))
		offset := degrees().Draw(t, "offset")
		with, against := device.EvenlySpaced(names, offset, 1), device.EvenlySpaced(names, offset, -1)
		for i := range names {
			if way := (with[i].Angle - offset).From(offset - against[i].Angle); way != 0 {
				t.Fatalf("hotel %d of %d is at %v and %v", i, len(names), with[i].Angle, against[i].Angle)
			}
		}
	})
}

func TestWrapAndRoundStayInOneTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := degrees().Draw(t, "angle")
		w, r := d.Wrap(), d.Round()
		if !(w >= 0 && w < 360) || !(r >= 0 && r < 360) {
			t.Fatalf("%v wraps to %v and rounds to %v", float64(d), float64(w), float64(r))
		}
		if turns := float64(d-w) / 360; math.Abs(turns-math.Round(turns)) > 1e-9 {
			t.Fatalf("%v wraps to %v, another direction", float64(d), float64(w))
		}
		if off := float64(r.From(d)); math.Abs(off) > 0.01 {
			t.Fatalf("%v rounds to %v, %v away", float64(d), float64(r), off)
		}
		if w.Wrap() != w || r.Round() != r {
			t.Fatalf("%v is not the same twice", float64(d))
		}
	})
}

func TestFromIsAtMostHalfATurnAndLeadsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		to, from := degrees().Draw(t, "to"), degrees().Draw(t, "from")
		way := to.From(from)
		if !(way > -180 && way <= 180) {
			t.Fatalf("from %v to %v it is %v", float64(from), float64(to), float64(way))
		}
		// No further from the goal than the rounding to hundredths.
		off := math.Abs(float64((from + way - to).Wrap()))
		if min(off, 360-off) > 0.005+1e-9 {
			t.Fatalf("from %v to %v it is %v, which leads past it", float64(from), float64(to), float64(way))
		}
	})
}
