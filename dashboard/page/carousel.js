// The carousel seen from above, as the table of an instrument: a graduated ring that turns under a fixed index.
//
// The index is at the opening, at the bottom of the drawing, and what it reads is the servo's angle. A hotel of the
// angle h faces the opening when the servo is at h, so on the table it stands at the graduation h. A growing angle
// turns the servo counterclockwise for who looks at its horn (ROBOTIS, X series, Drive Mode: normal), and the carousel
// stands on the horn: the table turns against the clock, its graduations go with it.

import { svg, attr, text } from './dom.js';
import { degrees } from './words.js';

const RING = 216, HOTELS = [84, 176], HUB = 74;
const still = matchMedia('(prefers-reduced-motion: reduce)');

// at is a point so many degrees clockwise of the opening.
function at(angle, radius) {
  const a = angle * Math.PI / 180;
  return `${(-radius * Math.sin(a)).toFixed(2)} ${(radius * Math.cos(a)).toFixed(2)}`;
}

function ticks(step, inner, except = 0) {
  let path = '';
  for (let a = 0; a < 360; a += step) {
    if (!except || a % except) path += `M${at(a, inner)}L${at(a, RING)}`;
  }
  return path;
}

// hotelAngles are those that the device tells, else even spacing.
export function hotelAngles(state) {
  const names = state?.hotels ?? [];
  return names.map((name, i) => ({ name, angle: state.hotel_angles?.[name] ?? i * 360 / names.length }));
}

// A motion follows an angle smoothly: it is where the last two states put it, one interval late.
export function motion() {
  let from = 0, to = null, began = 0, lasts = 0, last = 0;
  return {
    // aim turns to an angle, numerically: a bounded carousel never crosses 0°. Only a step of more than half a turn
    // is one across 0°.
    aim(angle, time) {
      if (angle === null || angle === undefined) { to = null; return; }
      if (to === null || still.matches) { from = to = angle; lasts = 0; last = time; return; }
      const way = angle - (to - Math.floor(to / 360) * 360);
      if (Math.abs(way) < 0.005) return;
      from = this.now(time);
      to += Math.abs(way) > 180 ? way - Math.sign(way) * 360 : way;
      lasts = Math.min(Math.max(time - last, 60), 260);
      began = last = time;
    },
    now(time) {
      if (to === null) return null;
      const part = lasts ? Math.min((time - began) / lasts, 1) : 1;
      return from + (to - from) * part;
    },
    goal() { return to; },
    moves(time) { return to !== null && lasts > 0 && time - began < lasts; },
  };
}

// carousel draws into an SVG element; turnTo is called with a hotel's name when somebody presses it there.
export function carousel(root, turnTo) {
  const follow = motion();
  const hotels = svg('g');
  const target = svg('path', { class: 'target', d: `M0 ${RING + 3}l9 17h-18Z` });
  const numerals = svg('g', { class: 'numerals' });
  for (let a = 0; a < 360; a += 30) {
    numerals.append(svg('text', { transform: `rotate(${a}) translate(0 ${RING - 21})`, dy: '.35em' }, String(a)));
  }
  const table = svg('g', { 'data-angle': '' },
    svg('circle', { class: 'table', r: RING }),
    svg('path', { class: 'ticks', d: ticks(2, RING - 6, 10) }),
    svg('path', { class: 'ticks strong', d: ticks(10, RING - 12) }),
    numerals, hotels, target);
  const way = svg('path', { class: 'way' });
  const hub = { hotel: svg('text', { class: 'hub-hotel', dy: '.2em' }), angle: svg('text', { class: 'hub-angle', y: 46 }) };
  root.append(
    svg('circle', { class: 'base', r: 248 }), svg('circle', { class: 'base', r: RING + 24 }),
    table, way,
    svg('circle', { class: 'hub', r: HUB }), hub.hotel, hub.angle,
    svg('path', { class: 'index', d: `M-13 252h26L0 ${RING + 2}Z` }),
    svg('text', { class: 'opening', y: 274 }, 'OPENING'),
    svg('path', { class: 'sight', d: `M0 ${RING - 14}V${RING + 4}` }));

  let drawn = '', letters = [], state = null, sense = 0, gone = false;

  function place() {
    const list = hotelAngles(state);
    const key = JSON.stringify(list);
    if (key === drawn) return;
    drawn = key;
    const [inner, outer] = HOTELS;
    const gap = list.length > 1 ? Math.min(...list.map((a) => Math.min(...list.filter((b) => b !== a).map((b) => Math.abs(((b.angle - a.angle) % 360 + 540) % 360 - 180))))) : 180;
    const width = Math.min(74, 2 * inner * Math.sin(Math.min(gap, 90) * Math.PI / 360) * 1.12);
    const w = width / 2, cut = Math.min(14, w);
    letters = list.map(({ name, angle }) => {
      const letter = svg('text', { dy: '.36em', 'font-size': Math.min(40, width * (name.length > 2 ? 1.5 / name.length : 0.8)).toFixed(1) }, name);
      const group = svg('g', { class: 'hotel', 'data-hotel': name, transform: `rotate(${angle})` },
        // A microplate from above: A1 is at the corner that is cut off.
        svg('path', { d: `M${-w} ${inner}H${w}V${outer}H${cut - w}L${-w} ${outer - cut}Z` }),
        svg('g', { transform: `translate(0 ${(inner + outer) / 2})` }, letter));
      group.addEventListener('click', () => turnTo(name));
      return { letter, group, angle, name };
    });
    hotels.replaceChildren(...letters.map(({ group }) => group));
  }

  return {
    set(next, away, time) {
      const before = state?.angle;
      if (next && state && typeof before === 'number' && Math.abs(next.angle - before) < 180 && next.angle !== before) {
        sense = Math.sign(next.angle - before);
      }
      if (!next?.target_angle && next?.target_angle !== 0) sense = 0;
      state = next;
      gone = away;
      place();
      follow.aim(state?.angle, time);
      const goal = state?.target_angle;
      attr(target, 'visibility', typeof goal === 'number' ? null : 'hidden');
      if (typeof goal === 'number') attr(target, 'transform', `rotate(${goal})`);
      for (const { group, angle, name } of letters) {
        group.classList.toggle('faces', name === state?.hotel);
        group.classList.toggle('goal', typeof goal === 'number' && Math.abs(angle - goal) < 0.01);
      }
      attr(root, 'data-hotel', state?.hotel ?? '');
      attr(root, 'data-target', goal ?? '');
      text(hub.hotel, state?.hotel ?? '');
      root.classList.toggle('between', !state?.hotel);
      attr(root, 'aria-label', describe(state, gone));
    },
    // frame draws the moment and tells whether there is a next one.
    frame(time) {
      const angle = follow.now(time);
      if (angle === null) {
        for (const { letter, angle: a } of letters) attr(letter, 'transform', `rotate(${-a})`);
        text(hub.angle, '–');
        attr(way, 'd', '');
        return false;
      }
      const turn = -angle;
      attr(table, 'transform', `rotate(${turn.toFixed(2)})`);
      attr(table, 'data-angle', state.angle.toFixed(2));
      for (const { letter, angle: a } of letters) attr(letter, 'transform', `rotate(${(-turn - a).toFixed(2)})`);
      text(hub.angle, degrees(state.angle));
      let left = typeof state.target_angle === 'number' ? state.target_angle - (angle - Math.floor(angle / 360) * 360) : 0;
      // One that turns the short way round is seen to turn away from its target.
      if (sense && left * sense < -180) left += Math.sign(sense) * 360;
      attr(way, 'd', Math.abs(left) < 0.6 ? '' : `M${at(0, RING + 12)}A${RING + 12} ${RING + 12} 0 ${Math.abs(left) > 180 ? 1 : 0} ${left > 0 ? 1 : 0} ${at(left, RING + 12)}`);
      return follow.moves(time);
    },
  };
}

function describe(state, gone) {
  if (!state || typeof state.angle !== 'number') return 'Carousel; where it stands is not known';
  const where = state.hotel ? `hotel ${state.hotel} faces the opening` : 'no hotel faces the opening';
  const goal = typeof state.target_angle === 'number' ? `, on its way to ${degrees(state.target_angle)}` : '';
  return `Carousel of hotels ${state.hotels.join(', ')}: ${gone ? 'when it was last heard, ' : ''}${where}${goal}`;
}
