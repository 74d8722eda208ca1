package device_test

import (
	"go/build"
	"strings"
	"testing"
)

// The core must be readable and testable without a broker, a port or a disk.
func TestTheCoreImportsOnlyTheStandardLibrary(t *testing.T) {
	pkg, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(pkg.Imports) == 0 {
		t.Fatal("no imports were found")
	}
	for _, path := range pkg.Imports {
		// Only paths outside the standard library have a dot in their first element.
		if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") || path == "C" {
			t.Errorf("package device imports %s", path)
		}
	}
}
