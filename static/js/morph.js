// Makes one element like another, touching only what differs: focus, selection, scroll, open folds
// and what a person has typed or ticked stay.

const KEPT_BY_THE_READER = new Set(["open"]);

export function morph(from, to) {
  if (from.isEqualNode(to)) return;
  copyAttributes(from, to);
  const focused = document.activeElement;
  copyChildren(from, to);
  if (focused !== document.activeElement && focused?.isConnected) {
    focused.focus({ preventScroll: true });
  }
}

function copyAttributes(from, to) {
  for (const { name, value } of to.attributes) {
    if (isKept(from, name)) continue;
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !isKept(from, name)) from.removeAttribute(name);
  }
}

function isKept(element, attribute) {
  return element.localName === "details" && KEPT_BY_THE_READER.has(attribute);
}

function copyChildren(from, to) {
  const keyed = new Map([...from.children].filter((one) => one.id).map((one) => [one.id, one]));
  let cursor = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const known = wanted.id && keyed.get(wanted.id);
    if (known) {
      if (known === cursor) cursor = cursor.nextSibling;
      else from.insertBefore(known, cursor);
      morphNode(known, wanted);
    } else if (cursor && isAlike(cursor, wanted)) {
      const next = cursor.nextSibling;
      morphNode(cursor, wanted);
      cursor = next;
    } else {
      from.insertBefore(document.importNode(wanted, true), cursor);
    }
  }
  while (cursor) {
    const next = cursor.nextSibling;
    cursor.remove();
    cursor = next;
  }
}

function isAlike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && !one.id && !other.id;
}

// What a script fills by itself, such as a run's output, stays as long as it is about the same thing.
function fillsItself(from, to) {
  return Boolean(from.dataset?.keep) && from.dataset.keep === to.dataset?.keep;
}

function morphNode(from, to) {
  if (from.isEqualNode(to) || fillsItself(from, to)) return;
  if (from.nodeType !== Node.ELEMENT_NODE) {
    from.nodeValue = to.nodeValue;
    return;
  }
  copyAttributes(from, to);
  copyChildren(from, to);
}
