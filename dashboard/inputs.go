package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/device"
	"github.com/plate-resort/plate-resort/device/payload"
	"github.com/plate-resort/plate-resort/mqtt"
	"github.com/plate-resort/plate-resort/scheduler"
)

const (
	// submitTimeout is how long a device has to answer.
	submitTimeout = 5 * time.Second
	// maxBody is the largest body that is read, in bytes: a device reads no more, either.
	maxBody = 16 << 10
)

// serveDevice answers with what is kept of a device.
func (d *Dashboard) serveDevice(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	v := d.hub.detail(id, time.Now())
	if v == nil {
		refuse(w, http.StatusNotFound, "unknown_device", "there is no device %s", payload.Quote([]byte(id)))
		return
	}
	answer(w, http.StatusOK, v)
}

// serveInput submits an operation.
func (d *Dashboard) serveInput(w http.ResponseWriter, r *http.Request) {
	name := device.Name(r.PathValue("input"))
	if !name.Known() {
		refuse(w, http.StatusNotFound, "unknown_input", "there is no input %s; there are %s, and schedules/<name>",
			payload.Quote([]byte(name)), payload.Join(device.Names))
		return
	}
	d.submit(w, r, string(name))
}

// serveSchedule submits a schedule.
func (d *Dashboard) serveSchedule(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if err := scheduler.CheckName(name); err != nil {
		refuse(w, http.StatusNotFound, "unknown_input", "%v", err)
		return
	}
	d.submit(w, r, "schedules/"+name)
}

// submit sends a command to a device, and answers with its answer.
func (d *Dashboard) submit(w http.ResponseWriter, r *http.Request, input string) {
	id := r.PathValue("id")
	if !mqtt.DeviceIDPattern.MatchString(id) {
		refuse(w, http.StatusNotFound, "unknown_device", "there is no device %s", payload.Quote([]byte(id)))
		return
	}
	ctx := r.Context()
	command := client.Command{Input: input}
	if input == string(device.StopOperation) {
		ctx = context.WithoutCancel(ctx) // a stop is sent whatever its body is, and whether the browser is still there
	} else if ok := readCommand(w, r, &command); !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	event, err := d.first(ctx, id, command)
	var rejected *client.OperationError
	switch {
	case err == nil:
		answer(w, http.StatusOK, event)
	case errors.As(err, &rejected):
		answer(w, http.StatusConflict, rejected.Operation)
	case errors.Is(err, client.ErrUnknown):
		refuse(w, http.StatusNotFound, "unknown_device", "%v", err)
	case errors.Is(err, client.ErrOffline) && input == string(device.StopOperation):
		refuse(w, http.StatusServiceUnavailable, "offline", "%v; the stop was sent, and is obeyed on return if the broker keeps it", err)
	case errors.Is(err, client.ErrOffline):
		refuse(w, http.StatusServiceUnavailable, "offline", "%v", err)
	case !d.hub.connected():
		refuse(w, http.StatusServiceUnavailable, "broker_disconnected", "there is no connection to the broker; device %s may have got the command or not", id)
	default:
		refuse(w, http.StatusGatewayTimeout, "unanswered", "device %s has not answered in time; it may carry it out all the same", id)
	}
}

// first returns the first event of an operation.
func (d *Dashboard) first(ctx context.Context, id string, command client.Command) (first device.Event, err error) {
	s, err := d.client.Submit(ctx, id, command)
	if err != nil {
		return first, err
	}
	for first, err = range s.Events(ctx) {
		break
	}
	return first, err
}

// readCommand reads a request's body, or refuses it.
func readCommand(w http.ResponseWriter, r *http.Request, command *client.Command) (ok bool) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, string(device.CodeInvalidPayload), "the Content-Type must be application/json")
		return false
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		status, code := http.StatusBadRequest, device.CodeInvalidPayload
		if errors.As(err, new(*http.MaxBytesError)) {
			status, code = http.StatusRequestEntityTooLarge, device.CodePayloadTooLarge
			err = fmt.Errorf("the body has more than %d bytes", maxBody)
		}
		refuse(w, status, string(code), "%v", err)
		return false
	}
	command.Fields, err = fields(text, command.Input == string(device.CancelOperation))
	if err != nil {
		refuse(w, http.StatusBadRequest, string(device.CodeInvalidPayload), "%v", err)
	}
	return err == nil
}

// fields reads a JSON object. An id is for a cancel only.
func fields(text []byte, cancels bool) (map[string]any, error) {
	if text = bytes.TrimSpace(text); len(text) == 0 || text[0] != '{' {
		return nil, errors.New("the body must be a JSON object")
	}
	object, err := payload.Object(text)
	if err != nil {
		return nil, err
	}
	fields := make(map[string]any, len(object))
	for name, value := range object {
		fields[name] = value
	}
	raw, given := object["id"]
	switch {
	case given && !cancels:
		return nil, errors.New("there must be no id: the operation gets one")
	case !given && cancels:
		return nil, errors.New(`there must be an id: that of an operation, or "all"`)
	case cancels:
		fields["id"], err = payload.ID(raw)
	}
	return fields, err
}

// answer answers with JSON.
func answer(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":{"code":"internal","message":"the answer cannot be encoded"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // to a browser that may have gone
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, status int, code, format string, args ...any) {
	answer(w, status, map[string]device.Error{"error": {Code: device.Code(code), Message: fmt.Sprintf(format, args...)}})
}
