serverpush.on('note', ({ pk, sender, text, unread }) => {
  count(unread);
  list(pk, sender, text);
  notice(`${sender}: ${text}`);
});

// Read in another window.
serverpush.on('seen', ({ unread }) => count(unread));

function count(unread) {
  const bell = document.querySelector('#bell');
  bell.dataset.unread = unread;
  bell.setAttribute('aria-label', `Notes: ${unread} unread`);
}

function list(pk, sender, text) {
  const notes = document.querySelector('#notes');
  // One that came while the page was made is on it already.
  if (!notes || document.querySelector(`#note-${pk}`)) return;
  const item = element('li', '');
  item.id = `note-${pk}`;
  item.append(element('b', sender), ' ', element('span', text));
  notes.prepend(item);
}

function element(tag, text) {
  return Object.assign(document.createElement(tag), { textContent: text });
}
