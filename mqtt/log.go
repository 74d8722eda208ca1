package mqtt

import (
	"bytes"
	"log/slog"
)

// logLines is how many lines wait for the broker; more are not published.
const logLines = 100

// A Log is what of the process's log goes to the broker: JSON lines at info and above.
type Log struct {
	lines chan []byte
}

// NewLog returns an empty log.
func NewLog() *Log { return &Log{make(chan []byte, logLines)} }

// Handler returns a handler that writes everything to both: the log, and next.
func (l *Log) Handler(next slog.Handler) slog.Handler {
	line := slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelInfo})
	return slog.NewMultiHandler(next, line)
}

// Write takes one line. It never waits.
func (l *Log) Write(line []byte) (int, error) {
	select {
	case l.lines <- bytes.TrimSpace(bytes.Clone(line)):
	default:
	}
	return len(line), nil
}
