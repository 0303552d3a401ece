/* Which of several push servers this tab is on, and the button that kills it. */

const form = document.querySelector("[data-servers]");
const name = form.querySelector("[data-server]");
const button = form.querySelector("button");

function show() {
  const { connected, server } = serverpush;
  name.textContent = connected ? server : "none just now";
  button.disabled = !connected;
  form.hidden = false;
}

for (const each of ["connect", "disconnect"]) document.addEventListener(`serverpush:${each}`, show);
show();

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const data = new FormData(form);
  data.set("port", serverpush.server.split(":").pop());
  fetch(form.action, { method: "POST", body: data });
});
