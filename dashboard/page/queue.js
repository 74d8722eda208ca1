// What runs and what waits, each with a way to give it up.

import { el, text, attr, show, list } from './dom.js';
import { ms } from './store.js';
import { command, hindrance } from './commands.js';
import { operation, source, degrees } from './words.js';
import { now, span } from './time.js';

export function queue(root, field, device) {
  const everything = root.querySelector('[data-action=cancel][data-value=all]');
  const running = field.running;
  const stopIt = running.querySelector('button');
  const progress = running.querySelector('progress');
  const answer = field['queue-answer'];
  let begun = null; // {id, angle}: where the operation that runs was seen to begin

  const cancel = (button, id, what) => command(device, button, answer, 'cancel', 'cancel', { id }, `Cancel ${what}`);
  everything.addEventListener('click', () => cancel(everything, 'all', 'all'));
  stopIt.addEventListener('click', () => cancel(stopIt, stopIt.dataset.value, field['running-what'].textContent));

  const rows = list(root.querySelector('#queue'), (op) => op.id, (first) => {
    const what = el('b'), how = el('span');
    const button = el('button', { type: 'button', class: 'quiet', 'data-action': 'cancel', 'data-value': first.id }, 'Cancel');
    button.addEventListener('click', () => cancel(button, first.id, what.textContent));
    const row = {
      node: el('li', { 'data-operation': first.id }, el('div', {}, what, ' ', how), button),
      op: first,
      update(op) {
        row.op = op;
        text(what, operation(op.operation, op.parameters));
        attr(button, 'aria-label', `Cancel ${what.textContent}`);
        row.tick();
      },
      tick() {
        const retry = row.op.state === 'retrying' ? `tried again: ${row.op.error?.message ?? ''}` : `waiting ${span(now() - ms(row.op.queued_at))}`;
        text(how, [source(row.op.source), retry].filter(Boolean).join(', '));
      },
    };
    return row;
  });
  let shown = new Map();

  function way(state, op) {
    if (begun?.id !== op.id) begun = { id: op.id, angle: state.angle, started: op.started_at };
    const moves = typeof state.target_angle === 'number' && typeof state.angle === 'number';
    show(progress, moves);
    if (!moves) return '';
    const whole = Math.abs(state.target_angle - begun.angle);
    const left = Math.abs(state.target_angle - state.angle);
    if (whole > 0.5) progress.value = Math.min(100, Math.max(0, 100 * (1 - left / whole)));
    else progress.value = 100;
    return `${degrees(left, 1)} to go`;
  }

  return {
    topics: ['state', 'queue', 'availability'],
    render() {
      const state = device.state;
      const op = state?.operation;
      show(running, Boolean(op));
      if (op) {
        text(field['running-what'], operation(op.operation, op.parameters));
        const retry = op.state === 'retrying' ? `to be tried again: ${op.error?.message ?? ''}` : op.attempt > 1 ? `attempt ${op.attempt}` : '';
        text(field['running-how'], [source(op.source), way(state, op), retry].filter(Boolean).join(', '));
        attr(stopIt, 'data-value', op.id);
        attr(stopIt, 'aria-label', `Cancel ${field['running-what'].textContent}, which runs`);
      } else {
        begun = null;
      }
      shown = rows(device.queue);
      const length = Math.max(state?.queue_length ?? 0, device.queue.length);
      text(field['queue-length'], length || '');
      const hidden = length - device.queue.length;
      text(field['queue-empty'], hidden > 0 && device.queue.length ? `and ${hidden} more` : op || length ? '' : 'Nothing runs, nothing waits.');
      const why = hindrance(device, 'cancel');
      for (const button of root.querySelectorAll('[data-action=cancel]')) attr(button, 'aria-disabled', why ? 'true' : null);
      show(everything, Boolean(op) || length > 0);
    },
    tick() { for (const row of shown.values()) row.tick(); },
  };
}
