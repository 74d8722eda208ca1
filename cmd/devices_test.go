package cmd

import (
	"testing"
	"testing/synctest"
	"time"
)

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
