package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/mqtt"
)

// resendInterval is how long the first event of an operation may take before its command is sent again,
// which the id makes safe.
const resendInterval = 2 * time.Second

func newSend() *cobra.Command {
	var (
		flags      remoteFlags
		parameters map[string]string
		noWait     bool
		asJSON     bool
	)
	c := &cobra.Command{
		Use:   "send OPERATION [VALUE]",
		Short: "Send a device an operation and wait for its result",
		Long: "Send a device an operation over the broker, print each change of its state, and exit with status 0\n" +
			"when it has completed, with 1 when it has not.\n\n" +
			"Operations: " + operationNames(),
		Example: "  plate-resort send hotel B\n" +
			"  plate-resort send angle 90 --param tolerance=0.3 --param timeout_seconds=60\n" +
			"  plate-resort send stop",
		Args: argumentCount(1, 2, "give an operation and, where it takes one, a value"),
		RunE: func(c *cobra.Command, args []string) error {
			s := submission{name: device.Name(args[0]), value: strings.Join(args[1:], ""), id: ulid.Make().String(), out: c.OutOrStdout(), asJSON: asJSON}
			if s.name == device.CancelOperation {
				s.id = "" // there the id is the operation to cancel
			}
			if id, ok := parameters["id"]; ok && s.id != "" {
				s.id = id
			}
			var err error
			if s.payload, err = mqtt.Encode(s.name, s.value, parameters, s.id); err != nil {
				return usageError{err}
			}
			r, err := flags.connect(c.Context(), func(t mqtt.Topics) []string {
				return []string{t.Availability(), t.Operation()}
			})
			if err != nil {
				return err
			}
			defer r.close()
			if err := r.awaitOnline(c.Context()); err != nil {
				return err
			}
			s.topic = r.topics.Set(s.name)
			return s.submit(c.Context(), r, !noWait)
		},
	}
	flags.add(c)
	c.Flags().StringToStringVar(&parameters, "param", nil, "a further field of the command, `name=value`; may be given several times")
	c.Flags().BoolVar(&noWait, "no-wait", false, "return when the device has accepted the operation")
	c.Flags().BoolVar(&asJSON, "json", false, "print the events as JSON lines")
	return c
}

func operationNames() string {
	names := make([]string, len(device.Names))
	for i, n := range device.Names {
		names[i] = string(n)
	}
	return strings.Join(names, ", ")
}

// A submission is one operation on its way to a device and back.
type submission struct {
	name    device.Name
	value   string
	id      string // "" for a cancel, whose id is the operation to cancel
	topic   string
	payload []byte
	out     io.Writer
	asJSON  bool
}

// submit sends the operation, again until the first event comes, and follows it to its end, or to its
// first event if it shall not wait.
func (s submission) submit(ctx context.Context, r *remote, wait bool) error {
	var last device.State
	sent := false
	for {
		if last == "" && (s.id != "" || !sent) { // with an id it may be sent again
			sent = true
			if err := r.await(ctx, r.client.Publish(s.topic, 1, false, s.payload)); err != nil {
				return fmt.Errorf("send the operation: %w", err)
			}
		}
		op, payload, err := s.next(ctx, r)
		if errors.Is(err, errSilence) {
			continue
		}
		if errors.Is(err, errOffline) && last != "" {
			return fmt.Errorf("%w; what it has accepted may go on when it is back: send it again with the same id then, to learn what becomes of it", err)
		}
		if err != nil {
			return err
		}
		if op.State == last && op.State != device.Retrying {
			continue // a copy
		}
		last = op.State
		s.print(op, payload)
		switch op.State {
		case device.Completed:
			return nil
		case device.Queued, device.Running, device.Retrying:
			if !wait {
				return nil
			}
		default:
			return fmt.Errorf("%s: %s", op.Name, op.State)
		}
	}
}

var (
	errSilence = errors.New("nothing came")
	errOffline = errors.New("offline")
)

// next returns the next event of the operation, and its payload. It fails when the device goes offline,
// and with errSilence when nothing comes for a while.
func (s submission) next(ctx context.Context, r *remote) (op device.Operation, payload []byte, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, resendInterval, errSilence)
	defer cancel()
	for {
		m, err := r.next(ctx)
		if err != nil {
			return op, nil, err
		}
		if m.Topic() == r.topics.Availability() {
			if string(m.Payload()) != mqtt.Online {
				return op, nil, fmt.Errorf("device %s is %w", r.device, errOffline)
			}
			continue
		}
		var op device.Operation
		if err := json.Unmarshal(m.Payload(), &op); err != nil {
			return op, nil, fmt.Errorf("%s: %w", m.Topic(), err)
		}
		if s.is(op) {
			return op, m.Payload(), nil
		}
	}
}

// is reports whether an event is one of the submission's.
func (s submission) is(op device.Operation) bool {
	if s.id != "" {
		return op.ID == s.id
	}
	return op.Name == s.name && op.Parameters.Target != nil && *op.Parameters.Target == s.value
}

func (s submission) print(op device.Operation, payload []byte) {
	if s.asJSON {
		fmt.Fprintf(s.out, "%s\n", payload)
		return
	}
	fmt.Fprint(s.out, op.State)
	switch r := op.Result; {
	case op.Error != nil:
		fmt.Fprintf(s.out, ": %s", op.Error.Message)
	case r != nil && r.Angle != nil && r.Deviation != nil:
		fmt.Fprintf(s.out, " in %v s: at %v, %+.2f° from the goal", r.DurationSeconds, *r.Angle, float64(*r.Deviation))
	case r != nil:
		fmt.Fprintf(s.out, " in %v s", r.DurationSeconds)
	}
	fmt.Fprintln(s.out)
}
