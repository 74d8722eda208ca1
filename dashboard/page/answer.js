// The line beside a command: what became of it, as long as that is so.

import { text, attr } from './dom.js';
import { gone } from './store.js';

const BRIEF = 8e3, LONG = 30e3; // ms for which what is well is shown, and what is not
const KINDS = { completed: 'ok', queued: 'ok', running: 'ok', retrying: 'ok', cancelled: 'ended' }; // else refused
const WORDS = { completed: 'done', queued: 'accepted', running: 'accepted', retrying: 'accepted' };
const lines = new Map(); // what each field says: {timer, device, what, id, situation}

function say(field, kind, words, line = {}) {
  clearTimeout(lines.get(field)?.timer);
  line.timer = setTimeout(() => clear(field), kind === 'refused' ? LONG : BRIEF);
  lines.set(field, line);
  attr(field, 'data-kind', kind);
  text(field, words);
}

export function clear(field) {
  clearTimeout(lines.get(field)?.timer);
  lines.delete(field);
  text(field, '');
}

// wrong says in a field what is wrong with what was typed.
export function wrong(field, words) {
  say(field, 'refused', words);
}

// answer says in a field what a device has answered.
export function answer(device, field, { ok, message, code, operation }, what) {
  if (!ok) {
    // What is wrong with the command itself is so in every state.
    say(field, 'refused', `${what}: ${message}`, { device, situation: code === 'invalid_payload' ? null : situation(device) });
    return;
  }
  become(device, field, operation, what);
  settle(device); // its end may have come before
}

function become(device, field, operation, what) {
  const state = operation?.state ?? 'queued';
  const why = state === 'completed' ? '' : operation?.error?.message;
  say(field, KINDS[state] ?? 'refused', `${what}: ${WORDS[state] ?? state}${why ? `, ${why}` : ''}`,
    operation?.finished_at ? {} : { device, what, id: operation?.id });
}

// situation is what a refusal is due to.
function situation(device) {
  return JSON.stringify([gone(device)?.what, device.state?.status, device.state?.allowed_actions]);
}

// settle says how what was accepted has ended, and takes away what is refused no more.
export function settle(device) {
  for (const [field, line] of lines) {
    if (line.device !== device) continue;
    if (line.situation && line.situation !== situation(device)) clear(field);
    const end = line.id && [...device.operations, ...device.history].find((op) => op.id === line.id && op.finished_at);
    if (end) become(device, field, end, line.what);
  }
}
