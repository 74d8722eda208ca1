// Package device is the core of Plate Resort: it decides what the carousel does. It knows operations
// and their states, the queue, the emergency stop's latch and where the hotels are. It knows nothing
// of MQTT, serial ports or disks, which reach it through [Motor], [Store] and the methods of [Device].
//
// # One owner
//
// [Device.Run] is the one goroutine that changes state. Everybody else sends it a [Command] or reads
// an immutable [Snapshot]:
//
//	Submit ──┐                                 ┌──► Snapshot, Changed
//	Stop ────┴► inbox ─┬──► Run ──► goroutine ─┼──► Motor.MoveTo
//	Motor.Changed ─────┘     │       of the    └──► finished ──► Run
//	                         │       operation
//	                         └──► recorder ──► Store ──► Outbox
//
// # An operation
//
//	queued ──► running ──► completed | failed | cancelled | interrupted
//	   └──────────────────► failed | cancelled | interrupted
//	rejected (never accepted)
//
// Queued operations run one at a time in the order they came. Immediate ones do not wait for them.
// A motion starts before its operation is stored; its events are released after.
//
// # The emergency stop
//
// [Device.Stop] goes to the motor first, on the caller's goroutine, past inbox, queue and store. Run
// then sets the latch, cancels what runs or waits, and refuses moves until a reset. Presses are
// numbered, and a reset releases only those that Run has seen: one that comes during a reset wins.
package device
