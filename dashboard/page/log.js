// The device's log. It follows the latest line until somebody scrolls up.

import { el, attr, show, list } from './dom.js';
import { lineKey } from './store.js';
import { clock } from './time.js';

const MEANT = ['time', 'level', 'msg'];

export function log(root) {
  const box = root.querySelector('#log');
  const latest = root.querySelector('[data-action=follow]');
  let follows = true;

  const lines = list(box.querySelector('ol'), lineKey, (line) => {
    const level = String(line.level ?? 'INFO');
    const rest = Object.entries(line).filter(([name]) => !MEANT.includes(name)).map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`);
    return {
      node: el('li', { 'data-level': level.toLowerCase().replace(/[^a-z].*/, '') },
        el('time', {}, clock(Date.parse(line.time))), ' ', el('b', {}, level), ' ', el('span', {}, line.msg), ' ', el('small', {}, rest.join(' '))),
      update() {},
    };
  });

  function follow() {
    box.scrollTop = box.scrollHeight;
  }

  box.addEventListener('scroll', () => {
    follows = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
    show(latest, !follows);
  }, { passive: true });
  latest.addEventListener('click', () => {
    follow();
    box.focus();
  });

  return {
    topics: ['log'],
    render(device) {
      lines(device.log);
      attr(box, 'data-lines', device.log.length);
      if (follows) follow();
    },
  };
}
