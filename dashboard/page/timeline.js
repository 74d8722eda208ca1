// A timeline of operations: what takes its time on one line, what takes none on another.

import { svg, text, attr, list } from './dom.js';
import { ms } from './store.js';
import { operation } from './words.js';
import { now, span } from './time.js';

const SPANS = [1, 2, 5, 10, 15, 30, 60, 180, 360, 720, 1440].map((m) => m * 60e3);
const STEPS = [0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 240].map((m) => m * 60e3);
const COUNT = 20; // of the latest operations that are to be in view
const MOVES = 4, MARKS = 32, HEIGHT = 20, AXIS = 58; // of the drawing, in px
const LABEL = 25; // px that half a label takes
const NAMES = 46; // px for the names of the two lines
const LONG = ['hotel', 'angle', 'home', 'reboot'];
const minutes = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const withSeconds = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

export function timeline(root, label) {
  const axis = svg('g', { class: 'axis' });
  const bars = svg('g');
  const name = (words, y) => svg('text', { class: 'name', y: y + HEIGHT / 2 + 4 }, words);
  root.append(svg('path', { class: 'line', d: '' }), name('Moves', MOVES), name('Others', MARKS), axis, bars);
  let ended = [], running = null, reach = SPANS[0];

  const place = list(bars, (op) => `${op.id} ${op.finished_at ?? ''}`, (op) => {
    const wait = svg('rect', { class: 'wait', y: MOVES + HEIGHT / 2 - 1, height: 2 });
    const bar = svg('rect', { class: 'bar' });
    const title = svg('title', {}, `${operation(op.operation, op.parameters)}: ${op.state}`);
    return {
      node: svg('g', { 'data-state': op.state }, title, wait, bar),
      update() {},
      draw(x, to, width) {
        const long = LONG.includes(op.operation) && op.state !== 'rejected';
        const queued = ms(op.queued_at), started = ms(op.started_at ?? op.finished_at ?? op.queued_at);
        const end = op.finished_at ? ms(op.finished_at) : to;
        const left = Math.max(x(started), NAMES), wide = long ? Math.max(x(end) - left - 2, 4) : 4; // 2: a gap before the next
        const waited = Math.max(x(queued), NAMES);
        attr(bar, 'x', left.toFixed(1));
        attr(bar, 'width', wide.toFixed(1));
        attr(bar, 'y', long ? MOVES : MARKS);
        attr(bar, 'height', HEIGHT);
        attr(wait, 'x', waited.toFixed(1));
        attr(wait, 'width', long ? Math.max(left - waited, 0).toFixed(1) : 0);
        attr(this.node, 'visibility', x(end) < NAMES || left > width ? 'hidden' : null);
      },
    };
  });
  const ticks = list(axis, (time) => time, (time) => {
    const line = svg('line', { y1: 0, y2: AXIS - 4 }), label = svg('text', { y: AXIS + 10 }, (time % 60e3 ? withSeconds : minutes).format(time));
    return { node: svg('g', {}, line, label), update() {}, draw(x) { attr(this.node, 'transform', `translate(${x(time).toFixed(1)} 0)`); } };
  });
  let rows = new Map();

  function draw() {
    const width = root.clientWidth;
    if (!width) return;
    attr(root, 'viewBox', `0 0 ${width} ${AXIS + 14}`);
    const to = now();
    const x = (time) => width - 6 - (to - time) / reach * (width - 6 - NAMES);
    const step = STEPS.find((s) => s / reach * (width - NAMES) >= 64) ?? STEPS.at(-1);
    const times = [];
    for (let t = Math.ceil((to - reach) / step) * step; t <= to; t += step) {
      if (x(t) > NAMES && x(t) < width - LABEL) times.push(t);
    }
    for (const tick of ticks(times).values()) tick.draw(x);
    for (const row of rows.values()) row.draw(x, to, width);
    attr(root.firstChild, 'd', `M0 ${AXIS - 4}H${width}`);
  }

  return {
    // set takes the operations that have ended, newest first, or null where they are as they were.
    set(all, op) {
      if (!all && op?.id === running?.id && op?.state === running?.state) return;
      if (all) ended = all.filter((o) => o.finished_at);
      running = op ?? null;
      const oldest = ended.slice(0, COUNT).at(-1);
      const age = oldest ? now() - ms(oldest.queued_at) : 0;
      reach = SPANS.find((s) => s >= age * 1.02) ?? SPANS.at(-1);
      const shown = ended.filter((o) => now() - ms(o.finished_at) < reach);
      rows = place(running && !ended.some((o) => o.id === running.id) ? [running, ...shown] : shown);
      text(label, ended.length ? `the last ${span(reach)}` : '');
      attr(root, 'aria-label', describe(shown, reach));
      draw();
    },
    tick: draw,
  };
}

function describe(shown, reach) {
  const counts = new Map();
  for (const op of shown) counts.set(op.state, (counts.get(op.state) ?? 0) + 1);
  const words = [...counts].map(([state, n]) => `${n} ${state}`).join(', ');
  return `Timeline of the last ${span(reach)}: ${words || 'no operations'}. The table has each of them.`;
}
