// Package device is the core of Plate Resort: it decides what the carousel does. It knows operations
// and their states, the queue, the emergency stop's latch and where the hotels are. It knows nothing
// of MQTT, serial ports or disks, which reach it through [Motor], [Store] and the methods of [Device].
//
// # One owner
//
// [Device.Run] is the one goroutine that changes state. Everybody else sends it a [Command] or reads
// an immutable [View]:
//
//	Submit ──┐                                 ┌──► View, Changed
//	Stop ────┴► inbox ─┬──► Run ──► goroutine ─┼──► Motor.MoveTo …
//	Motor.Changed ─────┘     │       of the    └──► finished ──► Run
//	                         │       operation
//	                         └──► recorder ──► Store ──► Outbox
//
// # An operation
//
//	queued ──► running ──► completed | failed | cancelled | interrupted
//	   │         │  ▲
//	   │         ▼  │
//	   ├─────► retrying ──► cancelled | expired | interrupted
//	   └──────────────────► cancelled | expired | interrupted
//	rejected (never accepted)
//
// Queued operations run one at a time in the order they came; one that waits for its retry keeps its
// place. Immediate ones do not wait for them, and are tried once.
//
// # What survives
//
// A motion does not wait until its operation is stored; the operation's events do, in the [Outbox], so that
// the first one is a receipt. A [Store] that fails, or takes over two seconds, makes the device degraded: the
// events go out as not durable, and what could not be stored is, once the store works again. What came while
// one [Change] was being saved is the next. Stored are each new state of an operation, the latch, the
// release and the events that are not delivered; that they are is stored with the next change, or a second
// later. While something runs that could go on, a Change says every few seconds that the process lives.
//
// After the end of the process without a shutdown, moves that ran or waited are retrying: they go on, ahead of
// everything new, if the process was away for a short time only on the same boot of the machine, and not
// before a stop would have been heard for a second ([Device.StopHeard]), unless one may be lost ([Device.StopMissed]). All else ends as interrupted, and so
// does what has to wait for longer than that short time.
//
// # The emergency stop
//
// [Device.Stop] goes to the motor first, on the caller's goroutine, past inbox, queue and store. Run
// then sets the latch, cancels what runs or waits, and refuses moves until a reset. Presses are
// numbered, and a reset releases only those that Run has seen: one that comes during a reset wins.
package device
