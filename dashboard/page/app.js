// The page: which device is opened, and one rendering per frame of what has changed.

import { attr, show, text } from './dom.js';
import { store, take, onChange, touchPage } from './store.js';
import { start } from './events.js';
import { cards } from './cards.js';
import { open } from './device.js';
import { stamp } from './time.js';
import { status } from './words.js';

const list = cards(document.getElementById('cards'));
const place = document.getElementById('opened');
const found = (name) => document.querySelector(`[data-field=${name}]`);
const nothing = found('nothing'), count = found('count');
let view = null; // of the opened device
let connected = false;
let pending = false;

function wanted() {
  if (location.hash.startsWith('#/')) {
    const id = location.hash.slice(2);
    if (id) return id;
  }
  return store.devices.size === 1 ? [...store.devices.keys()][0] : '';
}

// route opens what the address says; a device that is not there (any more) is none.
function route(focus) {
  const device = store.devices.get(wanted());
  if (view?.device === device && device) return;
  view?.close();
  view = null;
  place.replaceChildren();
  if (!device) return;
  view = open(device, place);
  if (focus) view.focus();
  scrollTo(0, 0);
}

function renderPage() {
  route(false);
  const several = store.devices.size > 1;
  attr(document.body, 'data-view', several ? (view ? 'both' : 'list') : view ? 'one' : 'none');
  text(count, several ? `${store.devices.size} devices` : '');
  show(nothing, connected && !store.devices.size || !connected && !store.lost);
  if (connected) {
    const id = location.hash.startsWith('#/') && wanted();
    text(nothing, id ? `There is no device ${id}.` : `No device has been heard yet on ${store.broker.broker}.`);
  }
  banners();
  list.all();
}

// banners says what is wrong with the dashboard itself, above the list and above the opened device.
function banners() {
  const { at, broker: address, error } = store.broker;
  const lost = store.lost > 0, away = !lost && connected && !store.broker.connected;
  const say = (name, visible, words) => {
    for (const banner of document.querySelectorAll(`[data-banner=${name}]`)) {
      show(banner, visible);
      if (visible) text(banner.querySelector('span'), words());
    }
  };
  say('server', lost, () => `since ${stamp(store.lost)}. What is shown is from then.`);
  say('broker', away, () => `since ${stamp(at)}: ${address}${error ? `, ${error}` : ''}`);
}

function frame(time) {
  pending = false;
  const changed = take();
  if (changed.page) renderPage();
  if (changed.page) list.render([...store.devices.values()], true);
  else list.render(changed.devices, false);
  if (view && (changed.page || view.device.dirty.size)) view.render(time, changed.page);
  const moves = view?.frame(time);
  for (const device of changed.devices) device.dirty.clear();
  title();
  if (moves) schedule();
}

function title() {
  const words = view ? `${view.device.id}: ${status(view.device).word} – Plate Resort` : 'Plate Resort';
  if (document.title !== words) document.title = words;
}

function schedule() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(frame);
}

// Ages are written once a second, and only when somebody may be looking.
function tick() {
  if (document.hidden) return;
  banners();
  list.tick();
  view?.tick();
}

onChange(schedule);
addEventListener('hashchange', () => {
  route(true);
  touchPage();
});
addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || !event.shiftKey || event.repeat) return;
  event.preventDefault();
  if (view) view.stop();
  else list.stopAll();
});
addEventListener('resize', () => view?.resize());
setInterval(tick, 1000);
start(() => {
  connected = true;
  view?.load();
});
