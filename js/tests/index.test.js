// @vitest-environment node
import { readFileSync } from "node:fs";

import { JSDOM, VirtualConsole } from "jsdom";
import { afterEach, expect, test } from "vitest";

import { pageHTML, startSite, until } from "./helpers.js";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const BUNDLE = read("../../serverpush/static/serverpush/serverpush.js");
const JQUERY = read("../node_modules/jquery3/dist/jquery.js");
const SCRIPT = "<script src='/serverpush.js'></script>";
const { version } = JSON.parse(read("../package.json"));

let site;
let window;

/** Load a page as a browser does, from a server, running its scripts. */
async function load(html, { admit, cookie = [] } = {}) {
  const files = { "/": ["text/html", html], "/serverpush.js": ["text/javascript", BUNDLE], "/jquery.js": ["text/javascript", JQUERY] };
  const pages = (request, response) => {
    const [type, text] = files[request.url];
    response.writeHead(200, { "Content-Type": type, "Set-Cookie": cookie }).end(text);
  };
  site = await startSite({ pages, admit });
  const virtualConsole = new VirtualConsole();
  const options = { runScripts: "dangerously", resources: "usable", virtualConsole };
  ({ window } = await JSDOM.fromURL(`${site.origin}/`, options));
  await until(() => window.document.readyState === "complete");
}

afterEach(async () => {
  window.serverpush?.stop?.();
  window.close();
  await site.close();
});

const connected = () => until(() => window.serverpush.connected);

test("starts by itself before </body>", async () => {
  await load(pageHTML({ body: SCRIPT }));
  await connected();
  expect([window.serverpush.state, window.serverpush.version]).toEqual(["connected", version]);
  expect(site.auths).toEqual([{ page: "token-1", since: "100.5" }]);
});

test("waits in the head until the page is there", async () => {
  await load(pageHTML().replace("<head>", `<head>${SCRIPT}`));
  await connected();
  expect(window.document.documentElement.dataset.serverpush).toBe("connected");
});

test("stopped before that it doesn't start", async () => {
  await load(pageHTML().replace("<head>", `<head>${SCRIPT}<script>serverpush.stop()</script>`));
  expect([window.serverpush.state, site.auths]).toEqual(["offline", []]);
});

test("loaded twice it is there once", async () => {
  await load(pageHTML({ body: `${SCRIPT}<script>window.first = serverpush</script>${SCRIPT}` }));
  await connected();
  expect(window.serverpush).toBe(window.first);
  expect(site.auths.length).toBe(1);
});

test("an element named like the global doesn't stand in its way", async () => {
  await load(pageHTML({ body: `<div id="serverpush"></div>${SCRIPT}` }));
  await connected();
  expect(site.auths.length).toBe(1);
});

test("the script element's data say where, on a page with only the mark", async () => {
  await load(`<body><p id="generated_timestamp">9.5</p><script src="/serverpush.js" data-server=""></script></body>`);
  await connected();
  expect(site.auths).toEqual([{ url: "/", query: "", since: "9.5" }]);
});

test("a page that isn't live is left alone", async () => {
  await load(`<body>${SCRIPT}</body>`);
  expect([window.serverpush.state, window.document.documentElement.dataset.serverpush]).toEqual(["offline", undefined]);
});

test("the three kinds of handlers each run once", async () => {
  const handlers = `<script src="/jquery.js"></script>${SCRIPT}<script>
    var ran = [];
    $(document).bind('serverpush_hello', function (event, data) { ran.push('jQuery ' + data.who); });
    document.addEventListener('serverpush:hello', function (event) { ran.push('DOM ' + event.detail.who); });
    var stop = serverpush.on('hello', function (data, meta) { ran.push('own ' + data.who + meta.id); });
  </script>`;
  await load(pageHTML({ body: handlers }));
  await connected();
  site.sockets[0].emit("hello", { who: "Ada" }, { id: "1" });
  await until(() => window.ran.length >= 3);
  window.stop();
  site.sockets[0].emit("hello", { who: "Bob" }, { id: "2" });
  await until(() => window.ran.length >= 5);
  expect([...window.ran]).toEqual(["own Ada1", "DOM Ada", "jQuery Ada", "DOM Bob", "jQuery Bob"]);
});

test("swap is there for handlers, and runs no scripts", async () => {
  await load(pageHTML({ body: `<p>old</p>${SCRIPT}` }));
  await connected();
  window.serverpush.swap("<body><p>new</p><script>window.ran = true</script></body>");
  expect([window.document.querySelector("p").textContent, window.ran]).toEqual(["new", undefined]);
});

test("another origin gets the page's cookies, by polling too", async () => {
  const push = await startSite({ options: { transports: ["polling"] } });
  try {
    await load(pageHTML({ server: push.origin, body: SCRIPT }), { cookie: ["sessionid=abc"] });
    await connected();
    const { headers, query } = push.sockets[0].handshake;
    expect([headers.cookie, headers.origin, query.transport]).toEqual(["sessionid=abc", site.origin, "polling"]);
    window.serverpush.stop();
  } finally {
    await push.close();
  }
});

test("started and stopped by hand", async () => {
  await load(pageHTML({ body: SCRIPT }));
  await connected();
  window.serverpush.stop();
  expect([window.serverpush.state, window.serverpush.connected]).toEqual(["offline", false]);
  window.serverpush.start();
  await connected();
  expect(site.auths.length).toBe(2);
});
