import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Backoff } from "../src/backoff.js";
import { Connection } from "../src/connection.js";
import { startSite, until } from "./helpers.js";

const soon = () => new Backoff({ min: 5, max: 20 });

let site;
let connection;
let states;
let events;
let verdict;

async function connect(siteOptions, options) {
  site = await startSite(siteOptions);
  return open(site.origin, options);
}

function open(origin, options) {
  connection = new Connection({
    address: { origin, path: "/socket.io/" },
    auth: () => ({ page: "token", since: "7" }),
    onEvent: (name, args) => events.push([name, ...args]),
    onState: (state, reason) => states.push(reason === undefined ? state : `${state}: ${reason}`),
    onRefused: (...refusal) => verdict(...refusal),
    backoff: soon(),
    slowBackoff: soon(),
    ...options,
  });
  connection.start();
  return connection;
}

const ready = () => until(() => connection.state === "connected");

beforeEach(() => {
  states = [];
  events = [];
  verdict = vi.fn(() => "stop");
});

afterEach(async () => {
  connection.stop();
  await site.close();
});

test("connects by WebSocket with its auth, and is connected once the server says so", async () => {
  const greeted = {};
  await connect({ greet: (socket) => Object.assign(greeted, { socket }) });
  await until(() => greeted.socket);
  expect([greeted.socket.conn.transport.name, site.auths]).toEqual(["websocket", [{ page: "token", since: "7" }]]);
  expect(states).toEqual(["connecting"]);
  greeted.socket.emit("serverpush:ready", { position: "1", live: true });
  await ready();
  expect(events).toEqual([["serverpush:ready", { position: "1", live: true }]]);
  expect(states).toEqual(["connecting", "connected"]);
});

test("falls back to polling", async () => {
  await connect({ options: { transports: ["polling"] } });
  await ready();
  expect(site.sockets[0].conn.transport.name).toBe("polling");
});

test("falls back to polling where WebSockets vanish without an answer", async () => {
  site = await startSite();
  site.http.removeAllListeners("upgrade");
  const held = [];
  site.http.on("upgrade", (request, socket) => held.push(socket));
  open(site.origin, { timeout: 100 });
  await ready();
  held.forEach((socket) => socket.destroy());
  expect(site.sockets[0].conn.transport.name).toBe("polling");
});

test("hands over events of any name in order", async () => {
  await connect();
  await ready();
  site.sockets[0].emit("hello", { a: 1 }, { id: "1" });
  site.sockets[0].emit("a.b", [2], { id: "2" });
  await until(() => events.length === 3);
  expect(events.slice(1)).toEqual([
    ["hello", { a: 1 }, { id: "1" }],
    ["a.b", [2], { id: "2" }],
  ]);
});

test("started twice it connects once", async () => {
  await connect();
  connection.start();
  await ready();
  expect(site.auths.length).toBe(1);
});

test("stopped twice it says so once, and hears nothing more", async () => {
  await connect();
  await ready();
  const [socket] = site.sockets;
  const gone = new Promise((resolve) => {
    socket.on("disconnect", resolve);
  });
  connection.stop();
  connection.stop();
  await gone;
  expect(states.slice(2)).toEqual(["offline: stopped"]);
});

test("stopped and started it connects again", async () => {
  await connect();
  await ready();
  connection.stop();
  connection.start();
  await ready();
  expect(site.auths.length).toBe(2);
});

test.each(["disconnect", "close"])("comes back after the server's %s, with the auth of that moment", async (way) => {
  let since = "7";
  await connect({}, { auth: () => ({ since }) });
  await ready();
  since = "9";
  if (way === "close") site.sockets[0].conn.close();
  else site.sockets[0].disconnect();
  await until(() => states.length === 4);
  expect(site.auths).toEqual([{ since: "7" }, { since: "9" }]);
  expect(states.slice(2)).toEqual([expect.stringMatching(/^connecting: /), "connected"]);
});

test.each([
  [4_000, 0],
  [6_000, 1],
])("a connection that lasted %d ms starts the waits over %d times", async (lasted, times) => {
  const backoff = soon();
  const reset = vi.spyOn(backoff, "reset");
  await connect({}, { backoff });
  await ready();
  const now = Date.now();
  vi.spyOn(Date, "now").mockImplementation(() => now + lasted);
  site.sockets[0].disconnect();
  await until(() => site.auths.length === 2);
  expect(reset).toHaveBeenCalledTimes(times);
});

test("keeps trying until there is a server", async () => {
  site = await startSite();
  const { port, origin } = site;
  await site.close();
  open(origin);
  await until(() => connection.state === "offline");
  site = await startSite({ port });
  await ready();
  expect(states.at(-1)).toBe("connected");
});

test("HTTP 403 to the handshake is waited out like any failure", async () => {
  let refuse = true;
  await connect({ options: { allowRequest: (request, answer) => answer(refuse ? "no" : null, !refuse) } });
  await until(() => connection.state === "offline");
  expect(verdict).not.toHaveBeenCalled();
  refuse = false;
  await ready();
});

describe("a refusal", () => {
  test("gives code and message, and ends it if told so", async () => {
    await connect({ admit: () => "bad_token" });
    await until(() => connection.state === "offline");
    expect(verdict.mock.calls).toEqual([["bad_token", "it is bad_token"]]);
    expect(states).toEqual(["connecting", "offline: bad_token"]);
    connection.check();
    expect(site.auths.length).toBe(1);
  });

  test("answered by later takes the slow way back", async () => {
    verdict = () => "later";
    const slowBackoff = soon();
    const backoff = soon();
    const reset = vi.spyOn(slowBackoff, "reset");
    const [slow, quick] = [vi.spyOn(slowBackoff, "next"), vi.spyOn(backoff, "next")];
    await connect({ admit: (auth, attempt) => (attempt < 3 ? "too_many_connections" : null) }, { backoff, slowBackoff });
    await ready();
    expect([slow.mock.calls.length, quick.mock.calls.length, reset.mock.calls.length]).toEqual([2, 0, 1]);
  });

  test("answered by later isn't hurried by a check", async () => {
    verdict = () => "later";
    const slowBackoff = new Backoff({ min: 60_000, max: 60_000 });
    await connect({ admit: () => "too_many_connections" }, { slowBackoff });
    await until(() => connection.state === "offline");
    connection.check();
    expect([connection.state, site.auths.length]).toEqual(["offline", 1]);
  });

  test("without a code is waited out", async () => {
    site = await startSite();
    site.io.use((socket, next) => next(site.auths.length < 2 ? new Error("not now") : undefined));
    open(site.origin);
    await ready();
    expect([site.auths.length, verdict.mock.calls.length]).toEqual([2, 0]);
  });
});

describe("a check", () => {
  test("ends the waiting", async () => {
    const backoff = new Backoff({ min: 60_000, max: 60_000 });
    await connect({}, { backoff });
    await ready();
    site.sockets[0].disconnect();
    await until(() => connection.state === "connecting");
    connection.check();
    await ready();
    expect(site.auths.length).toBe(2);
  });

  test("leaves a connection alone that was heard lately", async () => {
    await connect({ options: { pingInterval: 60_000, pingTimeout: 20_000 } });
    await ready();
    connection.check();
    expect([connection.state, states.length]).toEqual(["connected", 2]);
  });

  test("replaces one that was silent for longer than the server's pings allow", async () => {
    await connect({ options: { pingInterval: 1_000, pingTimeout: 500 } });
    await ready();
    const now = Date.now();
    vi.spyOn(Date, "now").mockImplementation(() => now + 1_400);
    connection.check();
    expect(connection.state).toBe("connected");
    Date.now.mockImplementation(() => now + 3_000);
    connection.check();
    expect(states.slice(2)).toEqual(["connecting: silence"]);
    Date.now.mockRestore();
    await until(() => site.auths.length === 2);
    await ready();
  });

  test("does nothing to a stopped connection", async () => {
    await connect();
    await ready();
    connection.stop();
    connection.check();
    expect(connection.state).toBe("offline");
  });
});

test("a lost network shows at once, anything heard disproves it", async () => {
  await connect();
  await ready();
  connection.networkLost();
  expect(states.slice(2)).toEqual(["offline: network"]);
  site.sockets[0].emit("hello");
  await ready();
  expect(site.auths.length).toBe(1);
});

test("a handler that stops it while it starts, and starts it again, has one connection", async () => {
  let stops = 0;
  const onState = (state) => {
    if (state === "connecting" && stops === 0) {
      stops += 1;
      connection.stop();
      connection.start();
    }
  };
  site = await startSite();
  connection = new Connection({
    address: { origin: site.origin, path: "/socket.io/" },
    auth: () => ({}),
    onEvent: () => {},
    onState,
  });
  connection.start();
  await ready();
  expect([stops, site.auths.length]).toEqual([1, 1]);
});

test("a handler that stops it from within an event ends it", async () => {
  await connect({}, { onEvent: () => connection.stop("enough") });
  await until(() => connection.state === "offline");
  expect(states).toEqual(["connecting", "offline: enough"]);
});
