package device

// A View is everything that the device shows, at one moment. Nothing in it is changed after it was made:
// what is new has a new pointer.
type View struct {
	State   *Snapshot
	Health  *Health
	Queue   *[]Operation // the first 20 that wait, in order
	History *[]Operation // the last 20 that have ended, newest first
}

// listed is how many operations a list shows.
const listed = 20

func listQueue(queue []*task) *[]Operation {
	queue = queue[:min(listed, len(queue))]
	list := make([]Operation, 0, len(queue))
	for _, t := range queue {
		list = append(list, t.operation)
	}
	return &list
}

// A history holds the latest operations that have ended.
type history struct {
	changed bool // since the last list
	ended   []Operation
}

func (h *history) add(op Operation) {
	if len(h.ended) == listed {
		h.ended = append(h.ended[:0], h.ended[1:]...)
	}
	h.ended = append(h.ended, op)
	h.changed = true
}

// list returns the operations, newest first.
func (h *history) list() *[]Operation {
	h.changed = false
	list := make([]Operation, len(h.ended))
	for i, op := range h.ended {
		list[len(list)-1-i] = op
	}
	return &list
}
