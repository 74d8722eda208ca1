package device_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// check compares the state with what must hold at any time.
func (w *walk) check() {
	w.t.Helper()
	w.checkEvents()
	s, motor := w.View().State, w.motor.Status()

	moves := w.motor.Moves()
	under := 0
	for _, m := range moves {
		if !m.Ended() {
			under++
		}
	}
	for _, m := range moves[w.moves:] {
		var refused *device.Error
		if errors.As(m.Refused, &refused) && refused.Code == device.CodeMotorDisconnected {
			continue // it was lost while the move waited for the speed that was sent before it
		}
		if m.Refused != nil || w.latched && s.EmergencyStop || w.released {
			w.t.Fatalf("a move to %v began while it could not: %v", m.Goal, m.Refused)
		}
		if len(w.resuming) > 0 && (!w.heard || time.Since(w.heardAt) < time.Second) {
			w.t.Fatalf("a move to %v began before a stop had been heard: %v", m.Goal, w.resuming)
		}
	}
	w.moves = len(moves)
	for _, c := range w.motor.Calls(devicetest.Reboot) {
		if !c.Answered() {
			under++
		}
	}
	waits := false // for the speed that was sent before it
	for _, c := range w.motor.Calls(devicetest.SetSpeed) {
		waits = waits || !c.Answered()
	}
	running := s.Operation != nil && s.Operation.State == device.Running
	if under > 1 || under == 1 && !running || under == 0 && running && !waits {
		w.t.Fatalf("%d moves and reboots are under way, and the snapshot has %+v", under, s.Operation)
	}
	if s.QueueLength > queueSize+1 || s.QueueLength > queueSize && len(w.resuming) == 0 { // with what ran before a kill
		w.t.Fatalf("%d operations wait", s.QueueLength)
	}
	if s.Operation == nil && s.QueueLength > 0 && len(w.resuming) == 0 {
		w.t.Fatalf("%d operations wait for nothing", s.QueueLength)
	}
	if s.EmergencyStop != w.motor.Held() {
		w.t.Fatalf("latched is %v, and the motor is held %v", s.EmergencyStop, w.motor.Held())
	}
	if s.Connection != motor.Connection || s.Torque != motor.Torque || motor.Reading != nil && *s.Angle != motor.Reading.Angle.Round() {
		w.t.Fatalf("the snapshot is %+v, and the motor %+v", s, motor)
	}
	if saved, _ := w.store.(*disk).Memory.Load(); w.heal == nil && (saved.Latched != s.EmergencyStop || saved.Released != w.released) {
		w.t.Fatalf("stored is latched %v, released %v; want %v, %v", saved.Latched, saved.Released, s.EmergencyStop, w.released)
	}
	if w.released && (s.Status == device.StatusBusy || s.Status == device.StatusReady) {
		w.t.Fatalf("released, the status is %s", s.Status)
	}
	if view := w.View(); len(*view.Queue) != s.QueueLength || len(*view.History) > 20 {
		w.t.Fatalf("the queue shows %d of %d", len(*view.Queue), s.QueueLength)
	}
	if s.Status == device.StatusReady && !slices.Contains(s.AllowedActions, device.HomeOperation) {
		w.t.Fatalf("ready, and allowed are %v", s.AllowedActions)
	}
	if s.Status == device.StatusReady && (s.EmergencyStop || s.Operation != nil || s.Connection != device.Connected) {
		w.t.Fatalf("ready is %+v", s)
	}
}

// checkEvents follows each operation on its way: accepted once, ended once, and never changed after.
func (w *walk) checkEvents() {
	w.t.Helper()
	for i, op := range w.events[w.seen:] {
		if op.State == device.Rejected {
			w.refused[op.ID] = true
			continue
		}
		durable := w.durable[w.seen+i]
		if _, repeated := w.told[string(encoded(op))]; repeated {
			if durable { // now it is a receipt
				w.keep(op)
			}
			continue
		}
		w.told[string(encoded(op))] = len(w.told)
		if durable {
			w.keep(op)
		}
		if op.State != device.Retrying || op.Error.Code != device.CodeInterrupted {
			delete(w.resuming, op.ID)
		}
		if _, ok := w.first[op.ID]; !ok {
			w.first[op.ID] = op
		}
		end, over := w.ends[op.ID]
		switch {
		case over:
			if diff := diffOf(end, op); diff != "" {
				w.t.Fatalf("%s has changed after its end (-end +now):\n%s", op.ID, diff)
			}
		case op.State != device.Queued && op.State != device.Running && op.State != device.Retrying:
			w.ends[op.ID] = op
		}
		w.checkAttempt(op)
	}
	w.seen = len(w.events)
}

// keep takes note of a receipt.
func (w *walk) keep(op device.Operation) {
	if last, ok := w.kept[op.ID]; !ok || last.FinishedAt == nil {
		w.kept[op.ID] = op
	}
}

// checkReplay compares what a process publishes again with what was published before: in the same order.
func (w *walk) checkReplay() {
	w.t.Helper()
	last := -1
	for _, op := range w.events {
		if op.State == device.Retrying && op.Error.Code == device.CodeInterrupted {
			continue // a new one looks like that of the last kill
		}
		index, repeated := w.told[string(encoded(op))]
		if !repeated {
			break
		}
		if index < last {
			w.t.Fatalf("%s is published again after what followed it", brief(op))
		}
		last = index
	}
}

func encoded(op device.Operation) []byte {
	b, err := json.Marshal(op)
	if err != nil {
		panic(err) // every operation is published
	}
	return b
}

// checkAttempt follows the number of an operation's attempts: by one, and not beyond what it has.
func (w *walk) checkAttempt(op device.Operation) {
	w.t.Helper()
	before := w.attempts[op.ID]
	most := 4
	if op.Parameters.Retries != nil {
		most = 1 + *op.Parameters.Retries
	}
	if !op.Name.Queues() {
		most = 1
	}
	if op.Attempt < before || op.Attempt > before+1 || op.Attempt > most {
		w.t.Fatalf("attempt %d of %s follows %d of at most %d", op.Attempt, op.ID, before, most)
	}
	if op.State == device.Retrying && (op.Error == nil || op.Attempt == most) {
		w.t.Fatalf("%s is tried again after attempt %d of %d: %v", op.ID, op.Attempt, most, op.Error)
	}
	w.attempts[op.ID] = op.Attempt
}

// finish lets everything come to its end.
func (w *walk) finish() {
	if w.heal != nil {
		w.disk()
	}
	w.cancel()
	for _, m := range w.motor.Moves() {
		m.Fail(context.Canceled)
	}
	for _, method := range methods {
		w.motor.Hold(method, false)
	}
	w.shutDown()
	w.waitEnd(4 * time.Second)
	w.settle()
	w.checkEvents()
	for _, c := range w.commands {
		if _, over := w.ends[c.ID]; !over && !w.refused[c.ID] {
			w.t.Errorf("%s %s has no answer that ends it", c.Name, c.ID)
		}
	}
	for id, op := range w.first {
		if _, over := w.ends[id]; !over {
			w.t.Errorf("%s has not ended: %s", id, brief(op))
		}
	}
	if len(w.first) < *walkSteps/10 {
		w.t.Errorf("only %d operations were accepted", len(w.first))
	}
}
