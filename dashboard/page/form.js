// The form of a schedule, new or edited. Whether it is right, the device says; the form only asks for what belongs to it.

import { el, text, clone, fields, show, attr } from './dom.js';
import { command } from './commands.js';
import { wrong, clear } from './answer.js';
import { cronWords } from './cron.js';
import { typed } from './number.js';

export function form(root, device, opener) {
  let part, input, before = null, back = opener;

  function build() {
    root.replaceChildren(clone('schedule-fields'));
    part = fields(root);
    input = root.elements;
    for (const name of device.state?.hotels ?? []) input.hotel.append(el('option', { value: name }, name));
    const zones = root.querySelector('#zones');
    for (const zone of Intl.supportedValuesOf?.('timeZone') ?? []) zones.append(el('option', { value: zone }));
    root.querySelector('[data-action=close-schedule]').addEventListener('click', close);
  }

  // arrange shows what the operation and the kind of time need.
  function arrange() {
    for (const label of root.querySelectorAll('[data-for]')) {
      show(label, [input.operation.value, input.when.value].includes(label.dataset.for));
    }
    text(part['cron-words'], cronWords(input.cron.value));
  }

  function open(name = '', schedule = null) {
    build();
    back = document.activeElement;
    before = schedule;
    text(part.legend, schedule ? `Schedule ${name}` : 'New schedule');
    input.name.value = name;
    input.name.readOnly = Boolean(schedule);
    input.timezone.value = schedule?.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone ?? 'UTC';
    if (schedule) {
      input.operation.value = schedule.operation;
      for (const field of ['hotel', 'angle', 'speed']) input[field].value = schedule.parameters[field] ?? input[field].value;
      input.when.value = schedule.cron ? 'cron' : schedule.every_seconds ? 'every' : 'at';
      input.cron.value = schedule.cron ?? '';
      input.every.value = schedule.every_seconds ?? '';
      if (schedule.at) input.at.value = local(new Date(schedule.at));
      input.overlap.value = schedule.overlap;
    }
    arrange();
    show(root, true);
    attr(opener, 'aria-expanded', 'true');
    (schedule ? input.operation : input.name).focus();
  }

  function close() {
    if (root.hidden) return;
    show(root, false);
    attr(opener, 'aria-expanded', 'false');
    root.replaceChildren();
    back?.focus?.();
  }

  // body is what the form says, in the fields of the contract. Parameters that the form does not
  // know stay as they were while the operation is the same.
  function body() {
    const operation = input.operation.value;
    const parameters = before?.operation === operation ? { ...before.parameters } : {};
    if (operation === 'hotel') parameters.hotel = input.hotel.value;
    if (operation === 'angle') parameters.angle = typed(input.angle).value;
    if (operation === 'speed') parameters.speed = typed(input.speed).value;
    const schedule = { operation, parameters, overlap: input.overlap.value, enabled: before?.enabled ?? true };
    if (input.when.value === 'cron') Object.assign(schedule, { cron: input.cron.value.trim(), timezone: input.timezone.value.trim() || 'UTC' });
    if (input.when.value === 'every') schedule.every_seconds = typed(input.every).value;
    if (input.when.value === 'at') schedule.at = input.at.value ? new Date(input.at.value).toISOString() : '';
    return schedule;
  }

  root.addEventListener('input', ({ target }) => {
    if (target === input.when || target === input.operation) clear(part['form-answer']); // other fields are asked for
    arrange();
  });
  root.addEventListener('submit', async (event) => {
    event.preventDefault();
    for (const asked of root.querySelectorAll('input')) {
      const words = asked.closest('[hidden]') ? '' : fault(asked);
      if (!words) continue;
      wrong(part['form-answer'], words);
      asked.focus();
      return;
    }
    const name = input.name.value;
    const { ok } = await command(device, event.submitter ?? input.name, part['form-answer'], '', `schedules/${name}`, body(), `Schedule ${name}`);
    if (ok) close();
  });
  return { open, close };
}

// fault says what is wrong with what is in an input, and what would be right, or ''.
function fault(input) {
  switch (input.name) {
    case 'name': return input.checkValidity() ? '' : 'A name is made of small letters, digits, - and _, and begins with a letter or digit';
    case 'cron': return input.value.trim() ? '' : 'Say at what times, such as 0 8 * * 1-5';
    case 'at': return input.value ? '' : 'Choose a date and a time';
    case 'timezone': return '';
  }
  return typed(input).fault ?? '';
}

// local is a time as an input of the kind datetime-local has it.
function local(date) {
  return new Date(date.getTime() - date.getTimezoneOffset() * 60e3).toISOString().slice(0, 19);
}
