// Uploads a file in pieces (tus 1.0): what was begun goes on where it stood, after a pause, a cut or a
// reload. Without this script the form sends the file whole.

const VERSION = "1.0.0";
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

const form = document.querySelector("[data-upload]");
const says = form.dataset;
const names = ["state", "says", "wrong", "start", "pause", "resume"];
const parts = Object.fromEntries(names.map((name) => [name, form.querySelector(`[data-upload-${name}]`)]));
const bar = form.querySelector("progress");
let stopper = null;

// A refusal that trying again does not change; its text is for people.
class Refused extends Error {}
class Unready extends Error {}

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
  const key = `deployx-upload:${file.name}:${file.size}:${file.lastModified}`;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      const place = (await known(key, file, signal)) ?? (await begin(key, file, signal));
      while (!place.id) {
        progress(place.offset, file.size);
        Object.assign(place, await piece(place, file, signal));
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
async function known(key, file, signal) {
  const address = localStorage.getItem(key);
  const response = address && (await ask("HEAD", address, {}, null, signal));
  if (!response || response.status === 404) return null;
  const place = { address, ...(await standing(response)) };
  if (place.offset) progress(place.offset, file.size, says.saysGoesOn);
  return place;
}

async function begin(key, file, signal) {
  const named = form.elements.name.value.trim() || file.name;
  const metadata = { filename: named, description: form.elements.description.value };
  const pairs = Object.entries(metadata).map(([name, text]) => `${name} ${base64(text)}`);
  const headers = { "Upload-Length": String(file.size), "Upload-Metadata": pairs.join() };
  const response = await ask("POST", says.upload, headers, null, signal);
  const place = await standing(response);
  place.address = new URL(response.headers.get("Location"), location.href).pathname;
  localStorage.setItem(key, place.address);
  return place;
}

async function piece(place, file, signal) {
  const type = "application/offset+octet-stream";
  const headers = { "Upload-Offset": String(place.offset), "Content-Type": type };
  const bytes = file.slice(place.offset, place.offset + Number(says.piece));
  return standing(await ask("PATCH", place.address, headers, bytes, signal));
}

async function standing(response) {
  const misplaced = response.status === 409 && response.headers.has("Upload-Offset");
  if (!response.ok && !misplaced) {
    const text = await reason(response);
    const mayPass = response.status >= 500 || [408, 409, 429].includes(response.status);
    if (mayPass) throw new Unready(text);
    throw new Refused(text || `${response.status} ${response.statusText}`);
  }
  const { headers } = response;
  return { offset: Number(headers.get("Upload-Offset")), id: headers.get("X-DeployX-File") };
}

function ask(method, address, headers, body, signal) {
  const csrf = form.elements.csrfmiddlewaretoken.value;
  const ours = { "Tus-Resumable": VERSION, "X-CSRFToken": csrf, ...headers };
  return fetch(address, { method, headers: ours, body, signal });
}

// What the server says of it; nothing where the answer is a proxy's.
async function reason(response) {
  const answer = await response.json().catch(() => ({}));
  return Object.values(answer).flat().join(" ");
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
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
