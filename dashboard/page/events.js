// The stream of events from the dashboard's server, as long as the page is seen.

import { setServerTime } from './time.js';
import { snapshot, apply, store, touchPage } from './store.js';

const SILENCE = 12e3; // ms without a heartbeat, which comes every 3 s
const PATIENCE = 4e3; // ms for the first answer
const RETRY = 2e3;

let source = null; // null while nobody looks
let opened = 0; // when it was opened; this and the next by the browser's clock, as they measure spans only
let heard = Date.now(); // when the server was heard last
let version = '';

// start follows the stream. A browser has six connections to one server for all its tabs: the streams of those that
// nobody looks at would leave none for a stop. Whoever looks again gets a snapshot.
export function start(onSnapshot) {
  const follow = () => document.hidden ? close() : source || open(onSnapshot);
  document.addEventListener('visibilitychange', follow);
  follow();
  setInterval(() => {
    if (!source) return;
    const silent = Date.now() > Math.max(heard + SILENCE, opened + PATIENCE);
    if (silent) lose();
    // A browser comes back by itself after a loss of the network, but not after an answer that is not a stream.
    if (source.readyState === EventSource.CLOSED || silent) open(onSnapshot);
  }, RETRY);
}

function close() {
  source?.close();
  source = null;
}

function open(onSnapshot) {
  close();
  source = new EventSource('events');
  opened = Date.now();
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
