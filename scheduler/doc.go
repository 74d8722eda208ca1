// Package scheduler makes commands of schedules at their times, on the device itself: it needs neither a
// broker nor a network.
//
//	Scheduler.Command ──► Device.Submit ──► Work ──┐              ┌──► View, Changed
//	                                               ├► inbox ► Run ┼──► Device.Submit: the runs
//	Device.Observe ──► Scheduler.Observe ──────────┘              └──► saver ──► Store
//
// A schedule is set by an operation like any other, and a run is one: with the source schedule:<name> and an
// id of its own it takes the way that all commands take.
//
// # Clocks
//
// The wall clock says what is due, and Run looks at it every 10 s at least, whatever timers believe. What
// was due since it last looked is run if that is no longer ago than time has really passed, and a minute at
// the most. Everything else was skipped by the clock, or passed while the process was away: it is counted
// as missed and never made up for, and of several that come together one is run.
//
// The latest time that was seen is kept with the schedules and with the device's operations. What was due until
// then has been dealt with, so nothing is due while the clock is behind it, and a warning says so.
// Who deletes all schedules while the clock is behind says that it was ahead: what operations have of it until the
// latest time that was seen then counts no more, which is kept with the schedules.
//
// Where a time zone changes its clock, cron(8) is the model: a fixed time of the day that is skipped comes
// right after, one that comes twice counts once, and what has * in its minute or hour goes by the clock.
package scheduler
