package device

import (
	"errors"
	"fmt"
)

// A Code names a kind of error to programs.
type Code string

// The codes that the device answers with.
const (
	CodeInvalidPayload    Code = "invalid_payload"
	CodeUnknownOperation  Code = "unknown_operation"
	CodePayloadTooLarge   Code = "payload_too_large"
	CodeRetainedCommand   Code = "retained_command"
	CodeQueueFull         Code = "queue_full"
	CodeDuplicateID       Code = "duplicate_id"
	CodeClockUntrusted    Code = "clock_untrusted"
	CodeEmergencyStopped  Code = "emergency_stopped"
	CodeMotorDisconnected Code = "motor_disconnected"
	CodeMotorFault        Code = "motor_fault"
	CodeTimeout           Code = "timeout"
	CodeStalled           Code = "stalled"
	CodeSerialError       Code = "serial_error"
	CodeExpired           Code = "expired"
	CodeCancelled         Code = "cancelled"
	CodeInterrupted       Code = "interrupted"
)

// An Error is what an operation ends with when it is not completed: a code for programs, and for
// people a message that says what was wrong and what would be right.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`

	cause error
}

// Errorf makes an Error. A %w in format keeps the cause for errors.Is and errors.As.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{code, err.Error(), errors.Unwrap(err)}
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause, if there is one.
func (e *Error) Unwrap() error { return e.cause }
