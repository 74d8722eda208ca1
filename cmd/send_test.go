package cmd

import (
	"strings"
	"testing"

	"github.com/plate-resort/plate-resort/device"
)

func TestEachOperationIsExplained(t *testing.T) {
	for _, name := range device.Names {
		if operationTexts[name] == "" || !strings.Contains(operationTable(), "  "+string(name)+" ") {
			t.Errorf("send --help does not say what %s does", name)
		}
	}
	if len(operationTexts) != len(device.Names) {
		t.Errorf("%d operations of %d are explained", len(operationTexts), len(device.Names))
	}
}

func TestDescribeEvent(t *testing.T) {
	angle, deviation := device.Degrees(109.04), device.Degrees(-0.04)
	for _, test := range []struct {
		op   device.Operation
		want string
	}{
		{device.Operation{ID: "x", State: device.Queued}, "queued as x"},
		{device.Operation{State: device.Running}, "running"},
		{device.Operation{State: device.Failed, Error: &device.Error{Message: "why\x1b[2J"}}, "failed: why\ufffd[2J"},
		{device.Operation{State: device.Completed, Result: &device.Result{DurationSeconds: 0.1}}, "completed in 0.1 s"},
		{device.Operation{State: device.Completed, Result: &device.Result{Angle: &angle, DurationSeconds: 0.1}}, "completed in 0.1 s: at 109.04°"},
		{device.Operation{State: device.Completed, Result: &device.Result{Angle: &angle, Deviation: &deviation, Stage: device.PositionStage, DurationSeconds: 1.5}},
			"completed in 1.5 s: at 109.04°, -0.04° from the goal, in the position stage"},
		{device.Operation{State: device.Completed, Result: &device.Result{Angle: &angle, Deviation: &deviation, Stage: device.PreciseStage, Pulses: 1, DurationSeconds: 9}},
			"completed in 9 s: at 109.04°, -0.04° from the goal, in the precise stage after 1 pulse"},
		{device.Operation{State: device.Completed, Result: &device.Result{Angle: &angle, Deviation: &deviation, Stage: device.PreciseStage, Pulses: 3, DurationSeconds: 9}},
			"completed in 9 s: at 109.04°, -0.04° from the goal, in the precise stage after 3 pulses"},
	} {
		if got := (&screen{}).describeEvent(device.Event{Operation: test.op, Durable: true}); got != test.want {
			t.Errorf("%+v is described as %q, want %q", test.op, got, test.want)
		}
	}
	want := "queued as x, but not on the device's disk: should it end, that is forgotten"
	if got := (&screen{}).describeEvent(device.Event{Operation: device.Operation{ID: "x", State: device.Queued}}); got != want {
		t.Errorf("what is not durable is described as %q, want %q", got, want)
	}
}
