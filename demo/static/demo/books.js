const list = document.querySelector('#books');
const api = list.dataset.api;

// A book is added: its route is told along the list's own.
serverpush.subscribe(list.dataset.token, ({ route }) => load(route));
load(api).then(() => list.removeAttribute('aria-busy'));

// What this page shows is not in its HTML: it begins anew where events are not enough.
serverpush.on('refresh', ({ within }, event) => {
  event.preventDefault();
  setTimeout(() => location.reload(), 1000 * Math.max(3, within ?? 0) * Math.random());
});

async function load(route) {
  const response = await fetch(route);
  if (!response.ok) return remove(route);
  const found = await response.json();
  for (const book of found.books ?? [found]) show(book);
}

function show({ url, title, token, since }) {
  let item = itemOf(url);
  if (!item) {
    item = document.querySelector('#book').content.firstElementChild.cloneNode(true);
    item.dataset.url = url;
    list.append(item);
    // What happens to it after the API was asked.
    serverpush.subscribe(token, ({ type }) => (type === 'delete' ? remove(url) : load(url)), { since });
  }
  const field = item.querySelector('input');
  if (field.value === field.defaultValue) field.value = title;
  field.defaultValue = title;
}

function remove(url) {
  itemOf(url)?.remove();
}

function itemOf(url) {
  return list.querySelector(`[data-url="${url}"]`);
}
