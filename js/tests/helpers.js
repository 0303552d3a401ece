import { createServer } from "node:http";

import { Server } from "socket.io";
import { vi } from "vitest";

const nativeFetch = globalThis.fetch;

/**
 * The browser's fetch: Node's own doesn't know jsdom's abort signals, and shows
 * redirects that aren't followed.
 */
export function installFetch() {
  vi.stubGlobal("fetch", (url, { signal, ...init }) => {
    const aborted = new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
    const response = nativeFetch(url, init).then((got) => {
      const isHidden = init.redirect === "manual" && got.status >= 300 && got.status < 400;
      return isHidden ? { type: "opaqueredirect", status: 0, ok: false } : got;
    });
    return Promise.race([response, aborted]);
  });
}

/** Resolves once `predicate` holds; the test's own timeout is the limit. */
export function until(predicate) {
  return vi.waitFor(
    () => {
      if (!predicate()) throw new Error(`not yet: ${predicate}`);
    },
    { timeout: 4_000, interval: 5 },
  );
}

/** A promise for the next call of `fn`, for callbacks. */
export function nextCall() {
  let resolve;
  const called = new Promise((done) => {
    resolve = (...args) => done(args);
  });
  return { fn: (...args) => resolve(...args), called };
}

export function listen(server, port = 0) {
  return new Promise((resolve) => {
    server.listen(port, "127.0.0.1", () => resolve(server.address().port));
  });
}

/**
 * A web server and push server in one, on a port of its own.
 * `pages` answers HTTP requests; `admit(auth, attempt)` returns a refusal's code, if any;
 * `greet(socket)` is run for each connection and says `serverpush:ready` unless replaced.
 */
export async function startSite({ pages = (_, response) => response.end(), admit, greet, options = {}, port } = {}) {
  const http = createServer(pages);
  const io = new Server({ cors: { origin: true, credentials: true }, ...options });
  // An engine that is attached would answer /socket.io/ before the pages do.
  io.attach(http);
  const site = { io, http, auths: [], tabs: [], sockets: [] };
  io.use((socket, next) => {
    const { tab, ...auth } = socket.handshake.auth;
    site.auths.push(auth);
    site.tabs.push(tab);
    const code = admit?.(auth, site.auths.length);
    next(code ? Object.assign(new Error(code), { data: { code, message: `it is ${code}` } }) : undefined);
  });
  io.on("connection", (socket) => {
    site.sockets.push(socket);
    if (greet) greet(socket);
    else socket.emit("serverpush:ready", { position: "0", live: false });
  });
  site.port = await listen(http, port);
  site.origin = `http://127.0.0.1:${site.port}`;
  site.close = () => new Promise((resolve) => io.close(resolve));
  return site;
}

/** The HTML of a page with a record. */
export function pageHTML({ title = "A list", body = "", server = "", token = "token-1", since = "100.5", again } = {}) {
  const record = JSON.stringify({ server, page: token, since, again });
  return `<!doctype html><html><head><title>${title}</title></head><body>${body}<script id="serverpush-page" type="application/json">${record}</script></body></html>`;
}

/** Show a page in this window, as if it had been loaded. */
export function show(html, url) {
  if (url) globalThis.jsdom.reconfigure({ url });
  const parsed = new DOMParser().parseFromString(html, "text/html");
  document.title = parsed.title;
  document.documentElement.removeAttribute("data-serverpush");
  document.body.replaceWith(document.adoptNode(parsed.body));
}
