// What is written to the page only where it differs: a browser lays out again even what is set to the same.

const SVG = 'http://www.w3.org/2000/svg';

export function text(node, value) {
  const string = value === null || value === undefined ? '' : String(value);
  if (node.textContent !== string) node.textContent = string;
}

// attr sets an attribute; false, null and undefined take it away.
export function attr(node, name, value) {
  if (value === false || value === null || value === undefined) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const string = value === true ? '' : String(value);
  if (node.getAttribute(name) !== string) node.setAttribute(name, string);
}

export function show(node, visible) {
  if (node.hidden !== visible) return;
  if (!visible) leave(node);
  node.hidden = !visible;
}

// leave keeps the focus on the page when what has it goes away, near the top of what it belongs to.
function leave(node) {
  if (node.contains(document.activeElement)) document.querySelector('h2[tabindex]')?.focus({ preventScroll: true });
}

function make(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) attr(node, name, value);
  node.append(...children);
  return node;
}

export function el(tag, attributes = {}, ...children) {
  return make(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return make(document.createElementNS(SVG, tag), attributes, children);
}

// clone makes what a template has in it.
export function clone(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

// fields finds the parts of a node by their data-field.
export function fields(node) {
  const found = {};
  for (const part of node.querySelectorAll('[data-field]')) found[part.dataset.field] ??= part;
  return found;
}

// list keeps the children of a node in step with items: rows stay what they are as long as their key is there,
// so that focus and selection do too.
export function list(parent, key, create) {
  const rows = new Map();
  return (items) => {
    const keys = new Set();
    let place = parent.firstElementChild;
    for (const item of items) {
      const name = key(item);
      if (keys.has(name)) continue;
      keys.add(name);
      let row = rows.get(name);
      if (!row) rows.set(name, (row = create(item)));
      row.update(item);
      if (row.node === place) place = place.nextElementSibling;
      else parent.insertBefore(row.node, place);
    }
    for (const [name, row] of rows) {
      if (keys.has(name)) continue;
      leave(row.node);
      row.node.remove();
      rows.delete(name);
    }
    return rows;
  };
}
