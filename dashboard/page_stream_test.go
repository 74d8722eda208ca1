//go:build e2e

package dashboard

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The page has a stream only while it is seen, and does not take that for the loss of the server.
func TestThePageFollowsWhileItIsSeen(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, page); err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("testdata/stream.js")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"stream.js": script, "package.json": []byte(`{"type": "module"}`)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "stream.js")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
