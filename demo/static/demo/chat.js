const lines = document.querySelector('#lines');

serverpush.subscribe({ room: document.querySelector('#chat').dataset.channel });
serverpush.registerProcessor('room', 'line', ({ pk, name, text }) => {
  // One that was said while the page was made is on it already.
  if (!document.querySelector(`#line-${pk}`)) add(name, text).id = `line-${pk}`;
});
serverpush.registerProcessor('room', 'came', ({ name }) => add(name, 'is here', 'note'));
serverpush.registerProcessor('room', 'left', ({ name }) => add(name, 'has left', 'note'));

serverpush.on('presence', ({ users, visitors }) => {
  const items = users.map(({ name }) => element('li', name));
  document.querySelector('#users').replaceChildren(...items);
  document.querySelector('#visitors').textContent = visitors ? `and ${visitors} reading along` : '';
});

function add(name, text, kind = '') {
  const item = element('li', '');
  item.className = kind;
  item.append(element('b', name), ' ', element('span', text));
  lines.append(item);
  lines.scrollTop = lines.scrollHeight;
  return item;
}

function element(tag, text) {
  return Object.assign(document.createElement(tag), { textContent: text });
}
