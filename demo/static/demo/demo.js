/* What the demo adds to its pages. They work without it, and are live without it. */

// Forms marked data-quiet are sent without leaving the page: what they change comes
// back by push, here as in every other window. While offline they are ordinary forms.
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-quiet]") || !window.serverpush?.connected) return;
  event.preventDefault();
  send(event.target, new FormData(event.target, event.submitter));
});

async function send(form, data) {
  // Logging in or out in another window has made a new token.
  data.set("csrfmiddlewaretoken", document.cookie.match(/demo_csrf=([^;]+)/)?.[1] ?? "");
  try {
    const response = await fetch(form.action, { method: "POST", body: data });
    const isHere = new URL(response.url).pathname === location.pathname;
    if (response.status === 400) serverpush.swap(await response.text(), { target: "main" });
    else if (!response.ok) notice(`The site answers ${response.status}. Reload the page, and try again.`);
    else if (!isHere) location.assign(response.url);
    else settle(form, data);
  } catch {
    notice("The site can't be reached. Nothing was changed.");
  }
}

// A task's title is one line, however it is broken: Enter saves it, and so does leaving
// it; Escape gives the old one back.
document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (!target.matches("textarea.title") || event.isComposing) return;
  if (key === "Escape") target.value = target.defaultValue;
  if (key === "Enter") {
    event.preventDefault();
    target.form.requestSubmit();
  }
});
document.addEventListener("focusout", ({ target, relatedTarget }) => {
  const isTyped = target.matches("textarea.title") && target.value !== target.defaultValue;
  if (!isTyped || target.form?.contains(relatedTarget) || !window.serverpush?.connected) return;
  target.form?.requestSubmit();
});

// What was sent is no longer something that a swap has to keep.
function settle(form, data) {
  for (const field of form.querySelectorAll("input:not([type=hidden]), textarea")) {
    if (field.value !== data.get(field.name)) continue;
    if (field.defaultValue === "") field.value = "";
    else field.defaultValue = field.value;
  }
}

function notice(text) {
  const element = document.querySelector("[data-notice]");
  element.textContent = text;
  element.hidden = false;
  setTimeout(() => (element.hidden = true), 8000);
}

function highlight(target) {
  const element = typeof target === "string" ? document.querySelector(target) : target;
  if (!element) return;
  element.classList.remove("changed");
  void element.offsetWidth; // starts the animation anew
  element.classList.add("changed");
}

for (const element of document.querySelectorAll("[data-watched]")) {
  new MutationObserver(() => highlight(element)).observe(element, { childList: true });
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-theme-toggle]")) toggleTheme();
  const link = event.target.closest("[data-second-window]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    const [width, height] = [Math.round(screen.availWidth / 2), screen.availHeight];
    if (open(link.href, "", `popup,width=${width},height=${height},left=${width}`)) event.preventDefault();
  }
});

function toggleTheme() {
  const { dataset } = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  dataset.theme = (dataset.theme || system) === "dark" ? "light" : "dark";
  localStorage.setItem("theme", dataset.theme);
}
