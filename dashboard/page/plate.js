// The name plate: what the device is, in words, the stop, and what stands in the way of everything else.

import { text, attr, show } from './dom.js';
import { gone, astray } from './store.js';
import { status } from './words.js';
import { ago, clock, now, stamp } from './time.js';
import { stop, halted, onPress } from './stop.js';
import { send } from './api.js';

const FRESH = 1500; // ms for which news is news
const SHOWN = 8e3; // ms for which the answer to a stop stays on its button

export function plate(root, field, device) {
  const button = root.querySelector('#stop');
  const banner = (name) => root.querySelector(`[data-banner=${name}]`);
  const announce = document.getElementById('announce');
  let said = '', answered = 0, busy = 0, failed = false, latched = false;

  function press() {
    const mine = ++busy;
    stop(device, (answer) => {
      if (mine !== busy) return; // a later press has an answer of its own
      text(field.stop, answer.text);
      attr(button, 'aria-busy', answer.busy && 'true');
      attr(button, 'data-state', answer.busy ? 'busy' : answer.failed ? 'failed' : 'done');
      answered = answer.busy ? 0 : now();
      fail(answer.failed);
      if (answered && !answer.failed) text(announce, answer.text);
    });
  }

  // fail shows why a stop has failed, until there is another or the device is seen to have stopped.
  function fail(why) {
    failed = Boolean(why);
    show(banner('stop-failed'), failed);
    text(field['stop-failed'], why ? `${why}, at ${clock(now())}.` : '');
    text(document.getElementById('alarm'), why ? `${device.id} is not stopped: ${why}. Use the power switch.` : '');
  }

  // calm takes the answer to a stop from its button again.
  function calm() {
    if (!answered) return;
    answered = 0;
    text(field.stop, 'Stop');
    attr(button, 'data-state', null);
  }

  onPress(button, press);
  banner('stop-failed').querySelector('button').addEventListener('click', () => {
    show(banner('stop-failed'), false);
    button.focus();
  });
  root.querySelector('[data-remedy=connect]').addEventListener('click', () => send(device.id, 'connection', { state: 'ON' }));
  text(field.device, device.id);

  // say tells a screen reader what has become of the device, but not where on its way it is.
  function say({ key, word, message }) {
    const what = `${key} ${word} ${device.state?.operation?.id} ${device.state?.hotel && key !== 'busy' ? device.state.hotel : ''}`;
    if (what === said) return;
    if (said) text(announce, `${device.id}: ${word}. ${message}`);
    said = what;
  }

  return {
    topics: ['state', 'availability', 'health'],
    stop: press,
    away() { return Boolean(gone(device)) || astray(device); },
    render() {
      const now = status(device);
      const state = device.state;
      attr(root, 'data-status', now.key);
      attr(root, 'data-stale', gone(device) ? 'all' : astray(device) ? 'motor' : null);
      attr(field.shape, 'd', now.shape);
      text(field.status, now.word);
      text(field.message, now.message);
      const away = gone(device);
      show(banner('device'), away?.what === 'device');
      show(banner('e_stop'), Boolean(state?.emergency_stop));
      if (failed && halted(device)) {
        fail('');
        calm();
      }
      if (latched && !state?.emergency_stop) calm();
      latched = Boolean(state?.emergency_stop);
      show(banner('fault'), !away && state?.status === 'error');
      const off = Boolean(device.health?.hardware_error?.length); // the servo, by itself; else only its torque is
      show(banner('fault').querySelector('[data-remedy=reboot]'), off);
      show(banner('fault').querySelector('[data-remedy=reset]'), !off);
      show(banner('motor'), !away && astray(device));
      show(root.querySelector('[data-remedy=connect]'), state?.connection === 'released');
      say(now);
      this.tick();
    },
    tick() {
      const away = gone(device);
      const state = device.state;
      text(field.offline, away?.what === 'device' ? `since ${stamp(away.since)}. Its program has ended or is out of reach.` : '');
      if (state) {
        text(field['motor-word'], { released: 'The motor is released', connecting: 'Looking for the motor' }[state.connection] ?? 'The motor is gone');
        text(field['motor-gone'], `since ${stamp(device.connectionSince)}. ${state.connection === 'released' ? 'Connect it to move.' : 'Until it is there nothing moves.'}`);
      }
      // Without its motor, where the carousel stands is from before; it may have been turned by hand since.
      const of = !away && astray(device) ? device.connectionSince : device.heard;
      // While nothing changes a healthy device says nothing: the age of its last news is not that of what is shown.
      const news = now() - of < FRESH ? '' : `, last news ${ago(of)}`;
      text(field.heard, !of ? 'never heard' : away || astray(device) ? `as of ${stamp(of)}` : `live${news}${state && !state.torque ? ', torque off' : ''}`);
      if (answered && now() - answered > SHOWN) calm();
    },
  };
}
