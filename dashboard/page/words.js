// Statuses, operations and angles in words.

import { gone } from './store.js';

// Of each status the word, and a shape that tells it from the others without colour, in a box of 24 by 24.
const STATUS = {
  ready: ['Ready', 'M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm-1.6 14.4L6 12l1.9-1.9 2.5 2.5 5.7-5.7L18 8.8Z'],
  busy: ['Busy', 'M12 2a10 10 0 0 1 9.5 6.9l-3 .9A6.9 6.9 0 0 0 6.3 8.1L9 10.8H2V3.8l2.1 2.1A10 10 0 0 1 12 2ZM2.5 15.1l3-.9a6.9 6.9 0 0 0 12.2 1.7L15 13.2h7v7l-2.1-2.1A10 10 0 0 1 2.5 15.1Z'],
  degraded: ['Warning', 'M12 2 23 21H1ZM10.8 9v6h2.4V9Zm0 7.5v2.4h2.4v-2.4Z'],
  error: ['Fault', 'M12 1 23 12 12 23 1 12ZM10.8 6v7.5h2.4V6Zm0 9.3v2.4h2.4v-2.4Z'],
  e_stop: ['Emergency stop', 'M7.9 2h8.2L22 7.9v8.2L16.1 22H7.9L2 16.1V7.9ZM6 10.6v2.8h12v-2.8Z'],
  requires_init: ['No motor', 'M9 1h2.5v5h1V1H15v5h3v5a6 6 0 0 1-4.7 5.9V23h-2.6v-6.1A6 6 0 0 1 6 11V6h3ZM3 19.3 19.3 3 21 4.7 4.7 21Z'],
  unknown: ['Not known yet', 'M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm0 2.6a7.4 7.4 0 1 1 0 14.8 7.4 7.4 0 0 1 0-14.8ZM10.7 15.2v2.4h2.6v-2.4ZM8.5 9.5h2.4c0-1 .5-1.5 1.2-1.5s1.2.5 1.2 1.2c0 1.4-2.5 1.7-2.5 4.7h2.4c0-2 2.6-2.5 2.6-4.8 0-2-1.5-3.3-3.7-3.3S8.5 7.3 8.5 9.5Z'],
  gone: ['Offline', 'M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm0 2.6c1.6 0 3.1.5 4.3 1.4L6 16.3A7.4 7.4 0 0 1 12 4.6Zm0 14.8c-1.6 0-3.1-.5-4.3-1.4L18 7.7a7.4 7.4 0 0 1-6 11.7Z'],
};

const GONE = { server: 'Not heard', broker: 'Not heard', device: 'Offline' };

// status returns of a device {key, word, message, shape}: key is its status, or "gone" while it cannot be heard.
export function status(device) {
  const state = device.state;
  const away = gone(device);
  const key = away ? 'gone' : STATUS[state?.status] ? state.status : 'unknown';
  let [word, shape] = STATUS[key];
  let message = state?.message ?? '';
  if (away) {
    word = GONE[away.what];
    message = message && `Last: ${message}`;
  } else if (key === 'requires_init') {
    word = { released: 'Motor released', connecting: 'Looking for the motor' }[state.connection] ?? 'Motor not connected';
  } else if (key === 'busy' && message.startsWith('Moving')) {
    word = 'Moving';
  } else if (key === 'degraded' && state.operation) { // which the message is too full to say
    word = `${state.target_angle === null ? 'Busy' : 'Moving'}, warning`;
  }
  return { key, word, message: rest(message, word), shape };
}

// unreachable says why nothing comes to a device, or ''.
export function unreachable(device) {
  const away = gone(device);
  return away ? { server: 'the dashboard is out of reach', broker: 'the broker is gone', device: `${device.id} is offline` }[away.what] : '';
}

// rest is the message without the word that stands before it already.
function rest(message, word) {
  if (!message.startsWith(word)) return message;
  const left = message.slice(word.length).replace(/^[:\s]+/, '');
  return left.charAt(0).toUpperCase() + left.slice(1);
}

export function degrees(angle, decimals = 2) {
  return angle === null || angle === undefined ? '–' : `${angle.toFixed(decimals)}°`;
}

const DOES = { home: 'Home', stop: 'Emergency stop', reset: 'Reset', reboot: 'Reboot', refresh: 'Read motor' };

// operation is what an operation does.
export function operation(name, parameters = {}) {
  const p = parameters ?? {};
  switch (name) {
    case 'hotel': return `Hotel ${p.hotel ?? ''}`;
    case 'angle': return `Angle ${p.angle ?? ''}°`;
    case 'speed': return `Speed ${p.speed ?? ''}`;
    case 'connection': return p.state === 'OFF' ? 'Release motor' : 'Connect motor';
    case 'cancel': return p.id === 'all' ? 'Cancel all' : 'Cancel';
    case 'schedule': return p.schedule?.delete ? `Delete schedule ${p.name ?? ''}` : `Schedule ${p.name ?? ''}`;
  }
  return DOES[name] ?? name;
}

// source says where an operation came from when it was nobody's command.
export function source(from) {
  return from?.startsWith('schedule:') ? `by ${from.slice('schedule:'.length)}` : '';
}
