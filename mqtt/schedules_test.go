package mqtt_test

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt"
)

// fakeSchedules keep whatever is sent. A schedule that says nothing is refused.
type fakeSchedules struct {
	changed chan struct{}

	mu   sync.Mutex
	view any // a pointer
}

var _ mqtt.Schedules = (*fakeSchedules)(nil)

func newFakeSchedules() *fakeSchedules {
	return &fakeSchedules{changed: make(chan struct{}, 1), view: &map[string]string{}}
}

func (f *fakeSchedules) Command(name string, text []byte) (device.Command, error) {
	c := device.Command{ID: "id-" + name, Name: device.ScheduleOperation, Parameters: device.Parameters{Name: &name, Schedule: json.RawMessage(text)}}
	if string(text) == "{}" {
		return c, device.Errorf(device.CodeInvalidPayload, "there is none")
	}
	c.Work = func() (func(context.Context) error, *device.Error) {
		f.set(name, string(text))
		return func(context.Context) error { return nil }, nil
	}
	return c, nil
}

func (f *fakeSchedules) set(name, text string) { f.show(&map[string]string{name: text}) }

func (f *fakeSchedules) show(view any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.view = view
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (f *fakeSchedules) View() any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.view
}

func (f *fakeSchedules) Changed() <-chan struct{} { return f.changed }

func TestLinkTakesAndPublishesSchedules(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	w := watch(t, b.Addr())
	r := newResort(t, b.Addr().String())
	w.untilIs("plate-resort/lab/schedules", `{}`)

	w.publish("plate-resort/lab/schedules/tick/set", ` {"every_seconds":5} `)
	w.untilIs("plate-resort/lab/schedules", `{"tick":"{\"every_seconds\":5}"}`) // before the answer
	op := w.untilOperation("id-tick", device.Completed)
	if op.Name != device.ScheduleOperation || op.Source != "mqtt" || *op.Parameters.Name != "tick" || string(op.Parameters.Schedule) != `{"every_seconds":5}` {
		t.Errorf("the answer is %+v", op)
	}

	w.publish("plate-resort/lab/schedules/tick/set", "{}")
	if op := w.untilOperation("id-tick", device.Rejected); op.Error.Message != "there is none" || op.Source != "mqtt" {
		t.Errorf("the answer is %+v", op)
	}
	w.publish("plate-resort/lab/schedules/tick/set", "") // ignored
	w.publish("plate-resort/lab/schedules/tick/set", strings.Repeat("x", 16<<10+1))
	w.until("plate-resort/lab/operation", func(p []byte) bool {
		var op device.Operation
		return decode(t, p, &op) && op.Error != nil && op.Error.Code == device.CodePayloadTooLarge && *op.Parameters.Name == "tick"
	})
	w.publish("plate-resort/lab/schedules/tick/set", "\xff")
	w.until("plate-resort/lab/operation", func(p []byte) bool {
		var op device.Operation
		return decode(t, p, &op) && op.Error != nil && strings.Contains(op.Error.Message, "UTF-8")
	})

	// A retained one is refused, and changes nothing, whenever it comes.
	r.stopLink()
	w.await(w.client.Publish("plate-resort/lab/schedules/tock/set", 1, true, `{"every_seconds":5}`))
	r = newResort(t, b.Addr().String())
	op = w.untilOperation("id-tock", device.Rejected)
	if op.Error.Code != device.CodeRetainedCommand {
		t.Errorf("the answer is %+v", op.Error)
	}
	if view, _ := r.schedules.View().(*map[string]string); len(*view) > 0 {
		t.Errorf("it has set %v", *view)
	}
}

// What cannot be encoded leaves its topic as it was, and everything else goes on.
func TestASessionOutlivesWhatCannotBeEncoded(t *testing.T) {
	b := listen(t, "127.0.0.1:0")
	w := watch(t, b.Addr())
	r := newResort(t, b.Addr().String())
	w.untilIs("plate-resort/lab/schedules", `{}`)
	w.untilIs("plate-resort/lab/availability", mqtt.Online)
	r.schedules.show(&map[string]float64{"tick": math.NaN()})
	w.publish("plate-resort/lab/schedules/tick/set", "{}")
	for {
		m := w.next()
		if m.Topic() == "plate-resort/lab/availability" {
			t.Fatalf("the session has ended: the availability is %s", m.Payload())
		}
		if m.Topic() == "plate-resort/lab/operation" {
			break // the answer
		}
	}
	r.schedules.show(&map[string]float64{"tick": 1})
	w.untilIs("plate-resort/lab/schedules", `{"tick":1}`)
}
