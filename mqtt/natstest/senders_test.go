package natstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/device"
)

// Senders have the device move, one command each after the other, and repeat each until it is accepted.
type senders struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu  sync.Mutex
	ids []string // of what has ended
}

func newSenders(t *testing.T, c *client.Client, n int) *senders {
	ctx, stop := context.WithCancel(t.Context())
	s := &senders{stop: stop}
	for i := range n {
		s.done.Go(func() {
			for j := 0; ctx.Err() == nil; j++ {
				id := fmt.Sprintf("%d-%d", i, j)
				if err := send(c, id, float64(10*i+5*(j%2))); err != nil {
					t.Errorf("operation %s: %v", id, err)
					return
				}
				s.mu.Lock()
				s.ids = append(s.ids, id)
				s.mu.Unlock()
			}
		})
	}
	t.Cleanup(func() { s.end() })
	return s
}

// send has one move made, from the command to its end.
func send(c *client.Client, id string, angle float64) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		move, err := c.Submit(ctx, "lab", client.Command{Input: "angle", Fields: map[string]any{"angle": angle}, ID: id})
		switch {
		case errors.Is(err, client.ErrOffline), errors.Is(err, client.ErrUnknown), errors.Is(err, client.ErrUnanswered):
			select {
			case <-time.After(100 * time.Millisecond): // and the same again
			case <-ctx.Done():
				return err
			}
		case err != nil:
			return err
		default:
			_, err := move.Wait(ctx)
			return err
		}
	}
}

func (s *senders) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ids)
}

// end has no more sent, and returns the ids of what was.
func (s *senders) end() []string {
	s.stop()
	s.done.Wait()
	return s.ids
}

// A listener hears every event.
type listener struct {
	mu     sync.Mutex
	events map[string]map[string]bool // by id: each state with its attempt, as an event may come again
}

func listen(t *testing.T, c *client.Client) *listener {
	l := &listener{events: make(map[string]map[string]bool)}
	messages := c.Watch(t.Context())
	go func() {
		for m := range messages {
			var e device.Event
			if m.Topic == client.Operation && json.Unmarshal(m.Payload, &e) == nil {
				l.hear(e)
			}
		}
	}()
	return l
}

func (l *listener) hear(e device.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	op := e.Operation
	if l.events[op.ID] == nil {
		l.events[op.ID] = make(map[string]bool)
	}
	l.events[op.ID][fmt.Sprintf("%s %d", op.State, op.Attempt)] = true
}

// expect fails the test unless what was sent, and nothing else, has been carried out once.
func (l *listener) expect(t *testing.T, ids []string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := slices.Sorted(maps.Keys(l.events)); !slices.Equal(got, slices.Sorted(slices.Values(ids))) {
		t.Errorf("there are events of %q, and %q were sent", got, ids)
	}
	for id, events := range l.events {
		for event := range events {
			if event != "queued 0" && event != "running 1" && event != "completed 1" {
				t.Errorf("operation %s was %s", id, event)
			}
		}
	}
}
