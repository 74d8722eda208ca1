// The opened device: its parts, each of which says what it renders from.

import { clone, fields } from './dom.js';
import { details } from './api.js';
import { load } from './store.js';
import { carousel } from './carousel.js';
import { plate } from './plate.js';
import { commands } from './commands.js';
import { queue } from './queue.js';
import { history } from './history.js';
import { health } from './health.js';
import { schedules } from './schedules.js';
import { log } from './log.js';

// open shows the device in a place. A part has topics, render(device), and where it needs them tick() each second
// and resize(). What all of them follow is what keeps the device from being heard, so they are rendered with the page.
export function open(device, place) {
  const root = clone('device');
  const field = fields(root);
  root.dataset.device = device.id;
  const orders = commands(root, field, device);
  const drawing = carousel(root.querySelector('#carousel'), orders.turnTo);
  const head = plate(root, field, device);
  const parts = [
    head, orders, queue(root, field, device), history(root, field), health(root, field), schedules(root, field, device), log(root),
  ];
  let fresh = true;
  let angled = null;
  device.opened = true;
  place.append(root);

  return {
    device,
    focus() { field.device.focus({ preventScroll: true }); },
    stop: head.stop,
    async load() {
      const known = await details(device.id);
      if (known && device.opened) load(device, known);
    },
    render(time, all) {
      for (const part of parts) {
        if (all || fresh || part.topics.some((topic) => device.dirty.has(topic))) part.render(device);
      }
      if (all || fresh || device.dirty.has('state') || device.dirty.has('availability')) {
        angled = device.state;
        drawing.set(device.state, head.away(), time);
      }
      if (fresh) this.load();
      fresh = false;
    },
    frame(time) { return angled ? drawing.frame(time) : false; },
    tick() { for (const part of parts) part.tick?.(device); },
    resize() { for (const part of parts) part.resize?.(device); },
    close() {
      device.opened = false;
      device.points = [];
      device.operations = [];
      device.log = [];
      for (const part of parts) part.close?.();
      root.remove();
    },
  };
}
