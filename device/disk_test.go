package device_test

import (
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// A disk is a store that outlives the process. It can fail, take its time, and see the process killed.
type disk struct {
	device.Memory

	mu       sync.Mutex
	err      error
	block    chan struct{}   // nil when it does not block
	slow     time.Duration   // how long a Save takes
	dead     bool            // the process that wrote to it was killed
	rebooted bool            // the machine, since
	saves    []device.Change // every attempt
	savedAt  time.Time
	marked   bool // the last Save has succeeded, in time
}

func (d *disk) Save(c device.Change) error {
	d.mu.Lock()
	block, slow := d.block, d.slow
	d.saves = append(d.saves, c)
	d.mu.Unlock()
	late := time.AfterFunc(2*time.Second, func() { d.mark(false) })
	time.Sleep(slow)
	if block != nil {
		<-block
	}
	late.Stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.marked = d.err == nil
	if d.err != nil || d.dead {
		return d.err
	}
	if !c.Resuming {
		d.savedAt = time.Now()
	}
	return d.Memory.Save(c)
}

func (d *disk) mark(marked bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.marked = marked
}

// Load returns what was written and read again, as from a file.
func (d *disk) Load() (device.Saved, error) {
	saved, err := d.Memory.Load()
	if err != nil {
		return saved, err
	}
	written, err := json.Marshal(saved.Records)
	if err != nil {
		return saved, err
	}
	var records []device.Record
	if err := json.Unmarshal(written, &records); err != nil {
		return saved, err
	}
	for i := range records {
		records[i].Slot = saved.Records[i].Slot
	}
	saved.Records = records
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.marked && !d.rebooted {
		saved.Away = new(time.Since(d.savedAt))
	}
	return saved, nil
}

// fail lets every Save from now on end with the error; nil lets it succeed.
func (d *disk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// takes is how long every Save takes from now on.
func (d *disk) takes(slow time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slow = slow
}

// hang lets every Save from now on wait until the function it returns is called.
func (d *disk) hang() (release func()) {
	block := make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.block = block
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.block = nil
		close(block)
	})
}

// attempts returns what Save was called with.
func (d *disk) attempts() []device.Change {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.saves)
}

// count returns how often Save was called.
func (d *disk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.saves)
}

// kill ends the process's writing for good, and returns the disk as it is found after. What a Save had not
// finished is not on it.
func (d *disk) kill() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	next := &disk{savedAt: d.savedAt, marked: d.marked}
	saved, _ := d.Memory.Load()
	c := device.Change{Standing: saved.Standing, Records: make(map[int]device.Record), Events: saved.Events, NextEvent: saved.NextEvent}
	for _, r := range saved.Records {
		c.Records[r.Slot] = r
	}
	_ = next.Memory.Save(c)
	return next
}

func onDisk(t *testing.T, test func(t *testing.T, r *rig, d *disk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := new(disk)
		test(t, startRig(t, devicetest.New(), d), d)
	})
}

// kill ends the process without a word, and returns the disk that the next one finds.
func (r *rig) kill() *disk {
	r.settle()
	next := r.store.(*disk).kill()
	r.shutDown()
	return next
}

// restartAfter starts the next process on what the killed one has left, so much later.
func (r *rig) restartAfter(away time.Duration, motor *devicetest.Motor) *rig {
	r.t.Helper()
	next := r.kill()
	time.Sleep(away)
	return startRig(r.t, motor, next)
}
