package cmd

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// A screen is the standard output. Where that is a terminal it has colours, and a last line that is rewritten in place.
type screen struct {
	out     io.Writer
	width   func() int // in columns; nil when it is no terminal, or one that only goes forward
	colours bool
	shown   bool // the last line is there
}

func newScreen(out io.Writer) *screen {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || os.Getenv("TERM") == "dumb" {
		return &screen{out: out}
	}
	width := func() int {
		columns, _, err := term.GetSize(int(file.Fd()))
		if err != nil || columns == 0 {
			return 80
		}
		return columns
	}
	return &screen{out: out, width: width, colours: os.Getenv("NO_COLOR") == ""} // https://no-color.org
}

// println prints a line for good.
func (s *screen) println(line string) error {
	s.clear()
	_, err := fmt.Fprintln(s.out, line)
	return err
}

// show shows a text on the last line, in place of the one before; none clears it. Without a terminal it does nothing.
func (s *screen) show(text string) {
	if s.width == nil {
		return
	}
	if text == "" {
		s.clear()
		return
	}
	columns := []rune(text)
	columns = columns[:min(len(columns), s.width()-1)] // in the last column some terminals begin a new line
	fmt.Fprint(s.out, "\r"+string(columns)+eraseToEnd)
	s.shown = true
}

func (s *screen) clear() {
	if s.shown {
		fmt.Fprint(s.out, "\r"+eraseToEnd)
		s.shown = false
	}
}

// A colour is the parameter of the control sequence that selects it (ECMA-48, SGR).
type colour string

const (
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
	faint  colour = "2"
	plain  colour = ""

	eraseToEnd = "\x1b[K" // of the line (ECMA-48, EL)
)

func (s *screen) in(c colour, text string) string {
	if !s.colours || c == plain {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[m"
}

// printable takes out of a text from elsewhere what would control the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
