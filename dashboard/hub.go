package dashboard

import (
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/mqtt"
)

const (
	maxDevices = 2000
	// maxKept is how many bytes are kept of all devices: some 800 that have much to tell need less. The process takes more
	// than twice as much, as what was replaced is collected only later.
	maxKept     = 128 << 20
	maxBrowsers = 64
	// maxWaiting is how many batches wait for one browser; one that is further behind is dropped. The batches are the
	// same for all browsers, so that many slow ones cost hardly more than one. maxUnread is how many bytes they may have.
	maxWaiting = 100
	maxUnread  = 16 << 20
	// returnPatience is how long a device may take to come back to a broker that was away, and the broker to tell what
	// it has kept.
	returnPatience = 5 * time.Second
)

// A hub keeps the latest of every device, and passes on to the browsers what comes. It is safe for concurrent use, and
// nothing waits while it is locked.
type hub struct {
	version []byte // JSON
	log     *slog.Logger
	// What is said once: that a payload is too large, that there are too many devices, and that there is too much of them.
	large, full, shed sync.Once

	mu       sync.Mutex
	broker   item
	up       bool // there is a connection to the broker
	devices  map[string]*memory
	size     int       // bytes, of all of them
	settled  time.Time // when the broker has told all that it has since it was away; zero is never
	pending  batch
	browsers map[*browser]bool
}

// A browser is one stream.
type browser struct {
	batches chan []byte  // closed when the browser is dropped
	unread  atomic.Int64 // bytes that wait in it; who receives takes them off
}

func newHub(version string, log *slog.Logger) *hub {
	quoted, err := json.Marshal(version)
	if err != nil {
		panic(err) // a string
	}
	h := &hub{version: quoted, log: log, devices: make(map[string]*memory), browsers: make(map[*browser]bool)}
	h.broker, _ = newItem("", client.Broker, time.Now(), []byte(`{"connected":false,"broker":"","error":""}`))
	return h
}

// take takes a message of the client, and reports whether it is the first that waits to be passed on.
func (h *hub) take(m client.Message) (first bool) {
	if m.Topic != client.Broker && !mqtt.DeviceIDPattern.MatchString(m.Device) {
		return false // of no device
	}
	if tooLarge(m) {
		h.large.Do(func() {
			h.log.Warn("what is larger than any device publishes is not shown; this is not said again", "device", m.Device, "topic", m.Topic, "bytes", len(m.Payload))
		})
		return false
	}
	i, ok := encode(m)
	if !ok {
		h.log.Debug("ignored a payload that no device publishes", "device", m.Device, "topic", m.Topic, "bytes", len(m.Payload))
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	first = len(h.pending.items) == 0
	switch {
	case m.Topic == client.Broker:
		h.broker = i
		h.reconnected(m)
		h.pending.add(i)
	default:
		h.keep(m, i)
	}
	if h.pending.size >= maxBatch {
		h.flush(m.Received)
	}
	return first && len(h.pending.items) > 0
}

// keep keeps what a device has published. A device that has said no availability counts as offline.
func (h *hub) keep(m client.Message, i item) {
	cleared := m.Topic == client.Availability && string(i.payload) == string(gone)
	d := h.devices[m.Device]
	switch {
	case d == nil && cleared:
		return
	case cleared:
		h.remove(m.Device, m.Received)
		return
	case d == nil && len(h.devices) == maxDevices:
		h.full.Do(func() {
			h.log.Warn("there are more devices than the dashboard shows", "most", maxDevices, "not_shown", m.Device)
		})
		return
	case d == nil:
		d = newMemory()
		h.devices[m.Device] = d
		if m.Topic != client.Availability {
			h.lose(m.Device, d, m.Received)
		}
	}
	d.keep(m, i)
	h.weigh(d)
	h.shrink()
	h.pending.add(i)
}

// weigh counts what is kept of a device.
func (h *hub) weigh(d *memory) {
	h.size -= d.size
	d.size = d.bytes()
	h.size += d.size
}

// shrink gives up what is kept of the largest devices, until all is small enough.
func (h *hub) shrink() {
	for h.size > maxKept {
		var id string
		var largest *memory
		for other, d := range h.devices {
			if largest == nil || d.size > largest.size {
				id, largest = other, d
			}
		}
		h.shed.Do(func() {
			h.log.Warn("the devices publish more than the dashboard keeps; this is not said again", "most_bytes", maxKept, "device", id, "bytes", largest.size)
		})
		largest.shrink()
		h.weigh(largest)
	}
}

// remove forgets a device that is gone for good.
func (h *hub) remove(id string, now time.Time) {
	h.size -= h.devices[id].size
	delete(h.devices, id)
	i, _ := newItem(id, client.Availability, now, gone)
	h.pending.add(i)
}

// lose has a device count as offline.
func (h *hub) lose(id string, d *memory, now time.Time) {
	i, _ := newItem(id, client.Availability, now, offline)
	d.latest[client.Availability] = i
	h.pending.add(i)
}

// reconnected takes what the client says of its connection. After it was lost, the broker tells the availability of
// every device again, and maybe before the client says that it is back.
func (h *hub) reconnected(m client.Message) {
	var c client.Connection
	_ = json.Unmarshal(m.Payload, &c) // the client has made it
	h.up = c.Connected
	if h.up {
		h.settled = m.Received.Add(returnPatience)
		return
	}
	h.settled = time.Time{}
	for _, d := range h.devices {
		d.heard, d.announced = false, false
	}
}

// connected reports whether there is a connection to the broker.
func (h *hub) connected() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.up
}

// pass passes on what waits, or else a sign of life.
func (h *hub) pass(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.settled.IsZero() && !now.Before(h.settled) {
		h.settle(now)
	}
	h.flush(now)
}

// settle takes leave of what has not come back with the broker. A device of which it has kept nothing was removed
// meanwhile; one that does not say that it is online is offline.
func (h *hub) settle(now time.Time) {
	h.settled = time.Time{}
	for id, d := range h.devices {
		switch {
		case !d.heard:
			h.remove(id, now)
		case !d.announced && string(d.latest[client.Availability].payload) != string(offline):
			h.lose(id, d, now)
		}
	}
}

// flush hands the batch to every browser, and drops those that have too much already.
func (h *hub) flush(now time.Time) {
	if len(h.browsers) == 0 {
		h.pending.clear()
		return
	}
	text := h.pending.event(now)
	for b := range h.browsers {
		if b.unread.Add(int64(len(text))) > maxUnread {
			h.drop(b)
			continue
		}
		select {
		case b.batches <- text:
		default:
			h.drop(b)
		}
	}
}

func (h *hub) drop(b *browser) {
	delete(h.browsers, b)
	close(b.batches)
}

// join adds a browser, and returns it with its snapshot; nil when there are too many.
func (h *hub) join(now time.Time) (*browser, [][]byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.browsers) == maxBrowsers {
		return nil, nil
	}
	h.flush(now) // what waits is in the snapshot
	items := make([]item, 0, 1+len(h.devices)*len(retained))
	items = append(items, h.broker)
	for _, id := range slices.Sorted(maps.Keys(h.devices)) {
		for _, topic := range retained {
			if i, known := h.devices[id].latest[topic]; known {
				items = append(items, i)
			}
		}
	}
	b := &browser{batches: make(chan []byte, maxWaiting)}
	h.browsers[b] = true
	return b, snapshot(now, h.version, items)
}

// leave removes a browser that may have been dropped already.
func (h *hub) leave(b *browser) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.browsers[b] {
		h.drop(b)
	}
}

// detail returns what is kept of a device; nil if there is none of that id.
func (h *hub) detail(id string, now time.Time) *detail {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := h.devices[id]; d != nil {
		defer h.weigh(d)
		return d.detail(now)
	}
	return nil
}
