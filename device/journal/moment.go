package journal

import "time"

// A moment is a time as the machine counts it since its boot, which nobody sets as they do the wall clock.
type moment struct {
	Boot  string        `json:"boot"` // of which boot; "" when that is not known
	Since time.Duration `json:"since_boot_nanoseconds"`
}

// ago is how long ago a moment was, or nil when it was on another boot.
func (m moment) ago() *time.Duration {
	now := present()
	if now.Boot == "" || now.Boot != m.Boot || now.Since < m.Since {
		return nil
	}
	return new(now.Since - m.Since)
}
