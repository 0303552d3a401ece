import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Client } from "../src/client.js";
import { installFetch, pageHTML, show, startSite, until } from "./helpers.js";

let site;
let client;
let asked;
let answer;
let requests;
let ready;
let age;

const connected = () => until(() => client.state === "connected");
const meta = (id, channel, safe = id) => ({ id, safe, channel });

async function visit(page = pageHTML()) {
  site = await startSite({
    pages: (request, response) => {
      requests.push(request.url);
      response.writeHead(200, { "Content-Type": "text/html" }).end(pageHTML({ token: "token-2", since: "200" }));
    },
    greet: (socket) => {
      for (const name of ["subscribe", "unsubscribe"])
        socket.on(name, (data, done) => {
          asked.push([name, data]);
          const answered = answer(data);
          if (answered) done(answered);
        });
      socket.emit("serverpush:ready", { position: ready, live: true });
    },
  });
  show(page, `${site.origin}/room/`);
  age = 0;
  client = new Client({ dataset: { server: "" }, refresher: { jitter: 0 }, age: () => age });
}

const told = (name) => asked.filter(([event]) => event === name).map(([, data]) => data);
const subscribed = (count = 1) => until(() => told("subscribe").length === count);

/** Lose the connection, and wait until the page is back. */
async function reconnect() {
  const count = site.sockets.length;
  site.sockets.at(-1).conn.close();
  await until(() => site.sockets.length === count + 1);
  await connected();
}

beforeEach(() => {
  installFetch();
  sessionStorage.clear();
  asked = [];
  requests = [];
  ready = "e-0";
  answer = ({ channel }) => ({ ok: true, position: "e-5", channel: channel.replace("token of ", "") });
});

afterEach(async () => {
  client?.stop();
  await site?.close();
  vi.unstubAllGlobals();
});

test("subscribes from the page's own time, and hands over what comes", async () => {
  await visit();
  client.start();
  const heard = vi.fn();
  const plain = vi.fn();
  client.events.on("channel", plain);
  client.subscribe("token of news", heard);
  await subscribed();
  expect(told("subscribe")).toEqual([{ channel: "token of news", since: "100.5" }]);
  site.sockets[0].emit("channel", { value: 42 }, meta("e-6", "news"));
  site.sockets[0].emit("channel", { value: 43 }, meta("e-7", "other"));
  await until(() => plain.mock.calls.length === 2);
  expect(heard.mock.calls).toEqual([[{ value: 42 }, meta("e-6", "news")]]);
});

test("subscribes from now on a page that was loaded long ago", async () => {
  await visit();
  client.start();
  age = 40_000;
  client.subscribe("token of news");
  client.subscribe("token of chat", null, { since: "e-3" });
  await subscribed(2);
  expect(told("subscribe")).toEqual([{ channel: "token of news" }, { channel: "token of chat", since: "e-3" }]);
});

test("several by names of the page's own", async () => {
  await visit();
  const heard = vi.fn();
  client.subscribe({ main: "token of news", side: "token of chat" }, heard);
  await subscribed(2);
  site.sockets[0].emit("channel", 1, meta("e-6", "news"));
  site.sockets[0].emit("channel", 2, meta("e-7", "chat"));
  await until(() => heard.mock.calls.length === 2);
});

describe("processors", () => {
  test.each(["main", "news"])("run by the type of the data, for the channel by its name %s", async (name) => {
    await visit();
    const answered = vi.fn();
    const others = vi.fn();
    client.subscriptions.process(name, "answer", answered);
    client.subscriptions.process(name, "question", others);
    client.subscriptions.process("another", "answer", others);
    client.subscribe({ main: "token of news" });
    await subscribed();
    site.sockets[0].emit("channel", { type: "answer", value: 42 }, meta("e-6", "news"));
    site.sockets[0].emit("channel", null, meta("e-7", "news"));
    await until(() => answered.mock.calls.length === 1);
    expect([answered.mock.calls[0][0].value, others.mock.calls]).toEqual([42, []]);
  });

  test("one that throws stops no other", async () => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    window.reportError = undefined;
    await visit();
    const heard = vi.fn();
    client.subscribe("token of news", () => {
      throw new Error("broken");
    });
    client.subscribe("token of news", heard);
    await subscribed(2);
    site.sockets[0].emit("channel", 1, meta("e-6", "news"));
    await until(() => heard.mock.calls.length === 1);
    expect(error).toHaveBeenCalledOnce();
  });
});

describe("after a reconnect", () => {
  test("says that it is the page that it was", async () => {
    await visit();
    client.start();
    await connected();
    await reconnect();
    const [one, other] = site.tabs;
    expect(one).toMatch(/^[a-z0-9]{8,64}$/);
    expect(other).toBe(one);
    expect(new Client().tab).not.toBe(one);
  });

  test("begins where it was, as long as nothing came after the server's answer", async () => {
    await visit();
    const heard = vi.fn();
    client.subscribe("token of news", heard);
    await subscribed();
    site.sockets[0].emit("channel", 1, meta("e-3", "news"));
    await until(() => heard.mock.calls.length === 1);
    await reconnect();
    await subscribed(2);
    expect(told("subscribe")[1].since).toBe("100.5");
  });

  test("begins at the last safe position that came after it", async () => {
    await visit();
    const heard = vi.fn();
    client.subscribe("token of news", heard);
    await subscribed();
    site.sockets[0].emit("channel", 1, meta("e-6", "news"));
    await until(() => heard.mock.calls.length === 1);
    // Where the log stands by now; what the channel got meanwhile is yet to come.
    ready = "e-9";
    await reconnect();
    await subscribed(2);
    expect(told("subscribe")[1].since).toBe("e-6");
    site.sockets[1].emit("channel", 1, meta("e-6", "news"));
    site.sockets[1].emit("channel", 2, meta("e-7", "news"));
    await until(() => heard.mock.calls.length === 2);
    expect(heard.mock.calls.map(([data]) => data)).toEqual([1, 2]);
  });
});

test("what was lost while it was being subscribed to again is asked for once more", async () => {
  await visit();
  const heard = vi.fn();
  client.subscribe("token of news", heard);
  await subscribed();
  site.sockets[0].emit("channel", 1, meta("e-6", "news"));
  await until(() => heard.mock.calls.length === 1);
  ready = "e-9";
  answer = () => null;
  await reconnect();
  await subscribed(2);
  await reconnect();
  await subscribed(3);
  expect(told("subscribe")[2].since).toBe("e-6");
});

test("one that has ended is not told, nor asked for again", async () => {
  await visit();
  const heard = vi.fn();
  const stop = client.subscribe("token of news", heard);
  await subscribed();
  stop();
  stop();
  await until(() => told("unsubscribe").length === 1);
  expect(told("unsubscribe")).toEqual([{ channel: "token of news" }]);
  await reconnect();
  expect(told("subscribe").length).toBe(1);
});

test("one of two for the same channel leaves the other its events", async () => {
  await visit();
  const heard = vi.fn();
  client.subscribe("token of news")();
  const stop = client.subscribe("token of news");
  client.subscribe("token of news", heard);
  await subscribed(2);
  stop();
  site.sockets[0].emit("channel", 1, meta("e-6", "news"));
  await until(() => heard.mock.calls.length === 1);
  expect(told("unsubscribe")).toEqual([]);
});

describe("what ends before the server has answered", () => {
  beforeEach(async () => {
    await visit();
    client.start();
    await connected();
  });

  test("is ended there too, each of several", async () => {
    client.subscribe({ main: "token of news", side: "token of chat" })();
    await until(() => told("unsubscribe").length === 2);
    expect(asked.map(([name, { channel }]) => [name, channel])).toEqual([
      ["subscribe", "token of news"],
      ["subscribe", "token of chat"],
      ["unsubscribe", "token of news"],
      ["unsubscribe", "token of chat"],
    ]);
  });

  test("leaves its events to another token of the same channel", async () => {
    answer = () => ({ ok: true, position: "e-5", channel: "news" });
    const heard = vi.fn();
    client.subscribe("token of news")();
    const stop = client.subscribe("a later token of news", heard);
    await subscribed(2);
    site.sockets[0].emit("channel", 1, meta("e-6", "news"));
    await until(() => heard.mock.calls.length === 1);
    expect(told("unsubscribe")).toEqual([]);
    stop();
    await until(() => told("unsubscribe").length === 1);
  });

  test.each(["token_expired", "server_error"])("is of no interest any more, if it was %s", async (code) => {
    answer = ({ channel }) => (channel === "lobby" ? { error: "no", code } : { ok: true, position: "e-5", channel });
    client.navigate = vi.fn();
    client.subscriptions.retryAfter = 0;
    client.subscribe("lobby")();
    client.subscribe("news")();
    await until(() => told("unsubscribe").length === 1);
    expect([asked.at(-1), told("subscribe").length]).toEqual([["unsubscribe", { channel: "news" }], 2]);
    expect(client.navigate).not.toHaveBeenCalled();
  });
});

test("a page that says nothing of itself connects for its channels alone", async () => {
  await visit("<body></body>");
  vi.spyOn(console, "debug").mockImplementation(() => {});
  expect(client.start()).toBe(false);
  client.subscribe("token of news");
  await subscribed();
  expect(site.auths).toEqual([{}]);
  expect(told("subscribe")).toEqual([{ channel: "token of news" }]);
  const refreshed = vi.fn();
  client.events.on("refresh", refreshed);
  site.sockets[0].emit("serverpush:refresh", { reason: "gap" });
  await until(() => refreshed.mock.calls.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(requests, "it may be the answer to a form").toEqual([]);
});

test("as a user, by token", async () => {
  await visit();
  client.start();
  await connected();
  client.setUser("ada's token");
  await until(() => site.auths.length === 2);
  expect(site.auths[1]).toEqual({ page: "token-1", user: "ada's token", since: "e-0" });
});

describe("a logout", () => {
  test("loads a page whose scripts hold tokens: a fetched page does not run them", async () => {
    await visit();
    client.navigate = vi.fn();
    client.subscribe("token of news");
    await subscribed();
    site.sockets[0].emit("serverpush:logout", {});
    await until(() => client.navigate.mock.calls.length === 1);
    expect(site.auths.length).toBe(1);
  });

  test("forgets whose token the page had", async () => {
    await visit();
    client.events.on("logout", (data, event) => event.preventDefault());
    client.start();
    await connected();
    client.setUser("ada's token");
    await until(() => site.auths.length === 2);
    await connected();
    site.sockets[1].emit("serverpush:logout", {});
    await until(() => client.state === "offline");
    client.stop();
    client.start();
    await until(() => site.auths.length === 3);
    expect(site.auths[2].user).toBeUndefined();
  });

  test("swaps in a page that has none", async () => {
    await visit();
    client.navigate = vi.fn();
    client.start();
    await connected();
    site.sockets[0].emit("serverpush:logout", {});
    await until(() => site.auths.length === 2);
    expect(client.navigate).not.toHaveBeenCalled();
  });
});

test("who is there is told by each answer, as nobody tells what was missed", async () => {
  const present = { users: [{ id: "7", name: "ada" }], visitors: 0, total: 1 };
  answer = () => ({ ok: true, position: "e-5", channel: "news", present });
  await visit();
  const heard = vi.fn();
  client.events.on("presence", heard);
  client.subscribe("token of news");
  await until(() => heard.mock.calls.length === 1);
  expect(heard.mock.calls[0]).toEqual([present, { channel: "news" }]);
  await reconnect();
  await until(() => heard.mock.calls.length === 2);
});

test("who is there is no message: neither functions nor processors get it", async () => {
  const present = { users: [], visitors: 1, total: 1 };
  answer = () => ({ ok: true, position: "e-5", channel: "news", present });
  await visit();
  const heard = vi.fn();
  const shown = vi.fn();
  client.events.on("presence", shown);
  client.subscriptions.process("news", undefined, heard);
  client.subscribe("token of news", heard);
  await until(() => shown.mock.calls.length === 1);
  site.sockets[0].emit("presence", present, meta("e-6.presence1", "news", "e-6"));
  site.sockets[0].emit("channel", { type: "line" }, meta("e-7", "news"));
  await until(() => heard.mock.calls.length);
  expect(shown.mock.calls.map(([data]) => data)).toEqual([present, present]);
  expect(heard.mock.calls).toEqual([[{ type: "line" }, meta("e-7", "news")]]);
});

test("one that failed for now is tried again, ever more rarely", async () => {
  answer = () => ({ error: "the server failed", code: "server_error" });
  await visit();
  client.subscriptions.retryAfter = 20;
  const heard = vi.fn();
  const error = vi.spyOn(console, "error").mockImplementation(() => {});
  const stop = client.subscribe("token of news", heard);
  vi.spyOn(Math, "random").mockReturnValue(1);
  const waits = vi.spyOn(globalThis, "setTimeout");
  await until(() => told("subscribe").length > 3);
  expect(waits.mock.calls.map(([, wait]) => wait).filter((wait) => wait >= 20 && wait % 20 === 0)).toEqual(
    expect.arrayContaining([40, 80]),
  );
  expect(error.mock.calls).toEqual([["serverpush: can't subscribe: the server failed; trying again"]]);
  vi.restoreAllMocks();
  answer = () => ({ ok: true, position: "e-5", channel: "news" });
  const count = told("subscribe").length;
  await until(() => told("subscribe").length > count);
  site.sockets[0].emit("channel", 1, meta("e-6", "news"));
  await until(() => heard.mock.calls.length === 1);
  stop();
});

describe("what is refused", () => {
  test.each(["session_mismatch", "bad_token"])("as %s loads the page, and is told in the console", async (code) => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    answer = () => ({ error: "this token was made for another session", code });
    await visit();
    client.navigate = vi.fn();
    client.subscribe("token of news");
    await until(() => client.navigate.mock.calls.length === 1);
    expect(error.mock.calls[0][0]).toMatch("another session");
    expect(client.navigate.mock.calls[0][0]).toBe(`${site.origin}/room/`);
  });

  test("by the site's own word is told in the console", async () => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    answer = () => ({ error: "the site does not let you subscribe to 'news'", code: "forbidden" });
    await visit();
    client.subscribe("token of news");
    await until(() => error.mock.calls.length === 1);
    expect(error.mock.calls[0][0]).toMatch("does not let you");
    expect(requests).toEqual([]);
  });

  test("keeps no other from being ended", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    await visit();
    client.subscribe("news");
    const heard = vi.fn();
    const stop = client.subscribe("token of news", heard);
    await subscribed(2);
    site.sockets[0].emit("channel", 1, meta("e-6", "news"));
    await until(() => heard.mock.calls.length === 1);
    answer = ({ channel }) =>
      channel === "news" ? { error: "no", code: "forbidden" } : { ok: true, position: "e-5", channel: "news" };
    await reconnect();
    await until(() => console.error.mock.calls.length === 1);
    stop();
    client.subscribe("news")();
    client.subscribe("chat")();
    await until(() => told("unsubscribe").length === 2);
    expect(told("unsubscribe").map(({ channel }) => channel)).toEqual(["token of news", "chat"]);
  });

  test("for its age loads the page, whose scripts hold the token", async () => {
    answer = () => ({ error: "this token is too old", code: "token_expired" });
    await visit();
    client.navigate = vi.fn();
    client.subscribe("token of news");
    await until(() => client.navigate.mock.calls.length === 1);
    expect(client.navigate.mock.calls[0][0]).toBe(`${site.origin}/room/`);
  });

  test.each([undefined, null, "", 7])("%s is no token", async (token) => {
    await visit();
    expect(() => client.subscribe(token)).toThrow(/no token/);
  });
});

test("a channel whose history is gone refreshes the page, and goes on from there", async () => {
  await visit();
  client.subscribe("token of news");
  await subscribed();
  site.sockets[0].emit("serverpush:refresh", { reason: "history", channel: "news" });
  await until(() => site.auths.length === 2);
  expect(site.auths[1].page).toBe("token-2");
  await subscribed(2);
  expect(told("subscribe")[1].since).toBe("200");
});

test("or from the server's answer, where the refresh is prevented", async () => {
  await visit();
  client.events.on("refresh", (data, event) => event.preventDefault());
  const refreshed = vi.fn();
  client.events.on("refresh", refreshed);
  client.subscribe("token of news");
  await subscribed();
  site.sockets[0].emit("serverpush:refresh", { reason: "history", channel: "news" });
  await until(() => refreshed.mock.calls.length === 1);
  await reconnect();
  await subscribed(2);
  expect(told("subscribe")[1].since).toBe("e-5");
});
