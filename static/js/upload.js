// Uploads a file in pieces: what was begun goes on where it stood, after a pause, a cut or a reload.
// Without this script the form sends the file whole.

import { Refused, Unready, Uploads } from "./tus.js";

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

const form = document.querySelector("[data-upload]");
const says = form.dataset;
const names = ["state", "says", "wrong", "start", "pause", "resume"];
const parts = Object.fromEntries(names.map((name) => [name, form.querySelector(`[data-upload-${name}]`)]));
const bar = form.querySelector("progress");
let stopper = null;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
parts.resume.addEventListener("click", start);
parts.pause.addEventListener("click", () => stopper?.abort());

async function start() {
  const file = form.elements.file.files[0];
  parts.state.hidden = false;
  parts.wrong.textContent = "";
  if (!file) return refuse(says.saysChoose);
  if (file.size > Number(says.most)) return refuse(says.saysLarge);
  stopper = new AbortController();
  show({ busy: true });
  try {
    location.assign(says.filePage + (await send(file, stopper.signal)) + "/");
  } catch (error) {
    if (error instanceof Refused) return refuse(error.message);
    if (!stopper.signal.aborted) throw error;
    show({ busy: false, begun: true });
    tell(says.saysPaused);
  }
}

// The id of the file that came of it. Tries again for as long as the server does not answer.
async function send(file, signal) {
  const uploads = new Uploads(says.upload, form.elements.csrfmiddlewaretoken.value, signal);
  const key = `deployx-upload:${file.name}:${file.size}:${file.lastModified}`;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      const place = (await known(uploads, key, file)) ?? (await begin(uploads, key, file));
      while (!place.id) {
        progress(place.offset, file.size);
        const bytes = file.slice(place.offset, place.offset + Number(says.piece));
        Object.assign(place, await uploads.append(place, bytes));
        pauseMs = FIRST_PAUSE_MS;
      }
      localStorage.removeItem(key);
      progress(file.size, file.size, says.saysDone);
      return place.id;
    } catch (error) {
      if (error instanceof Refused || signal.aborted) throw error;
      // A server that knows why it can't just now, a full disk say, has said so.
      parts.says.textContent = (error instanceof Unready && error.message) || says.saysAway;
      await pause(pauseMs, signal);
    }
  }
}

// Where an upload that was begun before stands; null where there is none any more.
async function known(uploads, key, file) {
  const address = localStorage.getItem(key);
  const place = address && (await uploads.find(address));
  if (!place) return null;
  if (place.offset) progress(place.offset, file.size, says.saysGoesOn);
  return place;
}

async function begin(uploads, key, file) {
  const filename = form.elements.name.value.trim() || file.name;
  const description = form.elements.description.value;
  const place = await uploads.begin(file.size, { filename, description });
  localStorage.setItem(key, place.address);
  return place;
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function progress(done, size, words = says.saysSending) {
  bar.value = size ? done / size : 1;
  tell(words);
}

function tell(words) {
  parts.says.textContent = `${words} ${Math.floor(100 * bar.value)} %`;
}

function refuse(text) {
  show({ busy: false });
  parts.says.textContent = "";
  parts.wrong.textContent = text;
}

function show({ busy, begun = false }) {
  const button = document.activeElement;
  parts.start.hidden = busy || begun;
  parts.pause.hidden = !busy;
  parts.resume.hidden = busy || !begun;
  // Whoever works by keyboard stays on the buttons.
  if (button?.hidden) [parts.pause, parts.resume, parts.start].find((one) => !one.hidden).focus();
}
