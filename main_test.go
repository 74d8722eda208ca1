package main

import (
	"go/build"
	"slices"
	"testing"
)

// A schedule's time zone must be known where the system knows none, as in an empty container.
func TestTheTimeZonesAreInTheProgram(t *testing.T) {
	pkg, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(pkg.Imports, "time/tzdata") {
		t.Error("time/tzdata is not imported")
	}
}
