import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Client } from "../src/client.js";
import { installFetch, nextCall, pageHTML, show, startSite, until } from "./helpers.js";

let site;
let client;
let served;
let requests;
let navigated;

const attribute = () => document.documentElement.dataset.serverpush;
const connected = () => until(() => client.state === "connected");
const meta = (id, safe = id) => ({ id, safe, model: "shop.item", pk: 1, action: "changed" });

async function visit(page, options) {
  site = await startSite({
    pages: (request, response) => {
      requests.push(request.url);
      served(response, request);
    },
    ...options,
  });
  show(page, `${site.origin}/list/?page=2`);
}

function startClient({ jitter = 0 } = {}) {
  client = new Client({ refresher: { jitter }, navigate: (url) => navigated.push(url) });
  return client.start();
}

function html(response, text) {
  response.writeHead(200, { "Content-Type": "text/html" }).end(text);
}

beforeEach(() => {
  installFetch();
  sessionStorage.clear();
  requests = [];
  navigated = [];
  served = (response) => html(response, pageHTML({ token: "token-2", since: "200", body: "<p>fresh</p>" }));
});

afterEach(async () => {
  client?.stop();
  await site?.close();
  vi.unstubAllGlobals();
});

describe("starting", () => {
  test("connects with the record", async () => {
    await visit(pageHTML());
    expect(startClient()).toBe(true);
    expect(attribute()).toBe("connecting");
    await connected();
    expect([attribute(), site.auths]).toEqual(["connected", [{ page: "token-1", since: "100.5" }]]);
  });

  test("knows which of several push servers it is with, where that says so", async () => {
    const told = { position: "e-9", live: true, server: "127.0.0.1:8023" };
    await visit(pageHTML(), { greet: (socket) => socket.emit("serverpush:ready", told) });
    startClient();
    await until(() => client.server === "127.0.0.1:8023");
  });

  test("connects by address where there is only the mark", async () => {
    await visit("<body><div id='generated_timestamp'> 55.5 </div></body>");
    client = new Client({ dataset: { server: "" } });
    client.start();
    await connected();
    expect(site.auths).toEqual([{ url: "/list/", query: "?page=2", since: "55.5" }]);
  });

  test("does nothing on another page", async () => {
    await visit("<body><p>plain</p></body>");
    const debug = vi.spyOn(console, "debug").mockImplementation(() => {});
    expect(startClient()).toBe(false);
    expect([attribute(), site.auths, debug.mock.calls.length]).toEqual([undefined, [], 1]);
  });

  test("twice connects once", async () => {
    await visit(pageHTML());
    startClient();
    expect(client.start()).toBe(true);
    await connected();
    expect(site.auths.length).toBe(1);
  });

  test("after a stop goes on after the last safe position, its record gone from the page", async () => {
    await visit(pageHTML());
    startClient();
    await connected();
    site.sockets[0].emit("hello", 1, meta("e-5"));
    const heard = vi.fn();
    client.events.on("hello", heard);
    await until(() => heard.mock.calls.length);
    document.body.innerHTML = "swapped";
    client.stop();
    client.stop();
    expect(attribute()).toBe("offline");
    client.start();
    await connected();
    expect(site.auths[1]).toEqual({ page: "token-1", since: "e-5" });
  });
});

describe("events", () => {
  test("go on undisturbed when the body is replaced", async () => {
    await visit(pageHTML());
    startClient();
    client.events.on("reload", (data) => {
      document.body.innerHTML = data;
    });
    await connected();
    site.sockets[0].emit("reload", "one", meta("e-1"));
    site.sockets[0].emit("reload", "two", meta("e-2"));
    await until(() => document.body.innerHTML === "two");
    expect([client.state, site.auths.length]).toEqual(["connected", 1]);
  });

  test("renew the token that a reconnect brings, until another page is shown", async () => {
    await visit(pageHTML());
    startClient();
    await connected();
    const heard = nextCall();
    client.events.on("item", heard.fn);
    site.sockets[0].emit("item", {}, { ...meta("e-2"), page: "token-1b" });
    await heard.called;
    site.sockets[0].disconnect(true);
    await until(() => site.auths.length === 2);
    expect(site.auths[1]).toEqual({ page: "token-1b", since: "e-2" });
    await connected();
    site.sockets[1].emit("serverpush:refresh", { reason: "history" });
    await until(() => site.auths.length === 3);
    expect(site.auths[2].page).toBe("token-2");
  });

  test("are applied once, though a reconnect repeats them", async () => {
    await visit(pageHTML(), {
      greet: (socket) => {
        socket.emit("serverpush:ready", { position: "e-9", live: false });
        socket.emit("hello", 1, meta("e-1", "e-0"));
        socket.emit("hello", 2, meta("e-2", "e-0"));
      },
    });
    startClient();
    const heard = [];
    client.events.on("hello", (data) => heard.push(data));
    await until(() => heard.length === 2);
    site.sockets[0].conn.close();
    await until(() => site.auths.length === 2);
    const done = vi.fn();
    client.events.on("done", done);
    await until(() => site.sockets.length === 2);
    site.sockets[1].emit("done", null, meta("e-3"));
    await until(() => done.mock.calls.length);
    expect([heard, site.auths[1].since]).toEqual([[1, 2], "e-0"]);
  });

  test("that a handler throws on count as applied", async () => {
    vi.stubGlobal("reportError", () => {});
    await visit(pageHTML());
    startClient();
    const handler = vi.fn(() => {
      throw new Error("mine");
    });
    client.events.on("hello", handler);
    const done = vi.fn();
    client.events.on("done", done);
    await connected();
    site.sockets[0].emit("hello", 1, meta("e-1"));
    site.sockets[0].emit("hello", 1, meta("e-1"));
    site.sockets[0].emit("done", 1, meta("e-2"));
    await until(() => done.mock.calls.length);
    expect(handler).toHaveBeenCalledOnce();
  });

  test.each([
    [true, "e-9"],
    [false, "100.5"],
  ])("a ready server's position, live being %s, makes the next since %s", async (live, since) => {
    await visit(pageHTML(), { greet: (socket) => socket.emit("serverpush:ready", { position: "e-9", live }) });
    startClient();
    await connected();
    site.sockets[0].conn.close();
    await until(() => site.auths.length === 2);
    expect(site.auths[1].since).toBe(since);
  });

  test("connect and disconnect are told in all ways", async () => {
    await visit(pageHTML());
    const told = [];
    const listen = (event) => told.push(event.type);
    document.addEventListener("serverpush:connect", listen);
    document.addEventListener("serverpush:disconnect", listen);
    startClient();
    client.events.on("disconnect", (data) => told.push(data.reason));
    await connected();
    client.stop();
    document.removeEventListener("serverpush:connect", listen);
    document.removeEventListener("serverpush:disconnect", listen);
    expect(told).toEqual(["serverpush:connect", "stopped", "serverpush:disconnect"]);
  });

  test("of the server's own that are unknown reach no handler", async () => {
    await visit(pageHTML());
    startClient();
    const [unknown, done] = [vi.fn(), vi.fn()];
    client.events.on("serverpush:future", unknown);
    client.events.on("done", done);
    await connected();
    site.sockets[0].emit("serverpush:future", {});
    site.sockets[0].emit("done", 1, meta("e-1"));
    await until(() => done.mock.calls.length);
    expect(unknown).not.toHaveBeenCalled();
  });
});

describe("refresh", () => {
  test("swaps the page in and connects with its record", async () => {
    await visit(pageHTML({ body: "<p>stale</p>" }));
    startClient();
    await connected();
    site.sockets[0].emit("serverpush:refresh", { reason: "history" });
    await until(() => site.auths.length === 2);
    await connected();
    expect(document.querySelector("p").textContent).toBe("fresh");
    expect([requests, site.auths[1]]).toEqual([["/list/?page=2"], { page: "token-2", since: "200" }]);
    await until(() => site.io.engine.clientsCount === 1);
  });

  test("applies events of the new page that were applied to the old one", async () => {
    await visit(pageHTML());
    startClient();
    const heard = vi.fn();
    client.events.on("hello", heard);
    await connected();
    site.sockets[0].emit("hello", 1, meta("e-1"));
    site.sockets[0].emit("serverpush:refresh", {});
    await until(() => site.sockets.length === 2);
    site.sockets[1].emit("hello", 1, meta("e-1"));
    await until(() => heard.mock.calls.length === 2);
  });

  test("keeps messages back until the page is swapped in, and hands them over once", async () => {
    let response;
    served = (waiting) => {
      response = waiting;
    };
    await visit(pageHTML({ body: "<p>stale</p>" }));
    startClient();
    const heard = [];
    const note = (name) => heard.push(`${name} ${document.querySelector("p").textContent}`);
    for (const name of ["early", "message", "hello", "done"]) client.events.on(name, () => note(name));
    await connected();
    site.sockets[0].emit("early", 1, { id: "e-1", safe: "e-1" });
    await until(() => heard.length === 1);
    site.sockets[0].emit("serverpush:refresh", {});
    await until(() => response);
    site.sockets[0].emit("message", 1, { id: "e-2", safe: "e-2" });
    site.sockets[0].emit("hello", 1, meta("e-3"));
    await until(() => heard.length === 2);
    html(response, pageHTML({ token: "token-2", since: "200", body: "<p>fresh</p>" }));
    await until(() => site.sockets.length === 2);
    site.sockets[1].emit("early", 1, { id: "e-1", safe: "e-1" });
    site.sockets[1].emit("message", 1, { id: "e-2", safe: "e-2" });
    site.sockets[1].emit("hello", 1, meta("e-3"));
    site.sockets[1].emit("done", 1, { id: "e-4", safe: "e-4" });
    await until(() => heard.at(-1).startsWith("done"));
    expect(heard).toEqual(["early stale", "hello stale", "message fresh", "hello fresh", "done fresh"]);
  });

  test.each(["fails", "is stopped"])("that %s hands over what was kept back", async (how) => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    let response;
    served = (waiting) => {
      response = waiting;
    };
    await visit(pageHTML());
    startClient();
    const heard = vi.fn();
    const hello = vi.fn();
    client.events.on("message", heard);
    client.events.on("hello", hello);
    await connected();
    site.sockets[0].emit("serverpush:refresh", {});
    await until(() => response);
    site.sockets[0].emit("message", 1, { id: "e-1", safe: "e-1" });
    site.sockets[0].emit("hello", 1, meta("e-2"));
    await until(() => hello.mock.calls.length);
    expect(heard).not.toHaveBeenCalled();
    if (how === "is stopped") client.stop();
    response.writeHead(500).end();
    await until(() => heard.mock.calls.length === 1);
  });

  test("is left to a handler that prevents it, which may be sent positions of another log", async () => {
    await visit(pageHTML());
    startClient();
    const reasons = [];
    client.events.on("refresh", (data, event) => {
      event.preventDefault();
      reasons.push(data.reason);
    });
    const done = vi.fn();
    client.events.on("done", done);
    await connected();
    site.sockets[0].emit("done", 1, meta("z-9"));
    site.sockets[0].emit("serverpush:refresh", { reason: "history" });
    site.sockets[0].emit("done", 1, meta("a-1"));
    await until(() => done.mock.calls.length === 2);
    site.sockets[0].conn.close();
    await until(() => site.auths.length === 2);
    expect([reasons, requests, site.auths[1].since]).toEqual([["history"], [], "a-1"]);
  });

  test.each([
    ["token", pageHTML({ since: "200", body: "<p>from the cache</p>" })],
    ["time", pageHTML({ token: "token-2", body: "<p>from the cache</p>" })],
  ])("to a page from a cache, of the same %s, shows as offline until another comes", async (_, cached) => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    served = (response) => html(response, cached);
    await visit(pageHTML({ body: "<p>shown</p>" }));
    startClient();
    await connected();
    client.refresher.backoff.min = 5;
    site.sockets[0].emit("serverpush:refresh", { reason: "gap" });
    await until(() => requests.length === 3);
    expect([document.querySelector("p").textContent, attribute()]).toEqual(["shown", "offline"]);
    expect([warn.mock.calls.length >= 2, site.auths.length]).toEqual([true, 1]);
    served = (response) => html(response, pageHTML({ token: "token-3", since: "300", body: "<p>fresh</p>" }));
    await connected();
    expect([document.querySelector("p").textContent, site.auths.at(-1).page]).toEqual(["fresh", "token-3"]);
  });

  test("to a page of the same mark is tried again, of a mark without a time isn't", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    const mark = (time, text) => `<body><div id='generated_timestamp'>${time}</div><p>${text}</p></body>`;
    served = (response) => html(response, requests.length < 3 ? mark(55.5, "from the cache") : mark("", requests.length));
    await visit(mark(55.5, "shown"));
    client = new Client({ dataset: { server: "" }, refresher: { jitter: 0 } });
    client.start();
    await connected();
    client.refresher.backoff.min = 5;
    for (const [number, count] of ["3", "4"].entries()) {
      site.sockets[number].emit("serverpush:refresh", { reason: "history" });
      await until(() => document.querySelector("p").textContent === count);
      await connected();
    }
    expect(requests.length).toBe(4);
  });

  test("of a page that its URL does not give again is left to the page", async () => {
    await visit(pageHTML({ again: false }));
    startClient();
    await connected();
    expect(site.auths[0]).toEqual({ page: "token-1", since: "100.5" });
    const refresh = vi.fn();
    client.events.on("refresh", refresh);
    site.sockets[0].emit("serverpush:refresh", { reason: "history" });
    await until(() => refresh.mock.calls.length);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([requests.length, client.state]).toEqual([0, "connected"]);
  });

  test("to a page without updates ends the connection", async () => {
    served = (response) => html(response, "<body><p>over</p></body>");
    await visit(pageHTML());
    startClient();
    await connected();
    site.sockets[0].emit("serverpush:refresh", {});
    await until(() => document.querySelector("p"));
    expect([document.body.textContent, attribute()]).toEqual(["over", "offline"]);
    await until(() => site.io.engine.clientsCount === 0);
    client.stop();
    expect(client.start()).toBe(false);
  });

  test("to a login page goes there", async () => {
    served = (response, { url }) => {
      if (url.startsWith("/login/")) html(response, "login");
      else response.writeHead(302, { Location: "/login/" }).end();
    };
    await visit(pageHTML());
    startClient();
    await connected();
    site.sockets[0].emit("serverpush:refresh", {});
    await until(() => navigated.length);
    expect(navigated).toEqual([`${site.origin}/login/`]);
  });

  test("that leads elsewhere and back again and again is slowed down", async () => {
    served = (response, { url }) => {
      if (url.startsWith("/login/")) html(response, "login");
      else response.writeHead(302, { Location: "/login/" }).end();
    };
    await visit(pageHTML());
    for (let count = 1; count <= 6; count += 1) {
      client?.stop();
      startClient();
      await connected();
      site.sockets.at(-1).emit("serverpush:refresh", {});
      await until(() => navigated.length === count || attribute() === "offline");
    }
    expect([navigated.length, attribute()]).toEqual([5, "offline"]);
  });

  test("that fails shows as offline until it works", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    served = (response) => response.writeHead(500).end();
    await visit(pageHTML());
    startClient();
    await connected();
    client.refresher.backoff.min = 5;
    site.sockets[0].emit("serverpush:refresh", {});
    await until(() => attribute() === "offline");
    served = (response) => html(response, pageHTML({ token: "token-2", since: "200" }));
    await connected();
    expect(site.auths.at(-1).page).toBe("token-2");
  });

  test("that fails is tried again when the client is stopped and started", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    served = (response) => response.writeHead(500).end();
    await visit(pageHTML());
    startClient();
    await connected();
    site.sockets[0].emit("serverpush:refresh", {});
    await until(() => attribute() === "offline");
    client.stop();
    served = (response) => html(response, pageHTML({ token: "token-2", since: "200" }));
    client.start();
    await until(() => site.auths.at(-1).page === "token-2");
    await connected();
  });

  test("that can't be swapped in loads the page instead", async () => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    await visit(pageHTML());
    startClient();
    await connected();
    vi.spyOn(document.body, "querySelectorAll").mockImplementation(() => {
      throw new Error("broken page");
    });
    site.sockets[0].emit("serverpush:refresh", {});
    await until(() => navigated.length);
    expect([navigated, error.mock.calls.length]).toEqual([[`${site.origin}/list/?page=2`], 1]);
  });
});

describe("a refresh that is due when the page is stopped", () => {
  test.each(["refresh", "logout"])("is made after the next start: %s", async (name) => {
    await visit(pageHTML(), {
      greet: (socket) => socket.emit("serverpush:ready", { position: "e-9", live: true }),
    });
    startClient({ jitter: 300_000, random: () => 1 });
    const told = vi.fn();
    client.events.on(name, told);
    await connected();
    site.sockets[0].emit(`serverpush:${name}`, { reason: "error" });
    await until(() => told.mock.calls.length === 1);
    client.stop();
    client.refresher.jitter = 0;
    client.start();
    await until(() => site.auths.at(-1).page === "token-2");
    const made = requests.length;
    client.stop();
    client.start();
    await connected();
    expect(requests.length, "it has been made").toBe(made);
  });
});

describe("logout", () => {
  test("doesn't wait for the jitter", async () => {
    await visit(pageHTML());
    startClient({ jitter: 600_000 });
    await connected();
    site.sockets[0].emit("serverpush:logout", {});
    await until(() => requests.length === 1);
  });

  test("stops the connection, then connects with the new page's record", async () => {
    await visit(pageHTML());
    startClient();
    const states = [];
    client.events.on("logout", () => states.push(attribute()));
    await connected();
    site.sockets[0].emit("serverpush:logout", {});
    await until(() => site.auths.length === 2);
    await connected();
    expect([states, site.auths[1].page]).toEqual([["offline"], "token-2"]);
  });

  test("prevented leaves the page as it is, not connected", async () => {
    await visit(pageHTML());
    startClient();
    client.events.on("logout", (data, event) => event.preventDefault());
    await connected();
    site.sockets[0].emit("serverpush:logout", {});
    await until(() => attribute() === "offline");
    await until(() => site.io.engine.clientsCount === 0);
    expect([requests, site.auths.length]).toEqual([[], 1]);
  });
});

describe("a refused connection", () => {
  test.each(["token_expired", "session_mismatch", "bad_token"])("by %s refreshes, and connects anew", async (code) => {
    await visit(pageHTML(), { admit: ({ page }) => (page === "token-1" ? code : null) });
    startClient();
    const reasons = [];
    client.events.on("refresh", (data) => reasons.push(data.reason));
    await connected();
    expect([reasons, requests.length, site.auths.map((auth) => auth.page)]).toEqual([[code], 1, ["token-1", "token-2"]]);
  });

  test("whose page comes from a cache stays offline, and asks for another", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    served = (response) => html(response, requests.length < 3 ? pageHTML() : pageHTML({ token: "token-2", since: "200" }));
    await visit(pageHTML(), { admit: ({ page }) => (page === "token-1" ? "token_expired" : null) });
    startClient();
    client.refresher.backoff.min = 5;
    await until(() => requests.length === 2);
    expect([attribute(), site.auths.length]).toEqual(["offline", 1]);
    await connected();
    expect(site.auths[1].page).toBe("token-2");
  });

  test("again and again refreshes five times, then waits", async () => {
    let count = 1;
    served = (response) => {
      count += 1;
      html(response, pageHTML({ token: `token-${count}`, since: `${count}` }));
    };
    await visit(pageHTML(), { admit: () => "session_mismatch" });
    startClient();
    const refreshes = vi.fn();
    client.events.on("refresh", refreshes);
    await until(() => refreshes.mock.calls.length === 6);
    expect([requests.length, attribute()]).toEqual([5, "offline"]);
  });

  test("by too_many_connections comes back later, and not sooner for a check", async () => {
    await visit(pageHTML(), { admit: () => "too_many_connections" });
    startClient();
    await until(() => attribute() === "offline");
    window.dispatchEvent(new Event("online"));
    expect([attribute(), requests.length]).toEqual(["offline", 0]);
  });

  test("by a code that is not known is tried again", async () => {
    await visit(pageHTML(), { admit: (auth, attempt) => (attempt === 1 ? "future" : null) });
    startClient();
    await connected();
    expect(site.auths.length).toBe(2);
  });

  test.each([
    ["page_not_found", "warn", "no such page"],
    ["origin_refused", "error", "SERVERPUSH_ALLOWED_ORIGINS"],
  ])("by %s says so once and stops", async (code, level, text) => {
    const log = vi.spyOn(console, level).mockImplementation(() => {});
    await visit(pageHTML(), { admit: () => code });
    startClient();
    await until(() => log.mock.calls.length);
    window.dispatchEvent(new Event("online"));
    expect(log.mock.calls.map(([message]) => message)).toEqual([expect.stringContaining(text)]);
    expect([attribute(), requests.length, site.auths.length]).toEqual(["offline", 0, 1]);
  });
});

describe("the back/forward cache", () => {
  test("gets a page without a connection, which goes on where it was", async () => {
    await visit(pageHTML());
    startClient();
    const heard = vi.fn();
    client.events.on("hello", heard);
    await connected();
    site.sockets[0].emit("hello", 1, meta("e-5"));
    await until(() => heard.mock.calls.length);
    window.dispatchEvent(Object.assign(new Event("pagehide"), { persisted: true }));
    await until(() => site.io.engine.clientsCount === 0);
    window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
    await connected();
    expect(site.auths[1].since).toBe("e-5");
  });
});
