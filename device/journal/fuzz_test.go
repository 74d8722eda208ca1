package journal

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/plate-resort/plate-resort/device"
)

// FuzzFormat puts anything in the places of a journal's records: what the file says of itself, an operation, an
// event, a schedule. It is read, or refused with what of it makes no sense; what has been read is the same when it
// is written and read again. Nothing reaches the disk.
func FuzzFormat(f *testing.F) {
	db, err := bbolt.Open(filepath.Join(f.TempDir(), "fuzz.db"), 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { db.Close() })
	f.Fuzz(func(t *testing.T, about, slot, operation, sequence, event, name, schedule []byte) {
		tx, err := db.Begin(true)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		for _, p := range []struct{ bucket, key, value []byte }{
			{deviceBucket, stateKey, about}, {operationsBucket, slot, operation}, {eventsBucket, sequence, event}, {schedulesBucket, name, schedule},
		} {
			if b, err := tx.CreateBucketIfNotExists(p.bucket); err != nil {
				t.Fatal(err)
			} else if len(p.key) > 0 && len(p.key) <= bbolt.MaxKeySize && b.Put(p.key, p.value) != nil {
				t.Fatal("cannot be put")
			}
		}
		s, err := readState(tx)
		if err != nil {
			if !strings.Contains(err.Error(), "decode device: ") && !strings.Contains(err.Error(), "format") {
				t.Errorf("the error is %v", err)
			}
			return
		}
		if s.Format != format {
			t.Errorf("%q is taken for the format %d", about, format)
		}
		first, err := read(tx, s)
		if err != nil {
			if !strings.Contains(err.Error(), "operations") && !strings.Contains(err.Error(), "events") {
				t.Errorf("the error is %v", err)
			}
			return
		}
		for _, r := range first.Records {
			if r.Slot < 0 || r.Slot > maxSlot {
				t.Errorf("the device is to make room for %d operations", r.Slot)
			}
		}
		for _, e := range first.Events {
			if e.Sequence >= first.NextEvent {
				t.Errorf("the event after %d is to be %d", e.Sequence, first.NextEvent)
			}
		}

		for _, bucket := range [][]byte{deviceBucket, operationsBucket, eventsBucket, schedulesBucket} {
			if err := tx.DeleteBucket(bucket); err != nil {
				t.Fatal(err)
			}
		}
		change := device.Change{Standing: first.Standing, Records: make(map[int]device.Record), Events: first.Events, NextEvent: first.NextEvent}
		for _, r := range first.Records {
			change.Records[r.Slot] = r
		}
		if err := write(tx, change, s.Written); err != nil {
			t.Fatalf("what has been read is not written: %v", err)
		}
		if err := writeSchedules(tx, first.schedules); err != nil {
			t.Fatal(err)
		}
		again, err := readState(tx)
		if err != nil || again.Written != s.Written {
			t.Fatalf("%+v is %+v when it is read again, %v", s, again, err)
		}
		second, err := read(tx, again)
		if err != nil {
			t.Fatalf("what has been written is not read: %v", err)
		}
		if a, b := text(t, first), text(t, second); !bytes.Equal(a, b) {
			t.Errorf("%s is %s when it is read again", a, b)
		}
		if !bytes.Equal(second.schedules[string(name)], schedule) && len(name) > 0 && len(name) <= bbolt.MaxKeySize {
			t.Errorf("the schedule %q is %q", name, second.schedules[string(name)])
		}
	})
}

// text is all that is read, but for how long the device was away.
func text(t *testing.T, c *contents) []byte {
	t.Helper()
	slots := make([]int, len(c.Records))
	for i, r := range c.Records {
		slots[i] = r.Slot
	}
	type numbered struct {
		Sequence  uint64
		Operation device.Operation
	}
	var events []numbered
	for _, e := range c.Events {
		events = append(events, numbered{e.Sequence, e.Operation})
	}
	all, err := json.Marshal([]any{c.Standing, slices.Clone(c.Records), slots, events, c.NextEvent})
	if err != nil {
		t.Fatalf("cannot be written: %v", err)
	}
	return all
}
