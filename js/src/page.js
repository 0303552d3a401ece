const DEFAULT_PORT = 8013;

/**
 * What a rendered page says about itself.
 * @typedef {object} Page
 * @property {string|null} server address of the push server: null for the default, "" for the page's
 *   own origin, ":8020" for another port of its host
 * @property {string} [token] the signed record; absent on a page that has only the bare mark
 * @property {string} [url] path to connect by, where there is no token
 * @property {string} [query] query string to connect by, with its "?"
 * @property {string|number} [since] when the page was rendered
 * @property {boolean} [again] false where its URL gives another page, as that of the answer to a POST does
 */

/**
 * Find the page record of a document, or else its bare `#generated_timestamp`.
 * @param {Document} document
 * @param {Location} location where the document is shown
 * @returns {Page|null}
 */
export function readPage(document, location) {
  return readRecord(document) ?? readMark(document, location);
}

function readRecord(document) {
  const element = document.querySelector("script#serverpush-page");
  if (!element) return null;
  let record;
  try {
    record = JSON.parse(element.textContent);
  } catch {
    record = null;
  }
  if (typeof record?.page !== "string") {
    console.warn("serverpush: the page record is not readable, looking for #generated_timestamp instead");
    return null;
  }
  const { server, page, since, again } = record;
  return { server: server ?? null, token: page, since: since ?? undefined, ...(again === false && { again }) };
}

function readMark(document, location) {
  const element = document.getElementById("generated_timestamp");
  if (!element) return null;
  return {
    server: null,
    url: location.pathname,
    query: location.search,
    since: element.textContent.trim() || undefined,
  };
}

/**
 * Whether a page would be had again by its URL.
 * @param {Page|null} page
 * @returns {boolean}
 */
export function canComeAgain(page) {
  return page?.again !== false && (page?.token !== undefined || page?.url !== undefined);
}

/**
 * Whether two readings are of one page, which may go on where it was.
 * @param {Page} a
 * @param {Page} b
 * @returns {boolean}
 */
export function samePage(a, b) {
  if (a.token || b.token) return a.token === b.token;
  return a.url === b.url && a.query === b.query && a.since === b.since;
}

/**
 * Whether two readings are certainly of one rendering, as when a cache answered. A mark
 * without a time says nothing.
 * @param {Page} a
 * @param {Page} b
 * @returns {boolean}
 */
export function sameRendering(a, b) {
  const isSame = (name) => a[name] !== undefined && a[name] === b[name];
  return isSame("token") || isSame("since");
}

/**
 * Where to connect: the page's word first, then the script element's
 * `data-server` and `data-port`, then the page's own host and port 8013.
 * @param {Page} page
 * @param {DOMStringMap} [dataset] of the script element
 * @param {Location} location
 * @returns {{origin: string, path: string}} path is the one of Socket.IO
 */
export function serverAddress(page, dataset, location) {
  const server = String(page.server ?? dataset?.server ?? `:${dataset?.port || DEFAULT_PORT}`);
  const url = new URL(withHost(server, location), location.origin);
  return { origin: url.origin, path: `${url.pathname.replace(/\/$/, "")}/socket.io/` };
}

function withHost(server, location) {
  if (server.startsWith(":")) return `//${location.hostname}${server}`;
  const isBareHost = server !== "" && !server.startsWith("/") && !server.includes("://");
  return isBareHost ? `//${server}` : server;
}
