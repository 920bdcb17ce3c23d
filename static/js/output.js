// Follows the output of the chosen run: asks from where it stands and waits for more.

const WAIT_SECONDS = 25;
const PAUSE_AFTER_ERROR_MS = 2000;
const MOST_CHARACTERS = 1_000_000;
const SEQUENCE = /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]/;
const COMMAND = /(?:\u001b\]|\u009d)[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)/;
const ESCAPES = new RegExp(`${SEQUENCE.source}|${COMMAND.source}|\\u001b[@-Z\\\\-_]`, "g");
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

let following = new AbortController();
let followed = { box: null, run: "" };

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function plain(text) {
  return text.replaceAll("\r\n", "\n").replace(ESCAPES, "").replace(CONTROLS, "");
}

async function follow(box, signal) {
  const view = box.querySelector("pre");
  const state = box.querySelector("[data-state]");
  let offset = Number(box.dataset.offset);
  let finished = box.dataset.finished === "true";
  view.scrollTop = view.scrollHeight;
  while (!finished && !signal.aborted) {
    try {
      const address = `${box.dataset.url}?offset=${offset}&wait=${WAIT_SECONDS}`;
      const response = await fetch(address, { signal, headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(response.statusText);
      const slice = await response.json();
      append(view, slice.text);
      offset = slice.next_offset;
      finished = slice.finished;
      state.textContent = standing(box, slice);
    } catch {
      if (signal.aborted) return;
      state.textContent = box.dataset.saysAway;
      await pause(PAUSE_AFTER_ERROR_MS);
    }
  }
}

// The same words as in the server's own partial, which says whether it started with each live update.
function standing(box, { finished, next_offset: written }) {
  if (finished) return written ? box.dataset.saysEnded : box.dataset.saysSilent;
  const started = written || box.dataset.started === "true";
  return started ? box.dataset.saysFollowing : box.dataset.saysWaiting;
}

function append(view, text) {
  if (!text) return;
  const isAtEnd = view.scrollHeight - view.scrollTop - view.clientHeight < 24;
  view.append(plain(text));
  view.normalize();
  const shown = view.firstChild;
  if (shown && shown.length > MOST_CHARACTERS) {
    shown.deleteData(0, shown.length - MOST_CHARACTERS);
    view.closest("[data-output]").querySelector("[data-cut]").hidden = false;
  }
  if (isAtEnd) view.scrollTop = view.scrollHeight;
}

// A live update leaves the box as it is, with what was read so far; another device's replaces it.
function start() {
  const box = document.querySelector("[data-output]");
  const run = box?.dataset.run ?? "";
  if (box === followed.box && run === followed.run) return;
  following.abort();
  following = new AbortController();
  followed = { box, run };
  if (box) follow(box, following.signal);
}

start();
document.addEventListener("htmx:afterSettle", start);
document.addEventListener("live:shown", start);
