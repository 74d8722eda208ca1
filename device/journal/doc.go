// Package journal keeps on disk what a device must not forget: a [device.Store], and a store of schedules, in a
// bbolt file.
//
//	<directory>/journal.db
//	  device       state     → how the device stands, and when that was written
//	  operations   slot      → one operation: the 1,000 accepted last at least, and all that have not ended
//	  events       sequence  → one event that the broker has not acknowledged: the latest, as many as the device keeps
//	  schedules    name      → one schedule, as the scheduler writes it
//	<directory>/pid          the process that has the journal
//	<directory>/journal.db.unreadable-<time>   one that was put aside
//	<memory>/plate-resort-<hash of the directory>   a mark that the last Save has succeeded, in time
//
// Numbers in keys are big endian, values are JSON. Each [Journal.Save] is one transaction: it is on disk as
// a whole when Save returns, or not at all. Slots are used again and delivered events are deleted, so the
// file does not grow with time, and a Save costs the same however much there is.
//
// The lock on the file keeps other processes out. A device does not need the journal to turn or to stop: a
// damaged file is put aside, with what can be read of it copied, and one that cannot be written is tried again
// with each Save. bbolt trusts its pages, so they are checked first. The mark is in $RUNTIME_DIRECTORY or
// /dev/shm, for a disk that fails cannot say so: without it, Away is not known.
package journal
