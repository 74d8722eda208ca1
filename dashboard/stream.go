package dashboard

import (
	"net/http"
	"time"
)

const (
	// snapshotTimeout and batchTimeout are how long a browser may take to read.
	snapshotTimeout = 30 * time.Second
	batchTimeout    = 10 * time.Second
)

// serveEvents streams to one browser, until it goes, reads too slowly, or the dashboard ends.
func (d *Dashboard) serveEvents(w http.ResponseWriter, r *http.Request) {
	b, pieces := d.hub.join(time.Now())
	if b == nil {
		refuse(w, http.StatusServiceUnavailable, "too_many_browsers", "%d pages are open already; close one of them", maxBrowsers)
		return
	}
	defer d.hub.leave(b)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // which would have nginx hold the messages back
	s := stream{w, http.NewResponseController(w)}
	if s.write(snapshotTimeout, pieces...) != nil || s.flush() != nil {
		return
	}
	for {
		select {
		case text, open := <-b.batches:
			b.unread.Add(-int64(len(text)))
			if !open || s.write(batchTimeout, text) != nil {
				return
			}
			if len(b.batches) == 0 && s.flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// A stream is an answer that does not end.
type stream struct {
	http.ResponseWriter
	control *http.ResponseController
}

// write writes the pieces, for all of which there is so much time.
func (s stream) write(timeout time.Duration, pieces ...[]byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	for _, piece := range pieces {
		if _, err := s.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

func (s stream) flush() error { return s.control.Flush() }
