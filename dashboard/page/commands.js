// What the device can be told to do. A button that is of no use now can still be pressed, and says why.

import { el, text, attr, list } from './dom.js';
import { astray } from './store.js';
import { send } from './api.js';
import { answer, wrong, settle } from './answer.js';
import { typed } from './number.js';
import { doubts } from './sure.js';
import { degrees, operation, unreachable } from './words.js';

const RPM = 0.229; // a unit of the profile velocity
const CONNECTION = { connected: 'connected', idle: 'port closed at rest', connecting: 'looking for it', disconnected: 'not connected', released: 'released' };

// hindrance tells why an action would not be accepted now, or ''.
export function hindrance(device, action) {
  const away = unreachable(device);
  if (away) return away;
  if (!device.state) return 'the device has not said its state yet';
  if (!action || device.state.allowed_actions?.includes(action)) return '';
  return `Not now. ${device.state.message || device.state.status}`;
}

// occupied tells that something runs or waits, which a motor that goes away would end.
function occupied(device) {
  const { state, queue } = device;
  return Boolean(state?.operation || state?.queue_length || queue.length) && !astray(device);
}

// command sends what a button stands for, if the device would take it, and says what came of it.
export async function command(device, button, field, action, input, body, what) {
  const why = hindrance(device, action);
  if (why) {
    answer(device, field, { ok: false, message: why }, what);
    return { ok: false };
  }
  attr(button, 'aria-busy', 'true');
  const result = await send(device.id, input, body);
  attr(button, 'aria-busy', null);
  answer(device, field, result, what);
  return result;
}

export function commands(root, field, device) {
  // A remedy is the same button again, beside what it is for.
  const all = (action) => root.querySelectorAll(`[data-action=${action}], [data-remedy=${action}]`);
  const hotels = root.querySelector('#hotels');
  const { angle, speed } = { angle: root.querySelector('#angle'), speed: root.querySelector('#speed') };
  const moves = field.answer, service = field['service-answer'];

  const buttons = list(hotels, (hotel) => hotel.name, ({ name }) => {
    const node = el('button', { type: 'button', 'data-action': 'hotel', 'data-value': name, 'aria-label': `Turn to hotel ${name}` }, name);
    node.addEventListener('click', () => turnTo(name, node));
    return { node, update({ faces, goal }) {
      attr(node, 'aria-current', faces && 'true');
      attr(node, 'data-goal', goal && 'true');
    } };
  });

  function turnTo(hotel, button = hotels.querySelector(`[data-value="${CSS.escape(hotel)}"]`)) {
    command(device, button, moves, 'hotel', 'hotel', { hotel }, `Hotel ${hotel}`);
  }

  function ask(name, input) {
    root.querySelector(`[data-form=${name}]`).addEventListener('submit', (event) => {
      event.preventDefault();
      const { value, fault } = typed(input);
      if (fault) { wrong(moves, fault); input.focus(); return; }
      command(device, event.submitter ?? input, moves, name, name, { [name]: value }, operation(name, { [name]: value }));
    });
  }
  ask('angle', angle);
  ask('speed', speed);

  function press(action, field, body, what) {
    for (const button of all(action)) button.addEventListener('click', () => command(device, button, field, action, action, body(), what()));
  }
  press('home', moves, () => ({}), () => 'Home');
  press('reset', service, () => ({}), () => 'Reset');
  press('refresh', service, () => ({}), () => operation('refresh'));

  // What would be in the way of something that runs or waits is asked for first.
  const asking = [];
  function pressSurely(action, usual, question, body, what) {
    for (const button of all(action)) {
      const label = button.textContent;
      const doubt = doubts(button, (words) => text(button, words), () => usual() || label);
      asking.push(doubt);
      button.addEventListener('click', () => {
        if (!hindrance(device, action) && occupied(device) && !doubt.sure(question)) return;
        command(device, button, service, action, action, body(), what());
      });
    }
  }
  const connects = () => (astray(device) ? 'Connect motor' : 'Release motor');
  pressSurely('reboot', () => '', 'Really reboot?', () => ({}), () => 'Reboot');
  pressSurely('connection', connects, 'Really release?', () => ({ state: astray(device) ? 'ON' : 'OFF' }), connects);

  return {
    topics: ['state', 'availability', 'queue', 'operation', 'history'],
    turnTo,
    render() {
      settle(device);
      const state = device.state;
      const goal = state?.operation?.operation === 'hotel' ? state.operation.parameters.hotel : null;
      buttons((state?.hotels ?? []).map((name) => ({ name, faces: name === state.hotel, goal: name === goal })));
      for (const action of ['hotel', 'angle', 'speed', 'home', 'reset', 'reboot', 'refresh', 'connection']) {
        const why = hindrance(device, action);
        for (const button of all(action)) {
          attr(button, 'aria-disabled', why ? 'true' : null);
          attr(button, 'aria-describedby', why ? 'why' : null);
        }
      }
      text(field.why, hindrance(device) || (state?.allowed_actions?.includes('hotel') ? '' : hindrance(device, 'hotel')));
      for (const doubt of asking) doubt.render(occupied(device));
      if (!state) return;
      const limit = state.speed_limit;
      if (document.activeElement !== speed && speed.dataset.shown !== String(state.speed)) {
        speed.value = state.speed;
        speed.dataset.shown = state.speed;
      }
      text(field['speed-unit'], limit ? `of ${limit}` : '');
      text(field.rpm, `${(state.speed * RPM).toFixed(1)} rpm`);
      text(field.target, typeof state.target_angle === 'number' ? degrees(state.target_angle) : '–');
      text(field.torque, state.torque ? 'on' : 'off');
      text(field.connection, CONNECTION[state.connection] ?? state.connection);
      text(field.total, state.operations_total);
    },
  };
}
