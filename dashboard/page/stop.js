// The stop: sent at once, whatever is shown of the device, as what is shown may be wrong. A second press sends it again.

import { send } from './api.js';
import { clock, now } from './time.js';

// stop sends it and tells show what to say: {text, failed, busy}.
export async function stop(id, show) {
  show({ text: 'Stopping…', busy: true });
  const { ok, message, operation } = await send(id, 'stop');
  const error = operation?.error?.message || message;
  const failed = !ok || operation?.state === 'failed';
  show({ text: failed ? 'Not stopped' : `Stopped ${clock(now())}`, failed: failed && (error || 'no reason was given'), busy: false });
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
