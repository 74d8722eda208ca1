package device_test

import (
	"sync/atomic"
	"testing/synctest"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/devicetest"
)

// A busy is a motor whose Status takes until the test lets go.
type busy struct {
	*devicetest.Motor
	gate atomic.Pointer[chan struct{}]
}

func (b *busy) Status() device.MotorStatus {
	if gate := b.gate.Load(); gate != nil {
		<-*gate
	}
	return b.Motor.Status()
}

// occupy keeps Run busy with a look at the motor until the function it returns is called.
func (b *busy) occupy() (release func()) {
	gate := make(chan struct{})
	b.gate.Store(&gate)
	b.SetReading(func(r *device.Reading) { r.Angle++ })
	synctest.Wait()
	return func() {
		b.gate.Store(nil)
		close(gate)
	}
}
