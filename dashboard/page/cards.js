// The list of devices: a card each.

import { svg, text, attr, clone, fields, list } from './dom.js';
import { store, gone, astray } from './store.js';
import { status, degrees } from './words.js';
import { hotelAngles, motion } from './carousel.js';
import { shortSpan, now } from './time.js';
import { stop, halted } from './stop.js';

const FEW = 6; // devices that have room for larger cards
const ANSWER = 6e3; // ms for which the answer to a stop is shown

export function cards(parent) {
  const names = new Intl.Collator('en', { numeric: true });
  const arrange = list(parent, (device) => device.id, (device) => card(device, alarm));
  const everything = document.querySelector('[data-action=stop-all]');
  const announce = document.getElementById('announce');
  let rows = new Map();
  let opened, answered = 0, presses = 0;
  everything.addEventListener('click', stopAll);

  // stopAll stops all devices in the list, those first that are there to hear it.
  async function stopAll() {
    const mine = ++presses;
    const all = [...rows.values()].sort((a, b) => b.online() - a.online());
    text(announce, all.length ? `Stopping all ${all.length} devices` : 'There is no device to stop');
    if (!all.length) return;
    answered = 0;
    say('Stopping…', 'busy');
    const failed = (await Promise.all(all.map((row) => row.press()))).filter(Boolean).length;
    if (mine !== presses) return;
    answered = now();
    say(failed ? `${failed} not stopped` : 'All stopped', failed ? 'failed' : 'done');
    text(announce, failed ? `${failed} of ${all.length} devices not stopped` : `All ${all.length} devices stopped`);
  }

  function say(words, state) {
    text(everything, words);
    attr(everything, 'data-state', state);
  }

  // alarm names the devices whose stop has failed.
  function alarm() {
    const failed = [...rows].filter(([, row]) => row.failed());
    const why = [...new Set(failed.map(([, row]) => row.failed()))].join('; ');
    text(document.getElementById('alarm'), failed.length ? `Not stopped: ${failed.map(([id]) => id).join(', ')}: ${why}. Use the power switch.` : '');
  }

  return {
    all() {
      const sorted = store.devices.size > 1 ? [...store.devices.values()].sort((a, b) => names.compare(a.id, b.id)) : [];
      rows = arrange(sorted);
      attr(parent, 'data-few', sorted.length <= FEW);
    },
    // render writes the cards of these devices; of all of them, it marks the opened one too.
    render(devices, all) {
      for (const device of devices) rows.get(device.id)?.render();
      const id = location.hash.slice(2);
      if (!all && id === opened) return;
      opened = id;
      for (const [name, row] of rows) row.mark(name === id);
    },
    tick() {
      for (const row of rows.values()) row.tick();
      if (!answered || now() - answered < ANSWER) return;
      answered = 0;
      say('Stop all', null);
    },
    stopAll,
  };
}

// card calls told when what it says of its stop has changed.
function card(first, told) {
  const node = clone('card');
  const part = fields(node);
  const [dial] = node.querySelectorAll('.dial svg');
  const shape = node.querySelector('.shape path');
  const button = node.querySelector('button');
  const turn = motion();
  let device = first, drawn = '', answered = 0, presses = 0, failed = '';
  attr(node, 'data-device', device.id);
  attr(part.link, 'href', `#/${device.id}`);
  text(part.name, device.id);
  attr(button, 'aria-label', `Stop ${device.id}`);
  button.addEventListener('click', press);

  function press() {
    const mine = ++presses;
    return stop(device, (answer) => {
      if (mine !== presses) return; // a later press has an answer of its own
      failed = answer.failed;
      say(failed ? 'Not stopped' : answer.busy ? answer.text : 'Stopped', failed ? 'failed' : answer.busy ? 'busy' : 'done');
      answered = answer.busy || failed ? 0 : now();
      told();
    });
  }

  function say(words, state) {
    text(button, words);
    attr(button, 'data-state', state);
    attr(button, 'title', failed || null);
  }

  // age is how old what is shown is, which is live while it can be heard.
  function age() {
    if (!device.heard) return 'never heard';
    if (gone(device)) return `as of ${shortSpan(now() - device.heard)} ago`;
    return astray(device) ? `as of ${shortSpan(now() - device.connectionSince)} ago` : 'live';
  }

  function place(state) {
    const hotels = hotelAngles(state);
    const key = JSON.stringify(hotels);
    if (key === drawn) return;
    drawn = key;
    const width = Math.min(13, 70 / hotels.length);
    dial.replaceChildren(svg('path', { class: 'rim', d: 'M0 27V23' }), svg('circle', { r: 27, class: 'rim' }), ...hotels.flatMap(({ name, angle }) => [
      svg('rect', { x: -width / 2, y: 8, width, height: 15, transform: `rotate(${angle})`, 'data-hotel': name }),
      svg('text', { transform: `rotate(${angle}) translate(0 18.4)` }, name.length > 2 ? '' : name)]));
    dial.style.fontSize = `${(width * 0.65).toFixed(1)}px`;
  }

  return {
    node,
    press,
    online() { return device.online; },
    failed() { return failed; },
    update(next) { device = next; },
    render() {
      const state = device.state;
      if (failed && halted(device)) {
        failed = '';
        say('Stop', null);
        told();
      }
      const { key, word, shape: path } = status(device);
      attr(node, 'data-status', key);
      attr(shape, 'd', path);
      text(part.status, word);
      place(state);
      const time = performance.now();
      turn.aim(state?.angle, time);
      const angle = turn.goal();
      if (angle !== null) {
        // Turned by its style, so that where there are few the browser can do it smoothly, off this thread.
        dial.style.transform = `rotate(${(-angle).toFixed(1)}deg)`;
        attr(node, 'data-angle', state.angle);
      }
      for (const hotel of dial.querySelectorAll('rect')) hotel.classList.toggle('faces', hotel.dataset.hotel === state?.hotel);
      text(part.hotel, state?.hotel ?? '');
      text(part.angle, degrees(state?.angle, 1));
      this.tick();
    },
    tick() {
      text(part.age, age());
      if (answered && now() - answered > ANSWER) {
        answered = 0;
        say('Stop', null);
      }
    },
    mark(opened) { attr(part.link, 'aria-current', opened && 'page'); },
  };
}
