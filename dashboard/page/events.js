// The stream of events from the dashboard's server.

import { setServerTime } from './time.js';
import { snapshot, apply, store, touchPage } from './store.js';

const SILENCE = 12e3; // ms without a heartbeat, which comes every 5 s
const RETRY = 2e3;

let source = null;
let heard = Date.now(); // by the browser's clock, as it measures a span only
let version = '';

export function start(onSnapshot) {
  open(onSnapshot);
  setInterval(() => {
    const silent = Date.now() - heard > SILENCE;
    if (silent) lose();
    // A browser comes back by itself after a loss of the network, but not after an answer that is not a stream.
    if (source.readyState === EventSource.CLOSED || silent) open(onSnapshot);
  }, RETRY);
}

function open(onSnapshot) {
  source?.close();
  source = new EventSource('events');
  heard = Math.max(heard, Date.now() - SILENCE + 2 * RETRY); // time to answer
  source.addEventListener('error', lose);
  source.addEventListener('snapshot', (event) => {
    const data = receive(event);
    // A server of another version has another page.
    if (version && data.version !== version) location.reload();
    version = data.version;
    snapshot(data.messages);
    onSnapshot(data);
  });
  source.addEventListener('messages', (event) => {
    for (const message of receive(event).messages) apply(message);
  });
}

function receive(event) {
  const data = JSON.parse(event.data);
  heard = Date.now();
  setServerTime(data.now);
  if (store.lost) {
    store.lost = 0;
    touchPage();
  }
  return data;
}

function lose() {
  if (store.lost) return;
  store.lost = heard;
  touchPage();
}
