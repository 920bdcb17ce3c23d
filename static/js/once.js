// A form that is being sent is not sent once more by a second press. What gets through all the same the
// server knows by the form's `once`; where somebody has come back to a page, what they press is meant anew.

const ANSWERED_WITHIN_MS = 30_000;

let sent = new WeakMap();

document.addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  if (event.defaultPrevented || form.getAttribute("method") !== "post") return;
  const address = submitter?.getAttribute("formaction") ?? form.getAttribute("action");
  const pressed = [address, submitter?.name, submitter?.value].join();
  if (sent.get(form) === pressed) return event.preventDefault();
  sent.set(form, pressed);
  setTimeout(() => sent.delete(form), ANSWERED_WITHIN_MS);
});

addEventListener("pageshow", ({ persisted }) => {
  sent = new WeakMap();
  const [navigation] = performance.getEntriesByType("navigation");
  if (!persisted && navigation?.type !== "back_forward") return;
  for (const field of document.querySelectorAll("input[name=once]")) {
    field.value = crypto.getRandomValues(new Uint32Array(4)).join("-");
  }
});
