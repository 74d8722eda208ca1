//go:build e2e

package cmd_test

import (
	"strings"
	"syscall"
	"testing"
)

// sending starts a send that waits for a move which goes on for minutes, and returns it with the operation's id.
func (d *device) sending(t *testing.T) (*process, string) {
	t.Helper()
	p := start(t, "plate-resort send hotel C", d.where(), plateResort, "send", "hotel", "C")
	_, id, _ := strings.Cut(p.awaitText(t, "queued as "), "queued as ")
	p.awaitText(t, "running")
	return p, id
}

func expectStatus(t *testing.T, p *process, want int) {
	t.Helper()
	if status := p.status(t); status != want {
		t.Errorf("%s ended with status %d, want %d", p.name, status, want)
	}
}

func TestSendIsInterrupted(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	p, id := d.sending(t)
	_ = p.cmd.Process.Signal(syscall.SIGINT) // fails only if it has ended
	expectStatus(t, p, 1)
	p.awaitText(t, "the operation goes on, and this cancels it")
	words := strings.Fields(p.awaitText(t, "plate-resort send cancel "+id))
	d.ask(t, 0, words[1:]...).awaitText(t, "completed")
	d.watch.operation(t, id, "cancelled")
	d.ask(t, 0, "send", "hotel", "C", "--no-wait") // for minutes
}

func TestSendWhileTheDeviceGoesAway(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	p, id := d.sending(t)
	d.program.kill(t)
	d.watch.availability(t, "offline")
	p.awaitText(t, "device lab is offline; waiting")
	d.run(t)
	p.awaitText(t, "device lab is back")
	p.awaitText(t, "retrying: ")
	d.send(t, "cancel", id)
	expectStatus(t, p, 1)
	p.awaitText(t, "hotel: cancelled")
	d.watch.status(t, "ready")

	p, id = d.sending(t)
	d.program.kill(t)
	expectStatus(t, p, 1)
	p.awaitText(t, "device lab is offline; it may go on with what it has accepted", "--param id="+id)
	d.ask(t, 1, "send", "home").awaitText(t, "device lab is offline")
}

func TestSendWhileTheBrokerGoesAway(t *testing.T) {
	t.Parallel()
	d := newDevice(t, slow)
	p, id := d.sending(t)
	d.broker.process.kill(t)
	p.awaitText(t, "no connection to the broker, waiting for it")
	d.broker.start(t)
	p.awaitText(t, "connected to the broker again")
	d.rewatch(t)
	d.watch.availability(t, "online")
	d.send(t, "cancel", id)
	expectStatus(t, p, 1)
	p.awaitText(t, "cancelled: ")
}

func TestSendStopToADeviceThatIsAway(t *testing.T) {
	t.Parallel()
	d := newDevice(t, brisk)
	d.shutDown(t)
	d.ask(t, 1, "send", "stop").awaitText(t, "device lab is offline; the broker keeps the stop for it")
	d.run(t)
	d.watch.status(t, "e_stop")
}
