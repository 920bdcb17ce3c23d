// Ticking the rows of a list: where there are boxes for it, all of a page at once; how many are ticked. What is ticked lives in the
// boxes themselves, so a list that is brought up to date keeps it; a list that takes its place, as the
// answer to a search does, gets the ticks of the rows it still has.

const boxes = () => [...document.querySelectorAll("td.tick > input")];
const page = () => document.getElementById("tick-page");
const every = () => document.getElementById("bulk-all");
const isTicked = (box) => box.checked;

function say() {
  const said = document.querySelector("[data-ticked]");
  if (!said) return;
  const all = boxes();
  const ticked = all.filter(isTicked).length;
  const words = ticked ? said.dataset.some.replace("%s", ticked) : said.dataset.none;
  if (said.textContent !== words) said.textContent = words;
  said.hidden = Boolean(every()?.checked);
  if (!page()) return;
  page().checked = ticked > 0 && ticked === all.length;
  page().indeterminate = ticked > 0 && ticked < all.length;
}

document.addEventListener("change", ({ target }) => {
  if (target === page()) for (const box of boxes()) box.checked = target.checked;
  if (target === page() || target === every() || boxes().includes(target)) say();
});

let keptTicks = new Set();

function takeOver() {
  for (const box of boxes()) box.checked ||= keptTicks.has(box.value);
  say();
}

document.addEventListener("htmx:beforeSwap", () => {
  keptTicks = new Set(boxes().filter(isTicked).map(({ value }) => value));
});
document.addEventListener("htmx:afterSwap", takeOver);
document.addEventListener("live:shown", say);
say();
