package journal_test

import (
	"fmt"
	"testing"

	"github.com/plate-resort/plate-resort/device"
)

// BenchmarkSave is what one operation costs on disk, from queued over running to completed, after so many
// others.
func BenchmarkSave(b *testing.B) {
	for _, before := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprint("after ", before), func(b *testing.B) {
			j, _ := open(b, b.TempDir())
			const slots = 1100
			n := uint64(0)
			operate := func(atOnce int) {
				for range 3 {
					c := device.Change{Records: make(map[int]device.Record)}
					for i := range uint64(atOnce) {
						r := record(int((n+i)%slots), n+i+1, 0)
						c.Records[r.Slot] = r
						c.NextEvent++
						c.Events = append(c.Events, event(3*n+c.NextEvent))
					}
					c.FirstEvent = 3 * n
					save(b, j, c)
				}
				n += uint64(atOnce)
			}
			for range before / 10 {
				operate(10)
			}
			b.ReportAllocs()
			for b.Loop() {
				operate(1)
			}
		})
	}
}
