package device

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// A Store keeps what must outlive the process. A call may take as long as a disk takes: nothing that moves
// or stops the carousel waits for it. Save is not called again before it has returned.
type Store interface {
	// Load returns what was saved. It is called once, before the motor and the link run. A store that can only begin anew says why
	// in Saved.Warning; an error keeps the device from starting.
	Load() (Saved, error)
	// Save makes the change durable, all of it or nothing, before it returns. What could not be saved is
	// saved again later, with what has come since. The message of an error says what to do about it.
	Save(Change) error
}

// Standing is how the device stands, apart from its operations.
type Standing struct {
	// Latched says that the emergency stop was pressed and not reset.
	Latched bool `json:"latched"`
	// Released says that the motor was released and not connected again, both by command.
	Released bool `json:"released"`
	// OperationsTotal counts the operations that have ended.
	OperationsTotal uint64 `json:"operations_total"`
	// Resuming says that what an earlier process has left still waits to go on: Away goes on counting from
	// the last Save before.
	Resuming bool `json:"resuming,omitempty"`
	// Setup is the one that moves are for.
	Setup Setup `json:"setup"`
}

// A Setup says which servo turns the carousel, and how fast.
type Setup struct {
	Port  string `json:"port"`
	Baud  int    `json:"baud"` // bits a second
	ID    int    `json:"id"`
	Speed int    `json:"speed"` // profile velocity, 0.229 rpm
}

// Saved is what a device begins with.
type Saved struct {
	Standing
	Records []Record // in any order
	// Events are those that were not delivered, oldest first.
	Events []Event
	// NextEvent is a sequence number that no event has had; 0 when there has been none.
	NextEvent uint64
	// Away is how long ago the last Save was that was not Resuming, on the same boot of the machine; nil when it was another
	// one, when a later Save failed or took over two seconds, or when that cannot be known.
	Away *time.Duration
	// Warning is for people: what of the past could not be read; "" when everything was.
	Warning string
}

// A Record is one operation as it is kept.
type Record struct {
	// Slot is the operation's place in the store; whatever had it before is forgotten. There are as many
	// slots as operations are known at once.
	Slot int `json:"-"`
	// Accepted and Ended count acceptances and ends; Ended is 0 until the operation has ended.
	Accepted  uint64    `json:"accepted"`
	Ended     uint64    `json:"ended"`
	Operation Operation `json:"operation"`
	// GivenUp says why an operation that has not ended is not to go on: it is being halted. nil when it may.
	GivenUp *Error `json:"given_up,omitempty"`
}

// A Change is what is to be kept from now on.
type Change struct {
	Standing                // as it is now
	Records  map[int]Record // new or changed, by slot
	Events   []Event        // new ones, oldest first
	// FirstEvent is the first event that is not delivered, or that will be: those before are forgotten.
	FirstEvent uint64
	NextEvent  uint64 // after the newest event
}

// Memory is a Store that lasts as long as the program. The zero value is empty and ready for use.
type Memory struct {
	mu      sync.Mutex
	saved   Saved
	records map[int]Record
}

var _ Store = (*Memory)(nil)

// Load implements [Store].
func (m *Memory) Load() (Saved, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	saved := m.saved
	saved.Records = slices.Collect(maps.Values(m.records))
	saved.Events = slices.Clone(m.saved.Events)
	return saved, nil
}

// Save implements [Store].
func (m *Memory) Save(c Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saved.Standing, m.saved.NextEvent = c.Standing, c.NextEvent
	if m.records == nil {
		m.records = make(map[int]Record)
	}
	maps.Copy(m.records, c.Records)
	m.saved.Events = slices.DeleteFunc(append(m.saved.Events, c.Events...), func(e Event) bool { return e.Sequence < c.FirstEvent })
	return nil
}
