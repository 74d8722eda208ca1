//go:build e2e

package cmd_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

var (
	kills    = flag.Int("kills", 10, "how often the process is killed")
	killSeed = flag.Uint64("kills.seed", 1, "of when, and of what it has to do")
)

// A process that is killed again and again, at any moment of its life, loses nothing that it has given a receipt for, and
// does nothing again whose end it has given one for.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(*killSeed, 0))
	t.Cleanup(func() { t.Logf("again: -run TestKilledAgainAndAgain -kills=%d -kills.seed=%d", *kills, *killSeed) })
	d := newDevice(t, brisk, "PLATE_RESORT_PRECISE=false")
	sender := paho.NewClient(paho.NewClientOptions().AddBroker(d.broker.url()).SetClientID("sender"))
	if token := sender.Connect(); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	defer sender.Disconnect(0)
	sent := 0
	send := func() {
		sent++
		payload := fmt.Sprintf(`{"id": "move-%d", "angle": %d}`, sent, 20+random.IntN(40))
		if token := sender.Publish(d.topic("angle/set"), 1, false, payload); token.Wait() && token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	for n := range *kills {
		if n > 0 {
			d.run(t)
		}
		dead := time.After(time.Duration(random.Int64N(int64(2500 * time.Millisecond))))
		for alive := true; alive; {
			send()
			select {
			case <-dead:
				alive = false
			case <-time.After(time.Duration(random.Int64N(int64(400 * time.Millisecond)))):
			}
		}
		d.program.kill(t)
	}
	d.run(t)
	d.program.awaitText(t, "connected to the broker", "connection=commands")
	d.program.awaitText(t, "motor connected")
	for n, state := 1, "rejected"; state == "rejected"; n++ { // as long as a busy machine leaves the servo no time to answer
		last := fmt.Sprintf("last-%d", n) // after all others
		d.send(t, "home", `{"id": "`+last+`"}`)
		d.watch.until(t, "operation", "end of "+last, func(m message) bool {
			op := decode[operation](t, m)
			state = op.State
			return op.ID == last && state != "queued" && state != "running" && state != "retrying"
		})
	}

	type life struct {
		receipt bool
		end     string // durable
		told    []string
	}
	lives := make(map[string]*life)
	for _, e := range d.watch.events(t, func(operation) bool { return true }) {
		l := lives[e.ID]
		if l == nil {
			l = new(life)
			lives[e.ID] = l
		}
		durable := e.Durable == nil || *e.Durable
		change := fmt.Sprint(e.State, e.Attempt, e.Queued, e.Started)
		repeated := slices.Contains(l.told, change) // the process has not lived to keep that the broker has it
		l.told = append(l.told, change)
		if l.end != "" && e.State != l.end && !repeated {
			t.Errorf("%s has ended as %s, and is %s, attempt %d", e.ID, l.end, e.State, e.Attempt)
		}
		if !durable || e.State == "rejected" {
			continue
		}
		l.receipt = true
		if repeated {
			continue
		}
		switch e.State {
		case "completed", "failed", "cancelled", "expired", "interrupted":
			l.end = e.State
		}
	}
	receipts, completed := 0, 0
	for id, l := range lives {
		if l.receipt {
			receipts++
		}
		if l.receipt && l.end == "" {
			t.Errorf("%s was accepted, and has no end", id)
		}
		if l.end == "completed" {
			completed++
		}
	}
	if receipts < *kills/2 || completed == 0 {
		t.Errorf("there were no more than %d receipts and %d moves", receipts, completed)
	}
	t.Logf("%d kills: %d commands, %d receipts, %d completed", *kills, sent, receipts, completed)
}
