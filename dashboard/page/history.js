// The operations that have ended: a timeline, and the table that says the same.

import { el, text, attr, show, list } from './dom.js';
import { ms, merge, operationKey } from './store.js';
import { operation, source } from './words.js';
import { ago, clock, seconds } from './time.js';
import { timeline } from './timeline.js';

const FIRST = 8; // rows before somebody asks for more

export function history(root, field) {
  const line = timeline(root.querySelector('#timeline'), field['history-span']);
  const older = root.querySelector('[data-action=older]');
  let most = FIRST;
  let shown = new Map();
  older.addEventListener('click', () => {
    most = Infinity;
    render();
  });

  const rows = list(root.querySelector('#history'), operationKey, (op) => {
    const cell = (name, value, kind = '') => el('td', { role: 'cell', class: `${kind}${name}`, 'data-field': name }, value);
    const ended = ms(op.finished_at);
    const took = op.result?.duration_seconds ?? (op.started_at ? (ended - ms(op.started_at)) / 1000 : null);
    const off = op.result?.deviation;
    const reason = [op.error?.message, op.result?.pulses ? `${op.result.pulses} pulses` : ''].filter(Boolean).join('; ');
    const when = cell('when', '');
    const what = el('th', { role: 'rowheader', scope: 'row' }, operation(op.operation, op.parameters), el('small', {}, source(op.source)));
    return {
      node: el('tr', { role: 'row', 'data-state': op.state, 'data-operation': op.id }, what,
        el('td', { role: 'cell', class: 'state' }, el('span', { class: 'mark', 'aria-hidden': 'true' }), op.state), when,
        cell('took', took === null ? '' : seconds(took), 'number '),
        cell('deviation', typeof off === 'number' ? `${off > 0 ? '+' : ''}${off.toFixed(2)}°` : '', 'number '),
        cell('reason', reason)),
      update() { this.tick(); },
      tick() {
        text(when, ago(ended));
        attr(when, 'title', clock(ended));
      },
    };
  });

  let device = null;
  function render() {
    const all = merge(device.operations, device.history);
    shown = rows(all.slice(0, most));
    show(field['history-empty'], !all.length);
    show(root.querySelector('table'), all.length > 0);
    show(older, all.length > most);
    text(older, `Show ${all.length - FIRST} older`);
    line.set(all, device.state?.operation);
  }

  return {
    topics: ['history', 'operation', 'state'],
    render(of) {
      const first = device === null;
      device = of;
      if (first || device.dirty.has('history') || device.dirty.has('operation')) render();
      else line.set(null, device.state?.operation);
    },
    tick() {
      for (const row of shown.values()) row.tick();
      line.tick();
    },
    resize() { line.tick(); },
  };
}
