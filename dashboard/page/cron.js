// When a schedule runs, in words as far as they are simple.

import { span } from './time.js';

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const NAMED = { '@hourly': '0 * * * *', '@daily': '0 0 * * *', '@midnight': '0 0 * * *', '@weekly': '0 0 * * 0', '@monthly': '0 0 1 * *', '@yearly': '0 0 1 1 *', '@annually': '0 0 1 1 *' };
const number = /^\d+$/;
const two = (n) => String(Number(n)).padStart(2, '0');

// What may be in each field.
const FIELDS = [['minute', 0, 59], ['hour', 0, 23], ['day', 1, 31], ['month', 1, 12], ['weekday', 0, 6]];

// wrong says what is out of range in five fields, or ''.
function wrong(fields) {
  for (const [i, [name, low, high]] of FIELDS.entries()) {
    for (const part of fields[i].split(',')) {
      const numbers = part.split('/')[0].split('-').filter((n) => number.test(n)).map(Number);
      const out = numbers.find((n) => n < low || n > high);
      if (out !== undefined) return `${out} is no ${name}: those are ${low} to ${high}`;
      if (numbers[0] > numbers[1]) return `${part} ends before it begins`;
    }
  }
  return '';
}

// cronWords says when, or what is out of range, or '' where only the expression itself can.
export function cronWords(expression) {
  const fields = (NAMED[expression.trim()] ?? expression).trim().split(/\s+/);
  if (fields.length !== FIELDS.length) return '';
  const out = wrong(fields);
  if (out) return out;
  const [minute, hour, day, month, weekday] = fields;
  if (month !== '*') return '';
  const days = dayWords(day, weekday);
  if (!days) return '';
  const every = minute.match(/^\*\/(\d+)$/);
  if (every && hour === '*') return 60 % every[1] === 0 ? join(`every ${Number(every[1])} minutes`, days) : ''; // the hour would cut one short
  if (minute === '*' && hour === '*') return join('every minute', days);
  if (!number.test(minute)) return '';
  if (hour === '*') return join(`every hour at :${two(minute)}`, days);
  const hours = hour.split(',');
  if (!hours.every((h) => number.test(h))) return '';
  return `${days} at ${hours.map((h) => `${two(h)}:${two(minute)}`).join(', ')}`;
}

function join(often, days) {
  return days === 'every day' ? often : `${often}, ${days}`;
}

function dayWords(day, weekday) {
  if (day === '*' && weekday === '*') return 'every day';
  if (weekday === '*') return number.test(day) ? `on day ${day} of the month` : '';
  if (day !== '*') return '';
  const range = weekday.match(/^([0-6])-([0-6])$/);
  if (range) return `${DAYS[range[1]]} to ${DAYS[range[2]]}`;
  const list = weekday.split(',');
  return list.every((d) => /^[0-6]$/.test(d)) ? list.map((d) => DAYS[d]).join(', ') : '';
}

// when says of a schedule when it runs.
export function when(schedule, clock) {
  if (schedule.cron) return cronWords(schedule.cron) || `cron ${schedule.cron}`;
  if (schedule.every_seconds) return `every ${span(schedule.every_seconds * 1000)}`;
  return `once, ${clock(Date.parse(schedule.at))}`;
}
