package dynamixel

import (
	"cmp"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// What the pages of the manual say about the models, https://emanual.robotis.com/docs/en/dxl/x/xc330-t181/ and
// the like: initial values, and where they follow a colon, the range.
var pages = []struct {
	number      int32
	name        string
	currentUnit float64  // of Present Current(126) in mA, 0 if it is Present Load(126) in 0.1 %
	temperature int32    // Temperature Limit(31)
	voltage     [4]int32 // Max(32), Min(34) Voltage Limit: lowest, highest
	current     int32    // Current Limit(38), −1 if there is none
	velocity    [2]int32 // Velocity Limit(44): highest
	slope       int32    // PWM Slope(62), −1 if there is none
	shutdown    int32    // Shutdown(63)
	gains       [7]int32 // Velocity I, P (76, 78), Position D, I, P (80, 82, 84), Feedforward 2nd, 1st (88, 90)
	bauds       int32    // highest of Baud Rate(8)
	protocols   [2]int32 // lowest, highest of Protocol Type(13)
}{
	{1210, "XC330-T181", 1, 70, [4]int32{140, 55, 55, 140}, 910, [2]int32{510, 2047}, 255, 52, [7]int32{1200, 40, 0, 0, 900, 0, 0}, 6, [2]int32{2, 22}},
	{1220, "XC330-T288", 1, 70, [4]int32{140, 55, 55, 140}, 910, [2]int32{320, 2047}, 255, 52, [7]int32{1200, 40, 0, 0, 900, 0, 0}, 6, [2]int32{2, 22}},
	{1230, "XC330-M181", 1, 70, [4]int32{70, 35, 31, 70}, 2352, [2]int32{545, 2047}, 140, 52, [7]int32{1400, 100, 500, 0, 1200, 0, 0}, 6, [2]int32{2, 22}},
	{1240, "XC330-M288", 1, 70, [4]int32{70, 35, 31, 70}, 2352, [2]int32{350, 2047}, 140, 52, [7]int32{1600, 50, 500, 0, 1100, 0, 0}, 6, [2]int32{2, 22}},
	{1190, "XL330-M077", 1, 70, [4]int32{70, 35, 31, 70}, 1750, [2]int32{1620, 2047}, 140, 53, [7]int32{400, 40, 0, 400, 400, 0, 0}, 6, [2]int32{2, 22}},
	{1200, "XL330-M288", 1, 70, [4]int32{70, 35, 31, 70}, 1750, [2]int32{445, 2047}, 140, 53, [7]int32{1600, 180, 0, 0, 400, 0, 0}, 6, [2]int32{2, 22}},
	{1030, "XM430-W210", 2.69, 80, [4]int32{160, 95, 95, 160}, 1193, [2]int32{330, 1023}, -1, 52, [7]int32{1920, 100, 0, 0, 800, 0, 0}, 7, [2]int32{1, 2}},
	{1020, "XM430-W350", 2.69, 80, [4]int32{160, 95, 95, 160}, 1193, [2]int32{200, 1023}, -1, 52, [7]int32{1920, 100, 0, 0, 800, 0, 0}, 7, [2]int32{1, 2}},
	{1060, "XL430-W250", 0, 72, [4]int32{140, 60, 60, 140}, -1, [2]int32{265, 1023}, -1, 52, [7]int32{1000, 100, 4000, 0, 640, 0, 0}, 7, [2]int32{1, 2}},
}

// TestTablesAreThoseOfTheManual compares the whole table of each model with its page.
func TestTablesAreThoseOfTheManual(t *testing.T) {
	if len(Models()) != len(pages) {
		t.Errorf("there are %d models and %d pages", len(Models()), len(pages))
	}
	for _, p := range pages {
		m, known := LookupModel(p.number)
		if !known || m.Number != p.number || m.Name != p.name || !slices.Contains(Models(), m) {
			t.Errorf("%d: %+v, %v", p.number, m, known)
		}
		load := 0.0
		if p.currentUnit == 0 {
			load = 0.1
		}
		if m.CurrentUnit != p.currentUnit || m.LoadUnit != load {
			t.Errorf("%s: units of 126 are %g mA and %g %%, want %g and %g", m.Name, m.CurrentUnit, m.LoadUnit, p.currentUnit, load)
		}

		// address, size, signed, initial value, writable, range
		type row struct {
			address, size int
			signed        bool
			initial       int32
			writable      bool
			min, max      int32
		}
		r := func(address, size int, initial int32) row { return row{address: address, size: size, initial: initial} }
		rw := func(address, size int, initial, min, max int32) row {
			return row{address, size, min < 0, initial, true, min, max}
		}
		signed := func(w row) row { w.signed = true; return w }
		want := []row{
			r(0, 2, p.number), r(2, 4, 0), r(6, 1, 0), rw(7, 1, 1, 0, 252), rw(8, 1, 1, 0, p.bauds), rw(9, 1, 250, 0, 254),
			rw(10, 1, 0, 0, 13), rw(11, 1, 3, 0, 16), rw(12, 1, 255, 0, 255), rw(13, 1, 2, p.protocols[0], p.protocols[1]),
			rw(20, 4, 0, -1044479, 1044479), rw(24, 4, 10, 0, 1023), rw(31, 1, p.temperature, 0, 100),
			rw(32, 2, p.voltage[0], p.voltage[2], p.voltage[3]), rw(34, 2, p.voltage[1], p.voltage[2], p.voltage[3]),
			rw(36, 2, 885, 0, 885), rw(44, 4, p.velocity[0], 0, p.velocity[1]),
			rw(48, 4, 4095, 0, 4095), rw(52, 4, 0, 0, 4095), rw(60, 1, 0, 0, 3), rw(63, 1, p.shutdown, 0, 61),
			rw(64, 1, 0, 0, 1), rw(65, 1, 0, 0, 1), rw(68, 1, 2, 0, 2), r(69, 1, 0), r(70, 1, 0),
			rw(76, 2, p.gains[0], 0, 16383), rw(78, 2, p.gains[1], 0, 16383), rw(80, 2, p.gains[2], 0, 16383),
			rw(82, 2, p.gains[3], 0, 16383), rw(84, 2, p.gains[4], 0, 16383),
			rw(88, 2, p.gains[5], 0, 16383), rw(90, 2, p.gains[6], 0, 16383),
			signed(rw(98, 1, 0, 0, 127)), rw(100, 2, 885, -885, 885), rw(104, 4, 0, -p.velocity[1], p.velocity[1]),
			rw(108, 4, 0, 0, 32767), rw(112, 4, 0, 0, 32767), rw(116, 4, 0, -1048575, 1048575),
			r(120, 2, 0), r(122, 1, 0), r(123, 1, 0), signed(r(124, 2, 0)), signed(r(126, 2, 0)), signed(r(128, 4, 0)),
			signed(r(132, 4, 0)), signed(r(136, 4, 0)), signed(r(140, 4, 0)), r(144, 2, 0), r(146, 1, 0), r(147, 1, 0),
		}
		if p.current >= 0 {
			want = append(want, rw(38, 2, p.current, 0, p.current), rw(102, 2, p.current, -p.current, p.current))
		}
		if p.slope >= 0 {
			want = append(want, rw(62, 1, p.slope, 1, 255))
		}
		slices.SortFunc(want, func(a, b row) int { return cmp.Compare(a.address, b.address) })
		var got []row
		for _, e := range m.Table() {
			got = append(got, row{int(e.Address), int(e.Size), e.Signed, e.Initial, e.Writable, e.Min, e.Max})
		}
		if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(row{})); diff != "" {
			t.Errorf("%s: control table (-want +got)\n%s", m.Name, diff)
		}
	}
}

func TestEntryAndHas(t *testing.T) {
	xm430, _ := LookupModel(1020)
	if e, ok := xm430.Entry(CurrentLimit); !ok || e != (Entry{CurrentLimit, 1193, true, 0, 1193}) || !xm430.Has(CurrentLimit) {
		t.Errorf("XM430: current limit is %+v, %v", e, ok)
	}
	if xm430.Has(PWMSlope) {
		t.Error("XM430: it has a PWM slope")
	}
	if half := (Register{CurrentLimit.Address, 1, false}); xm430.Has(half) {
		t.Error("it has a register that only begins where another one does")
	}
	xl430, _ := LookupModel(1060)
	if e, ok := xl430.Entry(GoalCurrent); ok || e != (Entry{}) || xl430.Has(GoalCurrent) || xl430.Has(CurrentLimit) {
		t.Errorf("XL430: goal current is %+v, %v", e, ok)
	}
}

func TestModes(t *testing.T) {
	for _, p := range pages {
		want := []int32{0, 1, 3, 4, 5, 16}
		if p.current < 0 {
			want = []int32{1, 3, 4, 16}
		}
		m, _ := LookupModel(p.number)
		if got := m.Modes(); !slices.Equal(got, want) {
			t.Errorf("%s: modes %v, want %v", p.name, got, want)
		}
	}
}

// Of a model that is not known, nothing is taken for granted but what all have.
func TestUnknownModel(t *testing.T) {
	m, known := LookupModel(4711)
	if known || m != (Model{Number: 4711, Name: "model 4711"}) {
		t.Errorf("it is %+v, %v", m, known)
	}
	if got := m.Modes(); !slices.Equal(got, []int32{1, 3, 4, 16}) {
		t.Errorf("modes %v", got)
	}
	if e, _ := m.Entry(ModelNumber); e.Initial != 4711 {
		t.Errorf("its number is %d in the table", e.Initial)
	}
	for _, e := range m.Table() {
		for _, known := range Models() {
			k, has := known.Entry(e.Register)
			if !has {
				t.Errorf("register %d is not one of %s", e.Address, known.Name)
			}
			if e.Writable != k.Writable || e.Min > k.Min || e.Max < k.Max {
				t.Errorf("register %d: %+v is narrower than %+v of %s", e.Address, e, k, known.Name)
			}
		}
	}
	for _, r := range []Register{CurrentLimit, PWMSlope, GoalCurrent} {
		if m.Has(r) {
			t.Errorf("it has register %d, which some lack", r.Address)
		}
	}
}

// What one caller does to a table is nothing to the others.
func TestTablesAreCopies(t *testing.T) {
	m, _ := LookupModel(1220)
	clear(m.Table())
	if e, ok := m.Entry(ID); !ok || e.Initial != 1 {
		t.Errorf("the id is now %+v, %v", e, ok)
	}
}
