// The schedules: when each runs, what became of its last run; pause, delete, and a form to set one.

import { el, text, attr, show, list } from './dom.js';
import { ms } from './store.js';
import { command, hindrance } from './commands.js';
import { operation } from './words.js';
import { when } from './cron.js';
import { ago, clock, inZone, until } from './time.js';
import { form } from './form.js';
import { doubts } from './sure.js';

const CONTENT = ['cron', 'every_seconds', 'at', 'timezone', 'operation', 'parameters', 'enabled', 'overlap'];

// content is a schedule as it is sent, of one as it is published.
function content(schedule) {
  return Object.fromEntries(CONTENT.filter((name) => schedule[name] !== undefined && schedule[name] !== null).map((name) => [name, schedule[name]]));
}

export function schedules(root, field, device) {
  const answer = field['schedules-answer'];
  const add = root.querySelector('[data-action=add-schedule]');
  const editor = form(root.querySelector('#schedule-form'), device, add);
  let shown = new Map();
  add.addEventListener('click', () => editor.open());

  const rows = list(root.querySelector('#schedules'), ([name]) => name, ([name, first]) => {
    let schedule = first;
    const mark = el('span', { class: 'mark', 'aria-hidden': 'true' });
    const what = el('span'), at = el('span'), next = el('p', { class: 'next' }), last = el('p', { class: 'sub' });
    const button = (action, label, press) => {
      const node = el('button', { type: 'button', class: 'quiet', 'data-action': action, 'data-value': name, 'aria-label': `${label} ${name}` }, label);
      node.addEventListener('click', press);
      return node;
    };
    const set = (node, body, words) => command(device, node, answer, '', `schedules/${name}`, body, words);
    const pause = button('pause-schedule', 'Pause', () => set(pause, { ...content(schedule), enabled: !schedule.enabled }, `${schedule.enabled ? 'Pause' : 'Resume'} ${name}`));
    const edit = button('edit-schedule', 'Edit', () => editor.open(name, schedule));
    const remove = button('delete-schedule', 'Delete', () => {
      if (removal.sure('Really delete?')) set(remove, { delete: true }, `Delete ${name}`);
    });
    const label = (node, words) => {
      text(node, words);
      attr(node, 'aria-label', `${words} ${name}`);
    };
    const removal = doubts(remove, (words) => label(remove, words), () => 'Delete');
    const row = {
      node: el('li', { 'data-schedule': name },
        el('div', { class: 'what' }, el('h4', {}, mark, name), el('p', {}, what, ', ', at), next, last), el('div', { class: 'buttons' }, pause, edit, remove)),
      update([, now]) {
        schedule = now;
        attr(row.node, 'data-enabled', String(schedule.enabled));
        text(what, operation(schedule.operation, schedule.parameters));
        text(at, when(schedule, clock) + (schedule.cron ? `, ${schedule.timezone}` : ''));
        attr(at, 'title', schedule.cron);
        label(pause, schedule.enabled ? 'Pause' : 'Resume');
        show(pause, !schedule.over);
        row.tick();
      },
      tick() {
        const due = ms(schedule.next_run);
        text(next, schedule.over ? 'Over' : !schedule.enabled ? 'Paused' : due ? `Next ${inZone(due, schedule.timezone)}, ${until(due)}` : 'No next run');
        const op = schedule.last_operation;
        const ended = schedule.last_run ? `Last ${ago(ms(schedule.last_run))}${op ? `: ${op.state}${op.error ? `, ${op.error.message}` : ''}` : ''}` : 'Has not run yet';
        text(last, [ended, schedule.missed_runs && `${schedule.missed_runs} missed`, schedule.skipped_runs && `${schedule.skipped_runs} skipped`].filter(Boolean).join('; '));
      },
    };
    return row;
  });

  return {
    topics: ['schedules', 'availability', 'state'],
    render() {
      const entries = Object.entries(device.schedules).sort(([a], [b]) => (a < b ? -1 : 1));
      shown = rows(entries);
      show(field['schedules-empty'], !entries.length);
      const why = hindrance(device, '');
      for (const button of root.querySelectorAll('.schedules button:not([data-action=edit-schedule], [data-action=close-schedule], [data-action=add-schedule])')) attr(button, 'aria-disabled', why ? 'true' : null);
    },
    tick() { for (const row of shown.values()) row.tick(); },
    close() { editor.close(); },
  };
}
