package device

import "time"

const (
	// haltTimeout bounds how long Run waits, when it is told to end, for a move to be halted.
	haltTimeout = time.Second
	// storeTimeout bounds how long Run waits, when it is told to end, for the store.
	storeTimeout = time.Second
	// leaveTimeout bounds how long Run waits for those who take leave.
	leaveTimeout = 5 * time.Second
)

var errShutDown = Errorf(CodeInterrupted, "the device is shutting down")

// shutDown brings everything to its end. Whoever sends commands takes leave when the last events are stored
// and so can be sent.
func (d *Device) shutDown(leave func()) {
	d.closing = true
	d.open()
	d.giveUp(errShutDown, errShutDown)
	d.giveUpConnecting(errShutDown)
	d.update()
	d.rest()

	stored, left := make(chan struct{}), make(chan struct{})
	d.recorder.stand(d.standing(), stored)
	d.obeyStops(stored, storeTimeout)
	go func() {
		defer close(left)
		leave()
	}()
	d.obeyStops(left, leaveTimeout)
	d.inbox.close()
	d.open()
	d.rest()
	close(d.ended)
	d.update()
}

// obeyStops goes on until done is closed, but not for longer than timeout.
func (d *Device) obeyStops(done <-chan struct{}, timeout time.Duration) {
	late := time.NewTimer(timeout)
	defer late.Stop()
	for {
		d.update()
		select {
		case <-d.inbox.arrived:
			d.open()
		case o := <-d.finished:
			d.finish(o)
		case <-d.motor.Changed():
		case <-d.asked:
		case <-done:
			return
		case <-late.C:
			return
		}
	}
}

// rest waits until nothing is under way.
func (d *Device) rest() {
	timeout := time.NewTimer(haltTimeout)
	defer timeout.Stop()
	for len(d.underway) > 0 {
		select {
		case <-d.inbox.arrived:
			d.open()
		case o := <-d.finished:
			d.finish(o)
		case <-timeout.C:
			d.log.Error("the motor did not come to rest in time", "timeout", haltTimeout)
			for t := range d.underway {
				d.finish(outcome{t, Result{}, errShutDown})
			}
		}
	}
}
