// Package journal keeps on disk what a device must not forget: a [device.Store] in a bbolt file.
//
//	<directory>/journal.db
//	  device       state     → how the device stands, and when that was written
//	  operations   slot      → one operation: the 1,000 accepted last at least, and all that have not ended
//	  events       sequence  → one event that the broker has not acknowledged: the latest 1,000
//	<directory>/pid          the process that has the journal
//	<directory>/journal.db.unreadable-<time>   one that was put aside
//
// Numbers in keys are big endian, values are JSON. Each [Journal.Save] is one transaction: it is on disk as
// a whole when Save returns, or not at all. Slots are used again and delivered events are deleted, so the
// file does not grow with time, and a Save costs the same however much there is.
//
// The lock on the file keeps other processes out. A device does not need the journal to turn or to stop: a
// file that cannot be read is put aside, and one that cannot be written is tried again with each Save.
package journal
