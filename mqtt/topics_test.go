package mqtt

import (
	"strings"
	"testing"
)

func TestDeviceIDs(t *testing.T) {
	for _, id := range []string{"a", "0", "lab", "demo-2", "a_b", strings.Repeat("a", 64)} {
		if !DeviceIDPattern.MatchString(id) {
			t.Errorf("%q is no id", id)
		}
	}
	for _, id := range []string{"", "-a", "_a", "Lab", "a b", "a/b", "a+", "#", "$SYS", "é", `a"`, "a\n", strings.Repeat("a", 65)} {
		if DeviceIDPattern.MatchString(id) {
			t.Errorf("%q is an id", id)
		}
	}
}
