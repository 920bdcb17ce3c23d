// The socket says what changed ({object, id, version}), or that the server may not have heard of all that
// did ({missed}); the page then asks again over HTTP, at most twice a second, and once a minute whether or
// not it heard anything. Where somebody waits for one thing to happen (data-live-awaits), it asks more
// often while the socket is down. What is not the page's own (data-live-from) is asked for where it says.

import { morph } from "./morph.js";

const SHORTEST_PAUSE_MS = 500;
const LONGEST_SILENCE_MS = 60_000;
const LONGEST_AWAITED_MS = 3_000;
const LONGEST_RETRY_MS = 30_000;
const LONGEST_ANSWER_MS = 30_000;
const SIGNED_OUT = 4401;
const NOT_THEIRS = [403, 404];

const connection = document.getElementById("connection");
const waiting = new Map();
const askedAt = new Map();
const asking = new Set();
const askedMeanwhile = new Set();
let retryMs = 1000;

function regions() {
  return [...document.querySelectorAll("[data-live]")];
}

function concerns(region, { object, id }) {
  if (!region.dataset.live.split(" ").includes(object)) return false;
  const ids = region.dataset.liveId;
  return !ids || object !== region.dataset.liveObject || ids.split(" ").includes(id);
}

// One question at a time: an answer that took long must not come after a newer one.
function ask(region) {
  if (asking.has(region.id)) return askedMeanwhile.add(region.id);
  if (waiting.has(region.id)) return;
  const pause = Math.max(0, (askedAt.get(region.id) ?? 0) + SHORTEST_PAUSE_MS - performance.now());
  waiting.set(region.id, setTimeout(() => refresh(region.id), pause));
}

// By its id: another choice of the reader may have put a new element in the region's place.
async function refresh(id) {
  waiting.delete(id);
  const region = document.getElementById(id);
  if (!region || document.hidden) return;
  askedAt.set(id, performance.now());
  asking.add(id);
  await fetchInto(region);
  asking.delete(id);
  if (askedMeanwhile.delete(id)) ask(region);
}

async function fetchInto(region) {
  const here = location.href;
  const address = new URL(region.dataset.liveFrom ?? "", here).href;
  const headers = { "HX-Request": "true", "HX-Target": region.id, "HX-Current-URL": here };
  try {
    const signal = AbortSignal.timeout(LONGEST_ANSWER_MS);
    const response = await fetch(address, { headers, signal });
    if (response.redirected && !sameObject(response.url, address)) return openAnew();
    if (NOT_THEIRS.includes(response.status)) return openAnew();
    if (!response.ok || here !== location.href || !region.isConnected) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById(region.id);
    if (fresh) show(region, fresh);
  } catch {
    // The socket notices a server that is away, and asks again when it is back.
  }
}

// Where it is gone, or nobody is signed in any more, the server has a page that says so. Not as a reload:
// what stands here may be the answer to a form, which would be sent once more.
function openAnew() {
  location.replace(location.pathname + location.search);
}

function show(region, fresh) {
  morph(region, fresh);
  window.htmx?.process(region);
  region.dispatchEvent(new CustomEvent("live:shown", { bubbles: true }));
}

function sameObject(one, other) {
  return new URL(one).pathname === new URL(other).pathname;
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/ws/live`);
  socket.addEventListener("open", () => {
    retryMs = 1000;
    connection.hidden = true;
    document.documentElement.dataset.line = "open";
    // What changed between the page's making and this moment was told to nobody.
    regions().forEach(ask);
  });
  socket.addEventListener("message", ({ data }) => {
    const change = JSON.parse(data);
    regions().filter((region) => change.missed || concerns(region, change)).forEach(ask);
  });
  socket.addEventListener("close", ({ code }) => {
    if (code === SIGNED_OUT) return openAnew();
    connection.hidden = false;
    document.documentElement.dataset.line = "down";
    setTimeout(connect, retryMs * (0.75 + Math.random() / 2));
    retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
  });
}

function askForAwaited() {
  if (document.documentElement.dataset.line === "open") return;
  regions().filter((region) => "liveAwaits" in region.dataset).forEach(ask);
}

if (regions().length) {
  connect();
  setInterval(() => regions().forEach(ask), LONGEST_SILENCE_MS);
  setInterval(askForAwaited, LONGEST_AWAITED_MS);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) regions().forEach(ask);
  });
}
