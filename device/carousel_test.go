package device_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/plate-resort/plate-resort/device"
)

var four = []string{"A", "B", "C", "D"}

func TestHotelsAreEvenlySpaced(t *testing.T) {
	for _, c := range []struct {
		names     []string
		offset    device.Degrees
		direction int
		want      []device.Degrees
	}{
		{four, 19, 1, []device.Degrees{19, 109, 199, 289}},
		{four, 19, -1, []device.Degrees{19, 289, 199, 109}},
		{four, -10, 1, []device.Degrees{350, 80, 170, 260}},
		{four, -10, -1, []device.Degrees{350, 260, 170, 80}},
		{four, 0, 1, []device.Degrees{0, 90, 180, 270}},
		{four, 300, 1, []device.Degrees{300, 30, 120, 210}},
		{four, 379, 1, []device.Degrees{19, 109, 199, 289}},
		{[]string{"only"}, 45, -1, []device.Degrees{45}},
		{[]string{"1", "2", "3"}, 0, -1, []device.Degrees{0, 240, 120}},
		{[]string{"1", "2", "3", "4", "5"}, 10, 1, []device.Degrees{10, 82, 154, 226, 298}},
	} {
		var got []device.Degrees
		for i, h := range device.EvenlySpaced(c.names, c.offset, c.direction) {
			got = append(got, h.Angle)
			if h.Name != c.names[i] {
				t.Errorf("hotel %d is called %q", i, h.Name)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%d hotels from %v in direction %d are at %v, want %v", len(c.names), c.offset, c.direction, got, c.want)
		}
	}
}

func TestWrapAndRound(t *testing.T) {
	for _, c := range []struct{ angle, wrapped, rounded device.Degrees }{
		{0, 0, 0},
		{359.99, 359.99, 359.99},
		{359.994, 359.994, 359.99},
		{359.996, 359.996, 0}, // 360.00 is 0
		{360, 0, 0},
		{-0.004, 359.996, 0},
		{-0.01, 359.99, 359.99},
		{-90, 270, 270},
		{-360, 0, 0},
		{-1e-20, 0, 0}, // too small to differ from a whole turn
		{725.5, 5.5, 5.5},
		{19.336, 19.336, 19.34},
	} {
		if got := c.angle.Wrap(); math.Abs(float64(got-c.wrapped)) > 1e-9 || got < 0 || got >= 360 {
			t.Errorf("%v wrapped is %v, want %v", float64(c.angle), float64(got), float64(c.wrapped))
		}
		if got := c.angle.Round(); got != c.rounded {
			t.Errorf("%v rounded is %v, want %v", float64(c.angle), float64(got), float64(c.rounded))
		}
	}
}

func TestFromIsTheShortWay(t *testing.T) {
	for _, c := range []struct{ to, from, want device.Degrees }{
		{10, 350, 20}, {350, 10, -20}, {180, 0, 180}, {0, 180, 180}, {181, 0, -179}, {0, 181, 179},
		{109.04, 109, 0.04}, {0, 0, 0}, {0.01, 359.99, 0.02}, {359.99, 0.01, -0.02}, {-10, 370, -20},
		{180.004, 0, 180}, // as −180.00 is 180.00
	} {
		if got := c.to.From(c.from); got != c.want {
			t.Errorf("from %v to %v it is %v, want %v", c.from, c.to, float64(got), float64(c.want))
		}
	}
}

func TestAHotelFacesTheOpeningWithin5Degrees(t *testing.T) {
	measured := device.Carousel{Hotels: []device.Hotel{{Name: "A", Angle: 1.5}, {Name: "B", Angle: 88.2}, {Name: "C", Angle: 300}}}
	for _, c := range []struct {
		angle device.Degrees
		want  string
	}{
		{1.5, "A"}, {6.5, "A"}, {6.51, ""}, {0, "A"}, {356.5, "A"}, {356.49, ""},
		{88.2, "B"}, {83.2, "B"}, {83.19, ""}, {93.2, "B"}, {93.21, ""}, {300, "C"}, {200, ""},
	} {
		if got := measured.At(c.angle); got != c.want {
			t.Errorf("at %v there is %q, want %q", c.angle, got, c.want)
		}
	}
}

func TestTheAngleOfAHotelIsAsMeasured(t *testing.T) {
	c := device.Carousel{Hotels: []device.Hotel{{Name: "A", Angle: 19}, {Name: "B", Angle: 110.7}}}
	if got, ok := c.Angle("B"); got != 110.7 || !ok {
		t.Errorf("B is at %v, %v", got, ok)
	}
	if got, ok := c.Angle("b"); ok {
		t.Errorf("there is a hotel b at %v", got)
	}
	if got := c.Names(); !slices.Equal(got, []string{"A", "B"}) {
		t.Errorf("the names are %v", got)
	}
}

func TestACarouselIsValidated(t *testing.T) {
	named := func(hotels ...device.Hotel) device.Carousel {
		return device.Carousel{Hotels: hotels, RoomsPerHotel: 20}
	}
	for _, c := range []struct {
		name     string
		carousel device.Carousel
		faults   []string // in order; none when it is valid
	}{
		{"evenly spaced", named(device.EvenlySpaced(four, 19, 1)...), nil},
		{"measured", named(device.Hotel{Name: "A", Angle: 0}, device.Hotel{Name: "B", Angle: 10}), nil},
		{"empty", device.Carousel{}, []string{"at least one hotel", "0 rooms"}},
		{"name of spaces", named(device.Hotel{Name: "A B", Angle: 0}), []string{`hotel name "A B"`}},
		{"no name", named(device.Hotel{Angle: 0}), []string{`hotel name ""`}},
		{"whole turn", named(device.Hotel{Name: "A", Angle: 360}), []string{`hotel "A" is at 360`}},
		{"negative", named(device.Hotel{Name: "A", Angle: -1}), []string{`hotel "A" is at -1`}},
		{"no number", named(device.Hotel{Name: "A", Angle: device.Degrees(math.NaN())}), []string{`hotel "A" is at NaN`}},
		{"none", named(device.Hotel{Name: "None", Angle: 0}), []string{`a hotel cannot be called "None"`}},
		{"twice", named(device.Hotel{Name: "A", Angle: 0}, device.Hotel{Name: "A", Angle: 90}), []string{`hotel "A" is named twice`}},
		{"too close", named(device.Hotel{Name: "A", Angle: 355}, device.Hotel{Name: "B", Angle: 4}), []string{`hotels "A" and "B" are 9.00° apart`}},
		{"several", named(device.Hotel{Name: "A", Angle: 400}, device.Hotel{Name: "", Angle: 90}), []string{`hotel "A" is at 400`, `hotel name ""`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			if err := c.carousel.Validate(); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			same := slices.EqualFunc(got, c.faults, strings.Contains)
			if !same {
				t.Errorf("the faults are %q, want %q", got, c.faults)
			}
		})
	}
}

func TestDegreesArePrintedWithTwoDecimals(t *testing.T) {
	if got := fmt.Sprint(device.Degrees(109.036)); got != "109.04°" {
		t.Errorf("printed as %s", got)
	}
}

func TestDegreesAreWrittenWithoutASignOf0(t *testing.T) {
	negative := math.Copysign(0, -1)
	for d, want := range map[device.Degrees]string{0.004: "0.00°", -0.004: "0.00°", -0.006: "-0.01°", 359.999: "360.00°", -90: "-90.00°"} {
		if got := d.String(); got != want {
			t.Errorf("%v is written as %q, want %q", float64(d), got, want)
		}
	}
	for name, d := range map[string]device.Degrees{
		"wrapped": device.Degrees(negative).Wrap(), "rounded": device.Degrees(-0.001).Round(), "a way": device.Degrees(10).From(10.001),
	} {
		if math.Signbit(float64(d)) || d != 0 {
			t.Errorf("%s: %v", name, float64(d))
		}
	}
}
