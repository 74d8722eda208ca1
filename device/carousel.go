package device

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Degrees is an angle or a difference of angles.
type Degrees float64

// Wrap returns the same direction in the range 0 ≤ angle < 360.
func (d Degrees) Wrap() Degrees {
	w := math.Mod(float64(d), 360)
	if w < 0 {
		w += 360
	}
	if w >= 360 || w == 0 { // a tiny negative angle plus 360 is rounded up, and 0 has no sign
		w = 0
	}
	return Degrees(w)
}

// Round returns the same direction rounded to two decimals, in the range 0 ≤ angle < 360.
func (d Degrees) Round() Degrees {
	return Degrees(math.Round(float64(d.Wrap())*100) / 100).Wrap()
}

// From returns the way from the angle other to d, the short way round: −180 < way ≤ 180, rounded to
// two decimals.
func (d Degrees) From(other Degrees) Degrees {
	way := (d - other).Round()
	if way > 180 {
		way = Degrees(math.Round(float64(way-360)*100) / 100)
	}
	return way
}

func (d Degrees) String() string {
	hundredths := math.Round(float64(d) * 100)
	if hundredths == 0 {
		hundredths = 0 // without a sign
	}
	return fmt.Sprintf("%.2f°", hundredths/100)
}

// hotelWindow is how far the carousel may be from a hotel's angle and still count as being there.
const hotelWindow Degrees = 5

// A Hotel is a stack of plates on the carousel.
type Hotel struct {
	Name string
	// Angle is the servo's angle at which this hotel faces the opening: 0 ≤ Angle < 360.
	Angle Degrees
}

// EvenlySpaced places hotels around the whole turn: the first at offset, the following ones in
// direction, 1 or −1.
func EvenlySpaced(names []string, offset Degrees, direction int) []Hotel {
	hotels := make([]Hotel, len(names))
	for i, name := range names {
		step := Degrees(i*direction) * 360 / Degrees(len(names))
		hotels[i] = Hotel{name, (offset + step).Wrap()}
	}
	return hotels
}

// A Carousel is the geometry: which hotel faces the opening at which angle.
type Carousel struct {
	Hotels        []Hotel
	RoomsPerHotel int
}

// Validate reports every fault of the geometry.
func (c Carousel) Validate() error {
	var errs []error
	if len(c.Hotels) == 0 {
		errs = append(errs, errors.New("there must be at least one hotel"))
	}
	if c.RoomsPerHotel < 1 {
		errs = append(errs, fmt.Errorf("a hotel has %d rooms, must be at least 1", c.RoomsPerHotel))
	}
	for i, h := range c.Hotels {
		if strings.EqualFold(h.Name, "none") {
			errs = append(errs, fmt.Errorf("a hotel cannot be called %q, which for Home Assistant means that there is none", h.Name))
		}
		if h.Name == "" || strings.ContainsAny(h.Name, " \t\r\n,:{}\"") {
			errs = append(errs, fmt.Errorf("hotel name %q must not be empty nor contain space, comma, colon, brace or quote", h.Name))
		}
		if !(h.Angle >= 0 && h.Angle < 360) {
			errs = append(errs, fmt.Errorf("hotel %q is at %v, must be at 0 or more and less than 360 degrees", h.Name, float64(h.Angle)))
		}
		for _, other := range c.Hotels[:i] {
			if other.Name == h.Name {
				errs = append(errs, fmt.Errorf("hotel %q is named twice", h.Name))
			} else if way := h.Angle.From(other.Angle); way > -2*hotelWindow && way < 2*hotelWindow {
				errs = append(errs, fmt.Errorf("hotels %q and %q are %v apart, must be at least %v", other.Name, h.Name, max(way, -way), 2*hotelWindow))
			}
		}
	}
	return errors.Join(errs...)
}

// Angle returns the angle at which the hotel of that name faces the opening.
func (c Carousel) Angle(name string) (Degrees, bool) {
	for _, h := range c.Hotels {
		if h.Name == name {
			return h.Angle, true
		}
	}
	return 0, false
}

// At returns the name of the hotel that faces the opening when the servo is at angle, give or take
// 5°, or "" when none does.
func (c Carousel) At(angle Degrees) string {
	for _, h := range c.Hotels {
		if way := angle.From(h.Angle); way >= -hotelWindow && way <= hotelWindow {
			return h.Name
		}
	}
	return ""
}

// Names lists the hotels in their order.
func (c Carousel) Names() []string {
	names := make([]string, len(c.Hotels))
	for i, h := range c.Hotels {
		names[i] = h.Name
	}
	return names
}

// angles returns the angles of the hotels by name, as they are published.
func (c Carousel) angles() map[string]Degrees {
	angles := make(map[string]Degrees, len(c.Hotels))
	for _, h := range c.Hotels {
		angles[h.Name] = h.Angle.Round()
	}
	return angles
}
