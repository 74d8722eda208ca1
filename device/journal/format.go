package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"go.etcd.io/bbolt"

	"github.com/plate-resort/plate-resort/device"
)

const (
	// format is the number of the format that is written.
	format = 1
	// maxSlot is more than any place of an operation that is written: who reads one makes room for all below it.
	maxSlot = 1 << 20
)

var (
	deviceBucket     = []byte("device")
	operationsBucket = []byte("operations")
	eventsBucket     = []byte("events")
	schedulesBucket  = []byte("schedules")

	stateKey = []byte("state")
)

// A state is what the journal says of itself and of the device.
type state struct {
	Format int `json:"format"`
	device.Standing
	NextEvent uint64 `json:"next_event"`
	Written   moment `json:"written"`
}

// contents are everything that a journal keeps.
type contents struct {
	device.Saved
	schedules map[string]json.RawMessage
}

// write makes the change.
func write(tx *bbolt.Tx, c device.Change, written moment) error {
	now := state{Format: format, Standing: c.Standing, NextEvent: c.NextEvent, Written: written}
	if err := put(tx, deviceBucket, stateKey, now); err != nil {
		return err
	}
	for slot, record := range c.Records {
		if err := put(tx, operationsBucket, binary.BigEndian.AppendUint32(nil, uint32(slot)), record); err != nil {
			return err
		}
	}
	for _, e := range c.Events {
		if err := put(tx, eventsBucket, sequenceKey(e.Sequence), e.Operation); err != nil {
			return err
		}
	}
	events := tx.Bucket(eventsBucket)
	if events == nil {
		return nil
	}
	cursor := events.Cursor()
	for key, _ := cursor.First(); key != nil && binary.BigEndian.Uint64(key) < c.FirstEvent; key, _ = cursor.First() {
		if err := cursor.Delete(); err != nil {
			return err
		}
	}
	return nil
}

func put(tx *bbolt.Tx, bucket, key []byte, value any) error {
	b, err := tx.CreateBucketIfNotExists(bucket)
	if err != nil {
		return err
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", bucket, err)
	}
	return b.Put(key, encoded)
}

func sequenceKey(sequence uint64) []byte { return binary.BigEndian.AppendUint64(nil, sequence) }

// writeSchedules makes the changes; nil deletes.
func writeSchedules(tx *bbolt.Tx, schedules map[string]json.RawMessage) error {
	b, err := tx.CreateBucketIfNotExists(schedulesBucket)
	for name, content := range schedules {
		switch {
		case err != nil:
			return err
		case content == nil:
			err = b.Delete([]byte(name))
		default:
			err = b.Put([]byte(name), content)
		}
	}
	return err
}

// readSchedules returns nil when there never were any.
func readSchedules(tx *bbolt.Tx) (map[string]json.RawMessage, error) {
	b := tx.Bucket(schedulesBucket)
	if b == nil {
		return nil, nil
	}
	schedules := make(map[string]json.RawMessage)
	return schedules, b.ForEach(func(name, content []byte) error {
		schedules[string(name)] = bytes.Clone(content)
		return nil
	})
}

// readState returns what the file says of itself and of the device, or nil when nothing was ever written.
func readState(tx *bbolt.Tx) (*state, error) {
	b := tx.Bucket(deviceBucket)
	if b == nil {
		return nil, nil
	}
	var s state
	if err := decode(deviceBucket, b.Get(stateKey), &s); err != nil {
		return nil, err
	}
	if s.Format != format {
		return nil, fmt.Errorf("its format is %d, and this program knows %d", s.Format, format)
	}
	return &s, nil
}

// read returns everything in the file, or nil when nothing was ever written.
func read(tx *bbolt.Tx, s *state) (*contents, error) {
	schedules, err := readSchedules(tx)
	if err != nil || s == nil && schedules == nil {
		return nil, err
	}
	saved := &contents{schedules: schedules}
	if s == nil {
		return saved, nil
	}
	saved.Saved = device.Saved{Standing: s.Standing, NextEvent: s.NextEvent, Away: s.Written.ago()}
	err = each(tx, operationsBucket, 4, func(key, value []byte) error {
		slot := binary.BigEndian.Uint32(key)
		if slot > maxSlot {
			return fmt.Errorf("a key of operations is %d", slot)
		}
		record := device.Record{Slot: int(slot)}
		err := decode(operationsBucket, value, &record)
		saved.Records = append(saved.Records, record)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = each(tx, eventsBucket, 8, func(key, value []byte) error {
		event := device.Event{Sequence: binary.BigEndian.Uint64(key)}
		if event.Sequence == math.MaxUint64 { // there is none after it
			return fmt.Errorf("a key of events is %d", event.Sequence)
		}
		err := decode(eventsBucket, value, &event.Operation)
		saved.Events = append(saved.Events, event)
		saved.NextEvent = max(saved.NextEvent, event.Sequence+1)
		return err
	})
	return saved, err
}

// each calls do for everything in the bucket, in the order of the keys, which have so many bytes.
func each(tx *bbolt.Tx, bucket []byte, size int, do func(key, value []byte) error) error {
	b := tx.Bucket(bucket)
	if b == nil {
		return nil
	}
	return b.ForEach(func(key, value []byte) error {
		if len(key) != size {
			return fmt.Errorf("a key of %s has %d bytes, want %d", bucket, len(key), size)
		}
		return do(key, value)
	})
}

func decode(bucket, value []byte, into any) error {
	if err := json.Unmarshal(value, into); err != nil {
		return fmt.Errorf("decode %s: %w", bucket, err)
	}
	return nil
}
