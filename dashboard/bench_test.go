package dashboard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/plate-resort/plate-resort/client"
)

// A state as a device publishes it five times a second in a move, of 100 devices, to so many browsers.
func BenchmarkStates(b *testing.B) {
	const devices, perBatch = 100, 25 // 100 devices, 5 times a second, every 50 ms
	state := []byte(`{"status":"busy","message":"Moving to hotel B","activity":"running","activity_since":"2026-11-23T08:00:00.123Z",` +
		`"hotel":null,"angle":57.3,"target_angle":109,"speed":50,"speed_limit":445,"torque":true,"emergency_stop":false,"connection":"connected",` +
		`"operation":{"id":"01M83WQHRHQP6V2R6PVJHNAD5X","operation":"hotel","parameters":{"hotel":"B"},"source":"mqtt","state":"running","attempt":1,` +
		`"queued_at":"2026-11-23T08:00:00.122Z","started_at":"2026-11-23T08:00:00.123Z","finished_at":null,"result":null,"error":null},"queue_length":1,` +
		`"allowed_actions":["hotel","angle","home","speed","stop","reset","connection","reboot","refresh","cancel"],"last_error":null,` +
		`"hotels":["A","B","C","D"],"hotel_angles":{"A":19,"B":109,"C":199,"D":289},"rooms_per_hotel":20,"operations_total":128,"updated_at":"2026-11-23T08:00:00.323Z"}`)
	for _, browsers := range []int{0, 1, 10, maxBrowsers} {
		b.Run(fmt.Sprint("browsers=", browsers), func(b *testing.B) {
			h := newHub("", quiet)
			messages := make([]client.Message, devices)
			for n := range messages {
				messages[n] = client.Message{Device: fmt.Sprint("device-", n), Topic: client.State, Payload: state, Received: time.Now()}
				h.take(messages[n])
			}
			h.pass(time.Now())
			all := make([]*browser, browsers)
			for n := range all {
				all[n], _ = h.join(time.Now())
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(state)))
			for n := 0; b.Loop(); n++ {
				h.take(messages[n%devices])
				if n%perBatch == 0 {
					h.pass(time.Now())
					for _, browser := range all {
						browser.unread.Add(-int64(len(<-browser.batches)))
					}
				}
			}
		})
	}
}

// What a browser costs that comes: a snapshot of 100 devices.
func BenchmarkJoin(b *testing.B) {
	h := newHub("", quiet)
	history := []byte("[" + strings.TrimSuffix(strings.Repeat(`{"id":"01M83WQHRHQP6V2R6PVJHNAD5X","operation":"hotel","state":"completed"},`, 20), ",") + "]")
	for n := range 100 {
		for _, topic := range retained {
			payload := history
			if kinds[topic].begin == '{' {
				payload = []byte(`{"status":"ready"}`)
			}
			h.take(client.Message{Device: fmt.Sprint("device-", n), Topic: topic, Payload: payload, Received: time.Now()})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		browser, _ := h.join(time.Now())
		h.leave(browser)
	}
}
