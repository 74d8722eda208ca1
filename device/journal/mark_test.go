package journal

import (
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// A disk that hangs has had everything again once it has taken the last.
func TestTheMarkIsGoneWhileASaveTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := markOf(t.TempDir())
		there := func() bool { _, err := os.Stat(string(m)); return err == nil }
		save := func(took time.Duration, after bool) {
			t.Helper()
			err := m.saving(func() error {
				time.Sleep(took)
				synctest.Wait()
				if there() != after {
					t.Errorf("after %v of a Save the mark is there: %v", took, !after)
				}
				return nil
			})
			if err != nil || !there() {
				t.Errorf("after the Save: %v, the mark is there: %v", err, there())
			}
		}
		save(0, false) // the first one
		save(2*time.Second-1, true)
		save(2*time.Second, false)
		if !m.take() || m.take() {
			t.Error("it is not taken once")
		}
	})
}

func TestEachDirectoryHasAMarkOfItsOwn(t *testing.T) {
	t.Chdir("/")
	if markOf("/a/b") == markOf("/a/c") || markOf("/a/b") != markOf("a/b") {
		t.Errorf("the marks are %q, %q and %q", markOf("/a/b"), markOf("/a/c"), markOf("a/b"))
	}
}
