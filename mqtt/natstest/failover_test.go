package natstest

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt/session"
)

// An entry is a line of the device's log.
type entry struct {
	Message    string `json:"msg"`
	Connection string `json:"connection"`
	Broker     string `json:"broker"`
}

func parse(line []byte) (e entry, ok bool) {
	err := json.Unmarshal(line, &e)
	return e, err == nil
}

const rounds = 5

// The server that the device is connected to is killed, again and again, while it is sent commands. Each of them ends
// once.
func TestEachCommandEndsOnceWhateverServerDies(t *testing.T) {
	nodes := newCluster(t)
	d := startDevice(t, nodes)
	c := client.Start(client.Config{Broker: session.Broker{URLs: d.brokers}, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	t.Cleanup(c.Close)
	l := listen(t, c)

	senders := newSenders(t, c, 2)
	for round := range rounds {
		enough := senders.total() + 3
		await(t, "command that is carried out", func() bool { return senders.total() >= enough })
		await(t, "connection of both", func() bool {
			stop, commands := d.connections(t, "stop"), d.connections(t, "commands")
			return len(stop) > 0 && len(commands) > 0 && stop[len(stop)-1] == commands[len(commands)-1]
		})
		before := d.connections(t, "commands")
		at := before[len(before)-1]
		victim := nodes[slices.Index(d.brokers, at)]
		victim.process.end(syscall.SIGKILL)
		killed := time.Now()
		await(t, "connection to another server", func() bool { return len(d.connections(t, "commands")) > len(before) })
		t.Logf("round %d: the device has left %s after %v", round, victim.name, time.Since(killed))
		victim.start(t)
		awaitCluster(t, nodes)
		t.Logf("round %d: the cluster is well after %v", round, time.Since(killed))
	}
	sent := senders.end()
	t.Logf("%d commands", len(sent))
	l.expect(t, sent)
	for _, n := range nodes {
		expectRetained(t, n, uint64(len(sent)))
	}
}

// expectRetained looks at what a server has of the device.
func expectRetained(t *testing.T, n *node, total uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := client.Dial(ctx, client.Config{Broker: session.Broker{URLs: []string{"tcp://" + n.mqtt}}})
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	missing := map[client.Topic]bool{
		client.Availability: true, client.State: true, client.Health: true, client.Queue: true, client.History: true, client.Schedules: true,
	}
	for m := range c.Watch(ctx) {
		switch m.Topic {
		case client.Availability:
			if string(m.Payload) != "online" {
				continue
			}
		case client.State:
			var s device.Snapshot
			if err := json.Unmarshal(m.Payload, &s); err != nil {
				t.Error(err)
			}
			if s.Status != device.StatusReady || s.OperationsTotal != total {
				continue
			}
		}
		if delete(missing, m.Topic); len(missing) == 0 {
			return
		}
	}
	t.Errorf("%s has not told %v of the device", n.name, slices.Sorted(maps.Keys(missing)))
}
