// The schedule dialog. Whatever opens it leads, without this script, to the same form on its own page:
// a link or a button with `data-opens` names a dialog that is on the page, or one to be fetched from there.

import { focusWrong } from "./task_form.js";

const FORM = "task-form";
const GONE = [404, 409];

document.addEventListener("click", (event) => {
  const dialog = event.target.closest("[data-closes]")?.closest("dialog");
  const opener = event.target.closest("[data-opens]");
  const wantsTab = event.ctrlKey || event.metaKey || event.shiftKey;
  if (!dialog && (!opener || wantsTab)) return;
  event.preventDefault();
  if (dialog) dialog.close();
  else open(opener);
});

// One that was left by Escape is found as it was left; what is ticked may be other than before.
function open(opener) {
  const dialog = document.getElementById(opener.dataset.opens);
  const isThere = dialog && [undefined, opener.href].includes(dialog.dataset.from);
  return isThere ? show(dialog) : bring(opener);
}

async function bring(opener) {
  const headers = { "HX-Request": "true", "HX-Target": FORM };
  const ticked = opener.form && { method: "POST", body: new FormData(opener.form, opener) };
  try {
    const response = await fetch(opener.href ?? opener.formAction, { headers, ...ticked });
    if (!response.ok || response.redirected) throw new Error(response.statusText);
    show(made(opener, await response.text()));
  } catch {
    if (opener.form) opener.form.requestSubmit(opener);
    else location.assign(opener.href);
  }
}

function made(opener, content) {
  document.getElementById(opener.dataset.opens)?.remove();
  const dialog = document.createElement("dialog");
  dialog.id = opener.dataset.opens;
  dialog.className = "dialog";
  dialog.dataset.from = opener.href ?? opener.formAction;
  dialog.setAttribute("aria-labelledby", "dialog-title");
  dialog.innerHTML = content;
  document.body.append(dialog);
  window.htmx.process(dialog);
  return dialog;
}

function show(dialog) {
  for (const one of dialog.querySelectorAll("[data-copies]")) {
    one.innerHTML = document.getElementById(one.dataset.copies).innerHTML;
  }
  if (!dialog.open) dialog.showModal();
  if (!focusWrong(dialog)) dialog.querySelector("[name=name], [name=recurrence_type]:checked")?.focus();
}

// What was refused comes back in the form's place: with the dialog open, if it is about the dialog.
document.addEventListener("htmx:afterSwap", ({ target }) => {
  if (target.id !== FORM) return;
  const dialog = target.closest("dialog") ?? target.querySelector("dialog[data-open]");
  if (dialog) show(dialog);
  else focusWrong(target);
});

// An answer from elsewhere is the sign-in page's: it must not take the place of what was typed.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.id !== FORM) return;
  if (new URL(detail.xhr.responseURL).pathname === new URL(detail.target.action).pathname) return;
  detail.shouldSwap = false;
  sayUnanswered(detail.target, "away");
});

for (const failure of ["htmx:responseError", "htmx:sendError"]) {
  document.addEventListener(failure, ({ target, detail }) => {
    if (target.id === FORM) sayUnanswered(target, GONE.includes(detail.xhr.status) ? "gone" : "away");
  });
}

function sayUnanswered(form, why) {
  for (const note of form.querySelectorAll("[data-unanswered]")) note.hidden = note.dataset.unanswered !== why;
}

// Where the opener went with the form's old content, its successor takes the focus back.
document.addEventListener("close", ({ target }) => {
  const focused = document.activeElement;
  if (focused !== document.body && !target.contains(focused)) return;
  document.querySelector(`[data-opens="${target.id}"]`)?.focus();
}, { capture: true });

const atOnce = document.querySelector("dialog[data-open]");
if (atOnce) show(atOnce);
