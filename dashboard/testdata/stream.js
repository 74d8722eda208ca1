// Runs page/events.js in a browser of which only the clock, the streams and the tab's visibility are there.

import assert from 'node:assert/strict';

let now = 1.8e12;
Date.now = () => now;

let tick = null;
globalThis.setInterval = (call, period) => { tick = { call, period, next: now + period }; };

// pass has time go by, in which every open stream of a server that is there is told a heartbeat every 3 s.
function pass(ms, heartbeats = true) {
  for (const end = now + ms; now < end;) {
    now += 1000;
    if (heartbeats && now % 3000 === 0) streams.at(-1).tell('messages', { now, messages: [] });
    if (now >= tick.next) {
      tick.next += tick.period;
      tick.call();
    }
  }
}

const streams = [];
globalThis.EventSource = class {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSED = 2;
  readyState = 0;
  listeners = {};
  constructor(url) {
    assert.equal(url, 'events');
    streams.push(this);
  }
  addEventListener(name, listener) { this.listeners[name] = listener; }
  close() { this.readyState = 2; }
  tell(name, data) {
    if (this.readyState === 2) return;
    if (data) this.readyState = 1;
    this.listeners[name]({ data: JSON.stringify(data) });
  }
  snapshot(...messages) { this.tell('snapshot', { now, version: '1', messages }); }
};
const open = () => streams.filter((stream) => stream.readyState !== 2).length;

let look = null;
globalThis.document = { hidden: false, addEventListener: (name, listener) => { look = { name, listener }; } };
function hide(hidden) {
  document.hidden = hidden;
  assert.equal(look.name, 'visibilitychange');
  look.listener();
}

const { start } = await import('./page/events.js');
const { store } = await import('./page/store.js');
const state = (angle) => ({ device: 'lab', topic: 'state', at: now, payload: { angle } });

let snapshots = 0;
start(() => snapshots++);
assert.equal(open(), 1, 'a page that is seen has a stream');
streams[0].snapshot(state(1));
pass(60e3);
assert.deepEqual([snapshots, streams.length, store.lost], [1, 1, 0], 'with heartbeats the stream stays');

hide(true);
assert.equal(open(), 0, 'a page that is not seen has no stream');
pass(3600e3);
assert.deepEqual([streams.length, store.lost], [1, 0], 'nor does it look for one, or miss it');

hide(false);
assert.equal(open(), 1, 'it has one again');
pass(2e3, false);
assert.equal(store.lost, 0, 'which may take a moment');
streams.at(-1).snapshot(state(2));
pass(60e3);
assert.deepEqual([snapshots, streams.length, store.lost], [2, 2, 0]);
assert.equal(store.devices.get('lab').state.angle, 2, 'what came meanwhile is in the snapshot');
hide(false);
assert.equal(streams.length, 2, 'a page that is seen already needs no other');

// The server goes while nobody looks.
hide(true);
const since = now;
pass(600e3);
hide(false);
pass(2e3, false);
assert.equal(store.lost, 0);
pass(10e3, false);
assert.equal(store.lost, since - since % 3000, 'what is shown is from when it was heard last');
assert.equal(open(), 1, 'one stream is tried at a time');
streams.at(-1).snapshot(state(3));
assert.equal(store.lost, 0);

// It goes in front of everybody.
const last = now;
pass(12e3, false);
assert.equal(store.lost, 0);
pass(4e3, false);
assert.equal(store.lost, last);
hide(true);
hide(false);
streams.at(-1).tell('error');
assert.equal(store.lost, last);
assert.equal(open(), 1);
streams.at(-1).snapshot(state(4));
streams.at(-1).close(); // as a browser does after an answer that is not a stream
pass(2e3, false);
assert.equal(open(), 1, 'it is tried again');
