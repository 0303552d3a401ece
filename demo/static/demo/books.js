const list = document.querySelector('#books');
const api = list.dataset.api;
// How often each route was asked: the last answer counts, whatever order they come in.
const asked = new Map();
const gone = new Set();

// A book is added: its route is told along the list's own.
serverpush.subscribe(list.dataset.token, ({ route }) => load(route));
load(api).finally(() => list.removeAttribute('aria-busy'));

// What this page shows is not in its HTML: it begins anew where events are not enough.
serverpush.on('refresh', ({ within }, event) => {
  event.preventDefault();
  setTimeout(() => location.reload(), 1000 * Math.max(3, within ?? 0) * Math.random());
});

async function load(route) {
  const number = (asked.get(route) ?? 0) + 1;
  asked.set(route, number);
  const response = await fetch(route).catch((error) => ({ status: error.message }));
  if (asked.get(route) !== number) return;
  if ([404, 410].includes(response.status)) return remove(route);
  if (!response.ok) return notice(`The API answers ${response.status}. Reload the page.`);
  const found = await response.json();
  for (const book of found.books ?? [found]) show(book);
}

function show({ url, title, token, since }) {
  if (gone.has(url)) return;
  let item = itemOf(url);
  if (!item) {
    item = document.querySelector('#book').content.firstElementChild.cloneNode(true);
    item.dataset.url = url;
    list.append(item);
    // What happens to it after the API was asked.
    item.stop = serverpush.subscribe(token, ({ type }) => (type === 'delete' ? remove(url) : load(url)), { since });
  }
  const field = item.querySelector('input');
  if (field.value === field.defaultValue) field.value = title;
  field.defaultValue = title;
}

function remove(url) {
  // A key is not given twice: an answer that comes now is from before.
  gone.add(url);
  itemOf(url)?.stop();
  itemOf(url)?.remove();
}

function itemOf(url) {
  return list.querySelector(`[data-url="${url}"]`);
}
