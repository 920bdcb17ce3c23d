// "Copy" beside a line of text. Where the browser offers no clipboard, the line is selected instead.

document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    const label = button.querySelector("span");
    label.textContent = button.dataset.saysCopied;
  } catch {
    getSelection().selectAllChildren(source);
  }
});
