package cmd

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plate-resort/plate-resort/client"
)

// The broker has a slow line. It is listened to while it goes on, and no longer, whatever else is said.
func TestListDevices(t *testing.T) {
	for _, test := range []struct {
		retained int
		want     time.Duration
	}{
		{0, firstPatience},
		{1, nextPatience},
		{50, 49*nextPatience/2 + nextPatience},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			devices := listDevices(t.Context(), func(ctx context.Context) <-chan client.Message {
				messages := make(chan client.Message)
				go func() {
					defer close(messages)
					for n := 0; n < 1000 && ctx.Err() == nil; n++ {
						m := client.Message{Device: strconv.Itoa(n), Topic: client.Availability, Retained: true}
						switch {
						case test.retained == 0:
							m = client.Message{Topic: client.Broker}
						case n >= test.retained: // live
							m = client.Message{Device: "0", Topic: client.State}
						}
						messages <- m
						select {
						case <-time.After(nextPatience / 2):
						case <-ctx.Done():
						}
					}
				}()
				return messages
			})
			if took := time.Since(began); len(devices) != test.retained || took != test.want {
				t.Errorf("of %d devices %d were found, after %v, want %v", test.retained, len(devices), took, test.want)
			}
		})
	}
}

func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			ago  time.Duration
			want string
		}{
			{-time.Hour, "0 s ago"}, // of a device whose clock is ahead
			{59 * time.Second, "59 s ago"},
			{time.Minute, "1 min ago"},
			{time.Hour - 1, "59 min ago"},
			{47 * time.Hour, "47 h ago"},
			{48 * time.Hour, "2 days ago"},
		} {
			if got := age(time.Now().Add(-test.ago)); got != test.want {
				t.Errorf("%v is %q, want %q", test.ago, got, test.want)
			}
		}
		if got := age(time.Time{}); got != "-" {
			t.Errorf("never is %q", got)
		}
	})
}
