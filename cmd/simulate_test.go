//go:build linux || darwin || freebsd || openbsd

package cmd

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// simulate runs the command until ctx ends and returns its first line.
func simulate(ctx context.Context, arguments ...string) (string, <-chan error) {
	out, in := io.Pipe()
	c := newRoot()
	c.SetOut(in)
	c.SetArgs(append([]string{"simulate"}, arguments...))
	done := make(chan error, 1)
	go func() {
		err := c.ExecuteContext(ctx)
		in.Close()
		done <- err
	}()
	line, _ := bufio.NewReader(out).ReadString('\n')
	return line, done
}

func TestSimulateSaysWhatItSimulates(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	link := filepath.Join(t.TempDir(), "servo")
	line, done := simulate(ctx, "--link", link, "--model", "xm430-w350", "--firmware", "45", "--id", "0", "--baud", "4500000",
		"--fault", "friction=2.5,jam", "--fault", "drop=0.1")
	want := "An XM430-W350 with firmware 45 and id 0 at 4500000 baud is on " + link + ", with the faults friction=2.5,jam,drop=0.1\n"
	if line != want {
		t.Errorf("it says %q, want %q", line, want)
	}
	if _, other := simulate(ctx, "--link", link); !strings.Contains((<-other).Error(), "still running") {
		t.Error("another one took its link")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(link); !os.IsNotExist(err) {
		t.Errorf("the link is left over: %v", err)
	}
}

func TestSimulateSaysAllThatIsWrong(t *testing.T) {
	for _, e := range []struct{ arguments, want string }{
		{"--model x --id 253 --firmware 0 --fault smoke", "--model|XC330-T288 (1220)|--id|252|--firmware|smoke"},
		{"--model 1220 --baud 4500000", "--baud|4000000"}, // as an XM430 has
		{"--baud 12345", "--baud|57600"},
		{"--id 256", "256"},
	} {
		_, done := simulate(t.Context(), strings.Fields(e.arguments)...)
		err := <-done
		if !errors.As(err, new(usageError)) {
			t.Errorf("%s: %v, want wrong usage", e.arguments, err)
			continue
		}
		for part := range strings.SplitSeq(e.want, "|") {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q says nothing of %q", e.arguments, err, part)
			}
		}
	}
}
