// The time is the server's: the browser's clock may be wrong, and that of a panel without a network often is.

let ahead = 0; // ms by which the server's clock is ahead of the browser's

export function setServerTime(now) {
  ahead = now - Date.now();
}

export function now() {
  return Date.now() + ahead;
}

const clockFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const dayFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

// clock is the time of the day, with the day when that is another one.
export function clock(ms) {
  const time = clockFormat.format(ms);
  const day = dayFormat.format(ms);
  return day === dayFormat.format(now()) ? time : `${day} ${time}`;
}

// span is a duration in words, in its largest unit.
export function span(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 48 * 3600) {
    const minutes = Math.floor((s % 3600) / 60);
    return s < 10 * 3600 && minutes ? `${Math.floor(s / 3600)} h ${minutes} min` : `${Math.floor(s / 3600)} h`;
  }
  return `${Math.floor(s / 86400)} d`;
}

// shortSpan is a duration in its largest unit alone.
export function shortSpan(ms) {
  return span(ms).replace(/( h) .*/, '$1');
}

export function ago(ms) {
  const age = now() - ms;
  return age < 1500 ? 'now' : `${span(age)} ago`;
}

// stamp is a time of the past, and how long ago it is, unless that is now.
export function stamp(ms) {
  return now() - ms < 1500 ? clock(ms) : `${clock(ms)}, ${ago(ms)}`;
}

// until is how long it is to a time to come.
export function until(ms) {
  const left = ms - now();
  return left < 1000 ? 'now' : `in ${span(left)}`;
}

// seconds is a short duration, as of an operation.
export function seconds(s) {
  if (s < 0.1) return `${Math.round(s * 1000)} ms`;
  if (s < 60) return `${s.toFixed(s < 10 ? 2 : 1)} s`;
  return span(s * 1000);
}

// inZone is a time as people in a time zone say it, with the day of the week.
export function inZone(ms, zone) {
  const options = { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
  try {
    return new Intl.DateTimeFormat('en-GB', { ...options, timeZone: zone }).format(ms);
  } catch { // a zone that the browser does not know
    return new Intl.DateTimeFormat('en-GB', { ...options, timeZone: 'UTC' }).format(ms) + ' UTC';
  }
}
