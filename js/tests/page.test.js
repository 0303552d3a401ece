import { beforeEach, expect, test, vi } from "vitest";

import { readPage, samePage, sameRendering, serverAddress } from "../src/page.js";
import { pageHTML, show } from "./helpers.js";

const HERE = "http://shop.example:8000/list/?page=2#top";
const at = (href) => new URL(href);

beforeEach(() => show(""));

test("the record gives server, token and time", () => {
  show(pageHTML({ server: "https://push.example", token: "abc", since: 12.5 }));
  expect(readPage(document, at(HERE))).toEqual({ server: "https://push.example", token: "abc", since: 12.5 });
});

test("the record goes before the mark", () => {
  show(pageHTML({ token: "abc", body: "<div id='generated_timestamp'>99</div>" }));
  expect(readPage(document, at(HERE)).token).toBe("abc");
});

test("a bare mark connects by the page's address, its time trimmed", () => {
  show("<div id='generated_timestamp' style='display:none'>\n  1700000000.25\n</div>");
  expect(readPage(document, at(HERE))).toEqual({
    server: null,
    url: "/list/",
    query: "?page=2",
    since: "1700000000.25",
  });
});

test("an empty mark gives no time", () => {
  show("<div id='generated_timestamp'></div>");
  expect(readPage(document, at(HERE)).since).toBeUndefined();
});

test("a page without either is not live", () => {
  show("<p>Hello</p>");
  expect(readPage(document, at(HERE))).toBeNull();
});

test.each(["{", "null", "[]", '{"page": 5}'])("the record %s is reported and passed over", (text) => {
  const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
  show(`<body><script id="serverpush-page" type="application/json">${text}</script>`);
  expect(readPage(document, at(HERE))).toBeNull();
  expect(warn).toHaveBeenCalledOnce();
});

test("an element that only has the record's id is no record", () => {
  show("<div id='serverpush-page'>{}</div>");
  expect(readPage(document, at(HERE))).toBeNull();
});

test.each([
  [{ token: "a", since: 1 }, { token: "a", since: 2 }, true],
  [{ token: "a", since: 1 }, { token: "b", since: 1 }, false],
  [{ url: "/", query: "", since: "1" }, { url: "/", query: "", since: "1" }, true],
  [{ url: "/", query: "", since: "1" }, { url: "/", query: "", since: "2" }, false],
  [{ url: "/", query: "", since: "1" }, { token: "a", since: "1" }, false],
])("%j and %j are the same page: %s", (a, b, same) => {
  expect(samePage(a, b)).toBe(same);
});

test.each([
  [{ token: "a", since: 1 }, { token: "a", since: 2 }, true],
  [{ token: "a", since: 1 }, { token: "b", since: 1 }, true],
  [{ token: "a" }, { token: "b" }, false],
  [{ url: "/", query: "", since: "1" }, { url: "/", query: "?a", since: "1" }, true],
  [{ url: "/", query: "", since: "1" }, { url: "/", query: "", since: "2" }, false],
  [{ url: "/", query: "", since: undefined }, { url: "/", query: "", since: undefined }, false],
])("%j and %j are certainly one rendering: %s", (a, b, same) => {
  expect(sameRendering(a, b)).toBe(same);
});

test.each([
  [null, undefined, "http://shop.example:8013", "/socket.io/"],
  [null, { port: "9000" }, "http://shop.example:9000", "/socket.io/"],
  [null, { server: "https://push.example" }, "https://push.example", "/socket.io/"],
  [null, { server: "" }, "http://shop.example:8000", "/socket.io/"],
  ["", { port: "9000" }, "http://shop.example:8000", "/socket.io/"],
  [":9001", undefined, "http://shop.example:9001", "/socket.io/"],
  ["//push.example", undefined, "http://push.example", "/socket.io/"],
  ["push.example:9002", undefined, "http://push.example:9002", "/socket.io/"],
  ["https://push.example/live/", undefined, "https://push.example", "/live/socket.io/"],
  ["/live", undefined, "http://shop.example:8000", "/live/socket.io/"],
])("server %j with data %j is at %s%s", (server, dataset, origin, path) => {
  expect(serverAddress({ server }, dataset, at(HERE))).toEqual({ origin, path });
});

test("by default the page's own scheme is kept, and its IPv6 host", () => {
  expect(serverAddress({ server: null }, undefined, at("https://[::1]/")).origin).toBe("https://[::1]:8013");
});
