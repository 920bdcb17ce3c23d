// Conveniences of the task form, wherever it stands; without them, every field can be filled by hand.

document.addEventListener("click", ({ target }) => {
  const fill = target.closest("[data-fill]");
  if (fill) put(fill.form.elements[fill.dataset.into], fill.dataset.fill);
  const more = target.closest("[data-more]");
  if (more) addLike(document.getElementById(more.dataset.more));
});

// Who picks a weekday of the month means it, and not the day whose button was pressed before.
document.addEventListener("change", ({ target }) => {
  const radio = target.matches("select") && target.closest(".inline")?.querySelector("[type=radio]");
  if (radio) radio.checked = true;
});

// Enter presses the button that a person would: not the first, which is a picker's.
document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (key !== "Enter" || event.isComposing || !target.matches("#task-form input")) return;
  event.preventDefault();
  if (target.type === "search") return;
  const button = target.form.querySelector("[data-default]");
  if (button && button.closest("dialog") === target.closest("dialog")) button.click();
});

function put(field, value) {
  field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
}

function addLike(list) {
  const copy = list.lastElementChild.cloneNode(true);
  const number = list.children.length + 1;
  const fields = copy.matches("textarea, input") ? [copy] : copy.querySelectorAll("textarea, input");
  for (const field of fields) {
    field.value = "";
    field.removeAttribute("id");
    field.setAttribute("aria-label", `${field.getAttribute("aria-label").replace(/ \d+$/, "")} ${number}`);
  }
  list.append(copy);
  fields[0].focus();
}

// The first field that was refused, or the first beside what was said of several.
export function focusWrong(root) {
  const wrong = [...root.querySelectorAll('[aria-invalid="true"], .errors, .errorlist')];
  const first = wrong.find((one) => one.checkVisibility());
  if (!first) return false;
  const field = first.matches("[aria-invalid]") ? first : fieldBeside(first);
  field?.focus();
  return Boolean(field);
}

function fieldBeside(words) {
  const place = words.closest(".field, fieldset, section");
  const fields = place?.querySelectorAll("input:not([type=hidden]), select, textarea") ?? [];
  return [...fields].find((one) => one.checkVisibility());
}

focusWrong(document);

// What was filled in before the scripts were there, or is brought back by a reload, changes what
// follows from it as if it were filled in now.
addEventListener("load", () => {
  const fields = document.getElementById("task-form")?.elements ?? [];
  const places = new Set([...fields].filter(isChanged).map((one) => one.parentElement));
  for (const place of places) place.dispatchEvent(new Event("change", { bubbles: true }));
});

function isChanged(field) {
  if (field.matches("[type=hidden], button")) return false;
  if (field.matches("[type=checkbox], [type=radio]")) return field.checked !== field.defaultChecked;
  if (!field.matches("select")) return field.value !== field.defaultValue;
  const first = field.querySelector("[selected]") ?? field.options[0];
  return Boolean(first) && !first.selected;
}
