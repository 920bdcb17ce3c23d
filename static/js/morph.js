// Makes one element like another, touching only what differs: focus, selection, scroll, open folds
// and what a person has typed or ticked stay.

const KEPT_BY_THE_READER = new Set(["open"]);
// By these and the beginning of its text, of two elements the one is told from the other.
const SAYING = ["action", "aria-label", "aria-labelledby", "href", "name"];
const MOST_TEXT = 80;

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

// What stays is not moved: an element that leaves its place, even for another beside it, is scrolled
// back to its beginning and asks no more for what it was loading.
function copyChildren(from, to) {
  const staying = counterparts([...from.childNodes], [...to.childNodes]);
  const keyed = takeOut(from, new Set(staying.values()));
  let cursor = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const known = staying.get(wanted) ?? keyed.get(wanted.nodeName + wanted.id);
    if (known && known === cursor) cursor = cursor.nextSibling;
    else from.insertBefore(known ?? document.importNode(wanted, true), cursor);
    if (known) morphNode(known, wanted);
  }
}

// The rest goes; what is found by its id may come back elsewhere.
function takeOut(parent, staying) {
  const gone = [...parent.childNodes].filter((one) => !staying.has(one));
  gone.forEach((one) => one.remove());
  return new Map(gone.filter((one) => one.id).map((one) => [one.nodeName + one.id, one]));
}

// Which child becomes which, in the order they have: as many as can, those together that are most alike.
function counterparts(old, wanted) {
  const [ours, theirs] = [old.map(traits), wanted.map(traits)];
  const best = [...ours, null].map(() => new Array(theirs.length + 1).fill(0));
  for (let i = ours.length - 1; i >= 0; i -= 1) {
    for (let j = theirs.length - 1; j >= 0; j -= 1) {
      best[i][j] = Math.max(paired(i, j), best[i + 1][j], best[i][j + 1]);
    }
  }
  const found = new Map();
  for (let i = 0, j = 0; best[i][j] > 0; ) {
    if (paired(i, j) === best[i][j]) found.set(wanted[j++], old[i++]);
    else if (best[i + 1][j] === best[i][j]) i += 1;
    else j += 1;
  }
  return found;

  function paired(i, j) {
    const alike = likeness(ours[i], theirs[j]);
    return alike && alike + best[i + 1][j + 1];
  }
}

function traits(node) {
  const of = (name) => node.getAttribute?.(name) ?? "";
  const is = `${node.nodeName} ${node.id ?? ""}`;
  const text = node.childElementCount === 0 ? node.firstChild?.data?.slice(0, MOST_TEXT) : "";
  const says = [...SAYING.map(of), text].join();
  return { is, looks: of("class"), says, weighs: node.id ? 3 : 1 };
}

// 0 is no likeness. An element, though it looks and says another thing, outweighs the blanks beside it.
function likeness(one, other) {
  if (one.is !== other.is) return 0;
  if (one.is.startsWith("#")) return 1;
  return 3 * one.weighs + (one.looks === other.looks) + (one.says === other.says);
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
