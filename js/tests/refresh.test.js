import { createServer } from "node:http";

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Backoff, Throttle } from "../src/backoff.js";
import { Refresher } from "../src/refresh.js";
import { installFetch, listen, until } from "./helpers.js";

let server;
let origin;
let requests;
let answer;
let refresher;
let seen;
let fetching;
let shown;

function html(response, body = "<p>new</p>", status = 200) {
  response.writeHead(status, { "Content-Type": "text/html; charset=utf-8" }).end(body);
}

function redirect(response, location) {
  response.writeHead(302, { Location: location }).end();
}

function create(options) {
  refresher = new Refresher({
    onPage: (text) => {
      seen.push(`page ${text}`);
      return text !== shown;
    },
    onMoved: (url) => seen.push(`moved ${url.replace(origin, "")}`),
    onFailing: (failing) => seen.push(`failing ${failing}`),
    onFetching: (is) => {
      fetching = is;
    },
    jitter: 0,
    backoff: new Backoff({ min: 5, max: 20 }),
    throttle: new Throttle(),
    ...options,
  });
}

/** How many milliseconds the only timer that `run` starts waits. */
function waitOf(run) {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  const start = Date.now();
  run();
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersToNextTimer();
  return Date.now() - start;
}

beforeEach(async () => {
  requests = [];
  seen = [];
  fetching = false;
  shown = null;
  answer = (response) => html(response);
  server = createServer((request, response) => {
    requests.push(request);
    answer(response, request);
  });
  origin = `http://127.0.0.1:${await listen(server)}`;
  globalThis.jsdom.reconfigure({ url: `${origin}/list/?page=2#row-7` });
  installFetch();
  create();
});

afterEach(async () => {
  refresher.stop();
  vi.unstubAllGlobals();
  vi.useRealTimers();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test("fetches what a browser would get, past its cache", async () => {
  refresher.request();
  await until(() => seen.length === 2);
  expect(seen).toEqual(["page <p>new</p>", "failing false"]);
  const [{ url, method, headers }] = requests;
  expect([url, method, headers["cache-control"]]).toEqual(["/list/?page=2", "GET", "no-cache"]);
  expect(headers.accept).toMatch(/^text\/html,/);
  expect(headers).not.toHaveProperty("x-requested-with");
});

test("is spread over the jitter", () => {
  create({ jitter: 3_000, random: () => 0.25 });
  expect(waitOf(() => refresher.request())).toBe(750);
});

test("by default takes up to three seconds", () => {
  create({ jitter: undefined, random: () => 1 });
  expect(waitOf(() => refresher.request())).toBe(3_000);
});

test("several requests are one, while waiting and while fetching", async () => {
  let arrived;
  answer = (response) => {
    arrived = response;
  };
  refresher.request();
  refresher.request();
  await until(() => arrived);
  refresher.request();
  html(arrived);
  await until(() => seen.length === 2);
  expect(requests.length).toBe(1);
});

test("says that it is fetching, until the page has been taken", async () => {
  const during = [];
  answer = (response) => {
    during.push(fetching);
    html(response);
  };
  create({ onPage: () => during.push(fetching) });
  refresher.request();
  await until(() => seen.length);
  expect([...during, fetching]).toEqual([true, true, false]);
});

test("says that it is not, once it has failed or is stopped", async () => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  refresher.backoff.min = 10_000;
  answer = (response) => html(response, "", 500);
  refresher.request();
  await until(() => seen.length);
  expect(fetching).toBe(false);
  refresher.stop();
  answer = () => {};
  refresher.request();
  await until(() => fetching);
  refresher.stop();
  expect(fetching).toBe(false);
});

test("an urgent one fetches anew, the other answer is dropped", async () => {
  const waiting = [];
  answer = (response) => waiting.push(response);
  refresher.request();
  await until(() => waiting.length === 1);
  refresher.requestNow();
  await until(() => waiting.length === 2);
  html(waiting[0], "<p>old</p>");
  html(waiting[1], "<p>new</p>");
  await until(() => seen.length === 2);
  expect(seen).toEqual(["page <p>new</p>", "failing false"]);
});

test("is spread over as long as the server says, where many are told", () => {
  create({ jitter: 3_000, random: () => 0.5 });
  expect(waitOf(() => refresher.request(60))).toBe(30_000);
});

test("is never spread over less than the jitter", () => {
  create({ jitter: 3_000, random: () => 0.5 });
  expect(waitOf(() => refresher.request(1))).toBe(1_500);
});

test("an urgent one doesn't wait for the jitter", async () => {
  create({ jitter: 600_000 });
  refresher.request();
  refresher.requestNow();
  await until(() => seen.length === 2);
  expect(requests.length).toBe(1);
});

test("stopped, nothing comes of it", async () => {
  let arrived;
  answer = (response) => {
    arrived = response;
  };
  refresher.request();
  await until(() => arrived);
  const closed = new Promise((resolve) => {
    arrived.on("close", resolve);
  });
  refresher.stop();
  refresher.stop();
  html(arrived);
  await closed;
  expect(seen).toEqual([]);
});

test("one that may not wait is not held by those before it", () => {
  const throttle = new Throttle();
  for (let count = 0; count < 6; count += 1) throttle.next(Date.now());
  create({ throttle, jitter: 1_000 });
  expect(waitOf(() => refresher.requestNow())).toBe(0);
});

test("nor may those that may not wait be a loop", () => {
  create();
  for (let count = 0; count < 5; count += 1) refresher.requestNow();
  expect(waitOf(() => refresher.requestNow())).toBeGreaterThan(1_000);
});

describe("a redirect", () => {
  test("elsewhere is where to go", async () => {
    answer = (response, { url }) => (url.startsWith("/login/") ? html(response) : redirect(response, "/login/?next=/list/"));
    refresher.request();
    await until(() => seen.length === 2);
    expect(seen).toEqual(["moved /login/?next=/list/", "failing false"]);
  });

  test("back to the page itself is the page", async () => {
    answer = (response) => (requests.length === 1 ? redirect(response, "/list/?page=2") : html(response));
    refresher.request();
    await until(() => seen.length === 2);
    expect(seen[0]).toBe("page <p>new</p>");
  });

  test("that can't be followed from here is left to the browser", async () => {
    answer = (response) => redirect(response, "http://127.0.0.1:9/login/");
    refresher.request();
    await until(() => seen.length === 2);
    expect(seen).toEqual(["moved /list/?page=2", "failing false"]);
  });
});

describe("a failure", () => {
  beforeEach(() => vi.spyOn(console, "warn").mockImplementation(() => {}));

  test.each([
    ["an error status", (response) => html(response, "<p>oops</p>", 500), "500"],
    ["not HTML", (response) => response.writeHead(200, { "Content-Type": "application/json" }).end("{}"), "json"],
    ["a broken connection", (response) => response.destroy(), "can't refresh"],
  ])("by %s keeps the page and is tried again", async (_, fail, reason) => {
    answer = (response) => {
      if (seen.length === 0) fail(response);
      else html(response);
    };
    refresher.request();
    await until(() => seen.length === 3);
    expect(seen).toEqual(["failing true", "page <p>new</p>", "failing false"]);
    expect(console.warn.mock.calls[0][0]).toContain(reason);
  });

  test("is one that brings what is already shown", async () => {
    shown = "<p>old</p>";
    answer = (response) => html(response, requests.length < 3 ? shown : undefined);
    refresher.request();
    await until(() => seen.at(-1) === "failing false");
    const stale = ["page <p>old</p>", "failing true"];
    expect(seen).toEqual([...stale, ...stale, "page <p>new</p>", "failing false"]);
    expect(console.warn.mock.calls[0][0]).toContain("a cache");
  });

  test("that lasts waits by its backoff alone", async () => {
    answer = (response) => html(response, "", requests.length < 9 ? 503 : 200);
    const throttle = new Throttle();
    const next = vi.spyOn(throttle, "next");
    create({ throttle });
    refresher.request();
    await until(() => seen.at(-1) === "failing false");
    expect([requests.length, next.mock.calls.length]).toEqual([9, 1]);
  });

  test("waits longer each time, until it is over", async () => {
    answer = (response) => html(response, "", requests.length < 4 ? 503 : 200);
    const backoff = new Backoff({ min: 5, max: 40 });
    const [next, reset] = [vi.spyOn(backoff, "next"), vi.spyOn(backoff, "reset")];
    create({ backoff });
    refresher.request();
    await until(() => seen.at(-1) === "failing false");
    expect([next.mock.calls.length, reset.mock.calls.length]).toEqual([3, 1]);
  });
});

test("a loop is held back, and the page counts as failing meanwhile", async () => {
  create({ throttle: new Throttle({ limit: 2, window: 60_000 }) });
  for (const count of [2, 4]) {
    refresher.request();
    await until(() => seen.length === count);
  }
  expect(waitOf(() => refresher.request())).toBe(60_000);
  expect(seen.at(-1)).toBe("failing true");
});
