// Conveniences of the task form; without it, every field can still be filled by hand.

const form = document.querySelector("[data-task-form]");

form.addEventListener("click", ({ target }) => {
  const fill = target.closest("[data-fill]");
  if (fill) put(form.elements[fill.dataset.into], fill.dataset.fill);
  const more = target.closest("[data-more]");
  if (more) addLike(document.getElementById(more.dataset.more));
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
