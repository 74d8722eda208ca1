// The latest of every device. Messages only mark what has changed; the page is written once per frame.

import { now } from './time.js';

export const store = {
  devices: new Map(),
  broker: { connected: true, broker: '', error: '', at: 0 },
  lost: 0, // since when the dashboard's server has not been heard, or 0
};

const changedDevices = new Set();
let changedPage = false;
let wake = () => {};

// onChange is called when there is something to render, as often as that is so.
export function onChange(call) {
  wake = call;
}

// take returns what has changed since it was called last.
export function take() {
  const devices = [...changedDevices];
  const page = changedPage;
  changedDevices.clear();
  changedPage = false;
  return { devices, page };
}

export function touch(device, topic) {
  device.dirty.add(topic);
  changedDevices.add(device);
  wake();
}

export function touchPage() {
  changedPage = true;
  wake();
}

const MAX_OPERATIONS = 100;
const MAX_LINES = 200;
const HOUR = 3600e3;
const POINT = 5000; // ms between two points of a chart, at least

// ms is a time as the device writes it.
export function ms(time) {
  return time ? Date.parse(time) : NaN;
}

function newDevice(id) {
  return {
    id,
    online: false, onlineSince: 0,
    state: null, health: null, queue: [], history: [], schedules: {},
    connectionSince: 0,
    heard: 0, // when the device last said anything
    dirty: new Set(),
    opened: false, points: [], operations: [], log: [], // only kept of the one that is opened
  };
}

export function snapshot(messages) {
  const before = store.devices;
  store.devices = new Map();
  for (const message of messages) {
    if (message.device && before.has(message.device) && !store.devices.has(message.device)) {
      // The object stays, as the page holds it; what is in it does not.
      const { opened, points, operations, log } = before.get(message.device);
      store.devices.set(message.device, Object.assign(before.get(message.device), newDevice(message.device), { opened, points, operations, log }));
    }
    apply(message, false);
  }
  touchPage();
}

export function apply(message, live = true) {
  const { device: id, topic, at, payload } = message;
  if (!id) {
    if (topic === 'broker') store.broker = { ...payload, at };
    touchPage();
    return;
  }
  let device = store.devices.get(id);
  if (topic === 'availability' && payload === null) {
    store.devices.delete(id);
    touchPage();
    return;
  }
  if (!device) {
    store.devices.set(id, (device = newDevice(id)));
    touchPage();
  }
  // What was retained may be much older than its arrival at the dashboard; then its own time counts.
  const own = ms(payload?.updated_at);
  const heard = live || !(own < at) ? at : own;
  if (topic === 'state' || topic === 'health' || live && topic !== 'availability') device.heard = Math.max(device.heard, heard);
  accept[topic]?.(device, payload, at, heard);
  touch(device, topic);
}

const accept = {
  availability(device, payload, at) {
    device.online = payload === 'online';
    device.onlineSince = at;
  },
  state(device, payload, at, heard) {
    if (device.state?.connection !== payload?.connection) device.connectionSince = heard;
    device.state = payload;
  },
  health(device, payload, at) {
    device.health = payload;
    if (!device.opened || !payload) return;
    const last = device.points.at(-1);
    const point = [at, payload.temperature, payload.voltage, payload.current, payload.load];
    if (last && at - last[0] < POINT) return;
    device.points.push(point);
    while (device.points[0][0] < at - HOUR) device.points.shift();
  },
  queue(device, payload) { device.queue = payload ?? []; },
  history(device, payload) { device.history = payload ?? []; },
  schedules(device, payload) { device.schedules = payload ?? {}; },
  operation(device, payload) {
    if (device.opened && payload?.finished_at) device.operations = merge([payload], device.operations);
  },
  log(device, payload) {
    if (device.opened && payload) device.log = [...device.log, payload].slice(-MAX_LINES);
  },
};

// merge joins lists of operations that have ended, newest first. The same one may come more than once; one that
// was rejected for an id that was used before has that id too.
export function merge(...lists) {
  const known = new Map();
  for (const operation of lists.flat()) {
    const key = operationKey(operation);
    if (!known.has(key)) known.set(key, operation);
  }
  return [...known.values()].sort((a, b) => ms(b.finished_at) - ms(a.finished_at)).slice(0, MAX_OPERATIONS);
}

export function operationKey(operation) {
  return `${operation.id} ${operation.finished_at}`;
}

// load takes what the dashboard has in memory of a device, and what has come meanwhile.
export function load(device, details) {
  const last = details.health.at(-1)?.[0] ?? 0;
  device.points = [...details.health, ...device.points.filter((point) => point[0] > last)];
  device.operations = merge(details.operations, device.operations);
  const known = new Set(details.log.map(lineKey));
  device.log = [...details.log, ...device.log.filter((line) => !known.has(lineKey(line)))].slice(-MAX_LINES);
  for (const topic of ['health', 'history', 'log']) touch(device, topic);
}

export function lineKey(line) {
  return `${line.time} ${line.msg}`;
}

// astray tells that the device has no motor to speak to, so that nothing is known of where it stands now.
export function astray(device) {
  return ['disconnected', 'connecting', 'released'].includes(device.state?.connection);
}

// gone says what keeps the device from being heard, the outermost first: behind it nothing is known of the rest.
export function gone(device) {
  if (store.lost) return { what: 'server', since: store.lost };
  if (!store.broker.connected) return { what: 'broker', since: store.broker.at };
  if (!device.online) return { what: 'device', since: device.onlineSince || now() };
  return null;
}
