// What is typed here goes to the API, and comes back along the routes.
document.addEventListener('submit', (event) => {
  const { target: form, submitter } = event;
  if (!form.matches('.book, #new-book')) return;
  event.preventDefault();
  const url = form.dataset.url;
  const method = submitter?.value || (url ? 'PUT' : 'POST');
  ask(method, url ?? api, { title: form.elements.title.value }).then((ok) => ok && !url && form.reset());
});

async function ask(method, url, data) {
  const headers = { 'X-CSRFToken': document.cookie.match(/demo_csrf=([^;]+)/)?.[1] ?? '' };
  const response = await fetch(url, { method, headers, body: JSON.stringify(data) });
  if (!response.ok) notice((await response.json().catch(() => ({}))).error ?? 'That book is gone.');
  return response.ok;
}
