package journal_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plate-resort/plate-resort/device"
)

type schedules = map[string]json.RawMessage

// expectSchedules opens the journal and fails unless these are in it.
func expectSchedules(t *testing.T, dir string, want schedules) {
	t.Helper()
	j, saved := open(t, dir)
	defer shut(t, j)
	got, err := j.LoadSchedules()
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("the schedules are (-want +got), error %v:\n%s", err, diff)
	}
	if saved.Warning != "" {
		t.Error(saved.Warning)
	}
}

func TestSchedulesThatWereSavedAreLoaded(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, dir)
	saveSchedules := func(s schedules) {
		t.Helper()
		if err := j.SaveSchedules(s); err != nil {
			t.Fatal(err)
		}
	}
	saveSchedules(schedules{"a": json.RawMessage(`{"every_seconds":5}`), "b": json.RawMessage(`{}`)})
	shut(t, j)
	expectSchedules(t, dir, schedules{"a": json.RawMessage(`{"every_seconds":5}`), "b": json.RawMessage(`{}`)}) // and nothing of the device

	j, _ = open(t, dir)
	save(t, j, device.Change{Standing: device.Standing{Latched: true}})
	saveSchedules(schedules{"a": json.RawMessage(`{"every_seconds":6}`), "b": nil, "c": nil})
	save(t, j, total(1))
	shut(t, j)
	expectSchedules(t, dir, schedules{"a": json.RawMessage(`{"every_seconds":6}`)})

	j, _ = open(t, dir)
	saveSchedules(schedules{"a": nil})
	shut(t, j)
	expectSchedules(t, dir, schedules{})
	if _, saved := open(t, dir); saved.OperationsTotal != 1 {
		t.Errorf("the device has %d operations, want 1", saved.OperationsTotal)
	}
}
