// Sends the body in the text box with the method of the button that was pressed, and shows the reply.

const form = document.querySelector("[data-api-console]");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const method = event.submitter.value;
  if (method === "DELETE" && !confirm(form.dataset.asks)) return;
  const text = form.querySelector("textarea")?.value.trim() ?? "";
  const headers = { Accept: "application/json", "X-CSRFToken": form.dataset.csrfToken };
  const request = { method, headers };
  if (method !== "DELETE" && text) {
    headers["Content-Type"] = "application/json";
    request.body = text;
  }
  try {
    const response = await fetch(location.href, request);
    show(`${response.status} ${response.statusText}`, await response.text());
  } catch (error) {
    show(error.name, error.message);
  }
});

function show(status, text) {
  const reply = form.querySelector("[data-reply]");
  reply.querySelector("h3").textContent = status;
  reply.querySelector("pre").textContent = indented(text);
  reply.hidden = false;
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 4);
  } catch {
    return text;
  }
}
