// Package mqtt is the device's side of the broker: it makes commands of the messages on the input
// topics, and publishes state, operations and availability.
//
//	T = <base>/<device>
//
//	T/<operation>/set  ──► decode ──► Device.Submit, or Device.Reject
//	T/schedules/…/set  ──► Schedules.Command ──► the same
//	T/stop/set         ──► Device.Stop, on two connections
//	Device.View        ──► T/state, T/health, T/queue, T/history, retained: the newest only
//	Schedules.View     ──► T/schedules, retained: the newest only
//	Device.Outbox      ──► T/operation: every event, in order, at least once
//	Log                ──► T/log: what the process logs, when there is room
//	discovery          ──► <prefix>/device/plate_resort/<device>/config, retained: the device in Home Assistant
//	the connection     ──► T/availability, retained, with the will
//	rivals             ◄─► T/instance, retained: which of the processes with this id is the device
//
// A topic that ends in /set is an input. Every other topic is published by the device. AsyncAPI is the
// document of them all.
//
// The emergency stop has a connection of its own, so that no flood on the other one and no full queue
// in the broker holds it up. The commands are subscribed after the stop. A message handler decodes
// and hands over; only that of a stop waits, until the stop is latched.
//
// While another process with the same id is the device, this one has a third connection instead of the two, under a
// client id of its own: for the stop, and for the end of the other.
//
// A connection is a session under a loop: a new paho client each time, nothing carried over from the
// last one, everything current published again. Of several brokers both connections are to the same one, see
// [session.Place].
package mqtt
