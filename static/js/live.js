// The socket says what changed ({object, id, version}); the page then asks again over HTTP, at most
// twice a second, and once a minute whether or not it heard anything.

import { morph } from "./morph.js";

const SHORTEST_PAUSE_MS = 500;
const LONGEST_SILENCE_MS = 60_000;
const LONGEST_RETRY_MS = 30_000;
const SIGNED_OUT = 4401;

const connection = document.getElementById("connection");
const waiting = new Map();
const askedAt = new Map();
let retryMs = 1000;
let wasConnected = false;

function regions() {
  return [...document.querySelectorAll("[data-live]")];
}

function concerns(region, { object, id }) {
  if (!region.dataset.live.split(" ").includes(object)) return false;
  const ids = region.dataset.liveId;
  return !ids || object !== region.dataset.liveObject || ids.split(" ").includes(id);
}

function ask(region) {
  if (waiting.has(region.id)) return;
  const pause = Math.max(0, (askedAt.get(region.id) ?? 0) + SHORTEST_PAUSE_MS - performance.now());
  waiting.set(region.id, setTimeout(() => refresh(region), pause));
}

async function refresh(region) {
  waiting.delete(region.id);
  if (!region.isConnected || document.hidden) return;
  askedAt.set(region.id, performance.now());
  const address = location.href;
  const headers = { "HX-Request": "true", "HX-Target": region.id, "HX-Current-URL": address };
  try {
    const response = await fetch(address, { headers });
    if (response.redirected && !sameObject(response.url, address)) return location.reload();
    if (!response.ok || address !== location.href) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById(region.id);
    if (fresh) show(region, fresh);
  } catch {
    // The socket notices a server that is away, and asks again when it is back.
  }
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
    if (wasConnected) regions().forEach(ask);
    wasConnected = true;
  });
  socket.addEventListener("message", ({ data }) => {
    const change = JSON.parse(data);
    regions().filter((region) => concerns(region, change)).forEach(ask);
  });
  socket.addEventListener("close", ({ code }) => {
    if (code === SIGNED_OUT) return location.reload();
    wasConnected = true;
    connection.hidden = false;
    document.documentElement.dataset.line = "down";
    setTimeout(connect, retryMs * (0.75 + Math.random() / 2));
    retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
  });
}

if (regions().length) {
  connect();
  setInterval(() => regions().forEach(ask), LONGEST_SILENCE_MS);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) regions().forEach(ask);
  });
}
