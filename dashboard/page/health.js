// The motor's health: its values now, and how they went in the last hour.

import { el, svg, text, attr, show, list } from './dom.js';
import { now } from './time.js';

const HOUR = 3600e3;
const WIDTH = 300, HEIGHT = 40; // of a chart's coordinates
const GAP = 3 * 60e3; // health comes once a minute at least: a longer silence is a gap
// index is where a value is in a point; least is the smallest range of a chart, so that noise stays small.
const CHARTS = [
  { name: 'temperature', label: 'Temperature', unit: '°C', index: 1, decimals: 0, least: 6 },
  { name: 'voltage', label: 'Voltage', unit: 'V', index: 2, decimals: 1, least: 1 },
  { name: 'current', label: 'Current', unit: 'mA', index: 3, decimals: 0, least: 50 },
  { name: 'load', label: 'Load', unit: '%', index: 4, decimals: 0, least: 20 },
];
const FAULTS = { input_voltage: 'input voltage out of range', overheating: 'overheating', encoder: 'encoder fault', electrical_shock: 'electrical shock', overload: 'overload' };

export function health(root, field) {
  const charts = CHARTS.map((chart) => newChart(root.querySelector('#charts'), chart));
  const warnings = list(field.warnings, (line) => line.text, (line) => ({
    node: el('li', { 'data-kind': line.kind }, el('b', {}, line.kind === 'fault' ? 'Hardware error: ' : 'Warning: '), line.text), update() {},
  }));
  let drawn = 0;

  return {
    topics: ['health'],
    render(device) {
      const h = device.health;
      const known = Boolean(h);
      for (const chart of charts) chart.draw(device.points, h?.[chart.name], known);
      drawn = now();
      warnings([...(h?.hardware_error ?? []).map((name) => ({ kind: 'fault', text: FAULTS[name] ?? name })),
        ...(h?.warnings ?? []).map((line) => ({ kind: 'warning', text: line }))]);
      text(field.model, h?.model ? `${h.model}, firmware ${h.firmware}${h.simulated ? ', simulated' : ''}` : '');
      text(field.serial, h ? `${h.serial_errors_total} serial errors, program ${h.version}` : 'The device has not said how the motor is.');
    },
    tick(device) { if (now() - drawn > 10e3) this.render(device); }, // the hour goes on
  };
}

function newChart(parent, { name, label, unit, index, decimals, least }) {
  const line = svg('path', { class: 'trace' });
  const dot = svg('path', { class: 'last' });
  const chart = svg('svg', { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' }, line, dot);
  const value = el('b', { 'data-field': name }), range = el('small');
  const row = el('div', { class: 'chart', 'data-chart': name, hidden: true }, el('h4', {}, label), value, range, chart);
  parent.append(row);
  const number = (v) => (Number(v.toFixed(decimals)) + 0).toFixed(decimals); // + 0: no -0
  return {
    name,
    draw(points, last, known) {
      const to = now(), from = to - HOUR;
      const values = points.filter((p) => p[0] >= from && typeof p[index] === 'number');
      // A model measures its current or estimates its load, not both.
      show(row, known && (typeof last === 'number' || values.length > 0));
      text(value, typeof last === 'number' ? `${number(last)} ${unit}` : `– ${unit}`);
      if (!values.length) { attr(line, 'd', ''); attr(dot, 'd', ''); text(range, ''); attr(chart, 'aria-label', `${label}: no values of the last hour`); return; }
      let low = Infinity, high = -Infinity;
      // Points are 5 s apart at least: what is shown may be newer than they are.
      if (typeof last === 'number') low = high = last;
      for (const p of values) { low = Math.min(low, p[index]); high = Math.max(high, p[index]); }
      const middle = (low + high) / 2, half = Math.max(high - low, least) / 2;
      const x = (time) => ((time - from) / HOUR * WIDTH).toFixed(1);
      const y = (v) => (HEIGHT - 4 - (v - middle + half) / (2 * half) * (HEIGHT - 8)).toFixed(1);
      let path = '', before = -Infinity;
      for (const p of values) {
        path += `${p[0] - before > GAP ? 'M' : 'L'}${x(p[0])} ${y(p[index])}`;
        before = p[0];
      }
      attr(line, 'd', path);
      attr(dot, 'd', `M${x(before)} ${y(values.at(-1)[index])}h0`);
      text(range, number(low) === number(high) ? '' : `${number(low)} to ${number(high)} ${unit}`);
      attr(chart, 'aria-label', `${label} of the last hour: lowest ${number(low)}, highest ${number(high)}, last ${number(last ?? values.at(-1)[index])} ${unit}`);
    },
  };
}
