package cmd

import (
	"slices"
	"strings"
	"testing"
)

func TestNegativeNumbersAreNoFlags(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"send angle -1", "send angle -- -1"},
		{"send angle -12.5 --param tolerance=2", "send angle --param tolerance=2 -- -12.5"},
		{"schedule set tilt angle -.5 --every 5s", "schedule set tilt angle --every 5s -- -.5"},
		{"send angle -- -1 x", "send angle -- -1 x"},
		{"send angle 1 -h", "send angle 1 -h"},
		{"__complete send angle -1", "__complete send angle -1"},
		{"", ""},
	} {
		if got := setApart(strings.Fields(test.args)); !slices.Equal(got, strings.Fields(test.want)) {
			t.Errorf("%q is read as %q, want %q", test.args, got, test.want)
		}
	}
}
