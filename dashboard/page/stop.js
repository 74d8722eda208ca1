// The stop: sent at once, whatever is shown of the device, as what is shown may be wrong. A second press sends it again.

import { send } from './api.js';
import { gone, astray } from './store.js';
import { clock, now } from './time.js';
import { unreachable } from './words.js';

// stop sends it, tells show what to say, {text, failed, busy}, and returns why it has failed, or ''. Where the page knows
// that it comes nowhere it says so first, and tries all the same.
export async function stop(device, show) {
  const known = gone(device)?.what !== 'device' && unreachable(device);
  show(known ? { text: 'Not stopped', failed: known, busy: false } : { text: 'Stopping…', failed: '', busy: true });
  const { ok, message, operation } = await send(device.id, 'stop');
  const failed = ok && operation?.state !== 'failed' ? '' : operation?.error?.message || message || 'no reason was given';
  show({ text: failed ? 'Not stopped' : `Stopped ${clock(now())}`, failed, busy: false });
  return failed;
}

// halted tells that a device has just said that it is stopped: latched alone it may turn, while its motor is out of reach.
export function halted(device) {
  const { dirty, state } = device;
  return dirty.has('state') && !gone(device) && !astray(device) && Boolean(state?.emergency_stop) && !state.torque;
}

// onPress calls press as a finger touches the button, which is sooner than a click, and for all other clicks: of a
// keyboard, of assistive technology, of a script.
export function onPress(button, press) {
  let touched = -Infinity;
  button.addEventListener('pointerdown', (event) => {
    if (event.button) return;
    touched = performance.now();
    press();
  });
  button.addEventListener('click', () => {
    if (performance.now() - touched > 800) press();
    touched = -Infinity;
  });
  button.addEventListener('keydown', (event) => {
    if (event.repeat) event.preventDefault();
  });
}
