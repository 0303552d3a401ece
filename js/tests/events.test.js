import jquery1 from "jquery1";
import jquery3 from "jquery3";
import jquery4 from "jquery4";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Events } from "../src/events.js";

const META = { id: "e-1", safe: "e-1", model: "shop.item", pk: 7, action: "changed" };
const cleanups = [];

function onDocument(type, listener) {
  document.addEventListener(type, listener);
  cleanups.push(() => document.removeEventListener(type, listener));
}

let events;
let reported;

beforeEach(() => {
  events = new Events(window);
  reported = [];
  vi.stubGlobal("reportError", (error) => reported.push(error.message));
});

afterEach(() => {
  cleanups.splice(0).forEach((cleanup) => cleanup());
  delete window.jQuery;
  vi.unstubAllGlobals();
});

describe("serverpush.on", () => {
  test("gets data and meta", () => {
    const fn = vi.fn();
    events.on("hello", fn);
    events.update("hello", { a: 1 }, META);
    expect(fn.mock.calls).toEqual([[{ a: 1 }, META]]);
  });

  test("hears its own event only", () => {
    const fn = vi.fn();
    events.on("hello", fn);
    events.update("hello.you", 1, META);
    expect(fn).not.toHaveBeenCalled();
  });

  test("is stopped by what it returned, twice without harm, others staying", () => {
    const [stopped, other] = [vi.fn(), vi.fn()];
    const stop = events.on("hello", stopped);
    events.on("hello", other);
    stop();
    stop();
    events.update("hello", 1, META);
    expect([stopped.mock.calls.length, other.mock.calls.length]).toEqual([0, 1]);
  });

  test("the same function bound twice is stopped once", () => {
    const fn = vi.fn();
    events.on("hello", fn);
    events.on("hello", fn)();
    events.update("hello", 1, META);
    expect(fn).toHaveBeenCalledOnce();
  });

  test("wants a function", () => {
    expect(() => events.on("hello")).toThrow(TypeError);
  });

  test("an error is reported and stops no one else", () => {
    const [other, dom] = [vi.fn(), vi.fn()];
    events.on("hello", () => {
      throw new Error("mine");
    });
    events.on("hello", other);
    onDocument("serverpush:hello", dom);
    events.update("hello", 1, META);
    expect([reported, other.mock.calls.length, dom.mock.calls.length]).toEqual([["mine"], 1, 1]);
  });

  test("where the browser has no reportError, the console gets the error", () => {
    vi.stubGlobal("reportError", undefined);
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    events.on("hello", () => {
      throw new Error("mine");
    });
    events.update("hello", 1, META);
    expect(error.mock.calls[0][0].message).toBe("mine");
  });

  test("a control event's handler gets an event to prevent", () => {
    events.on("refresh", (data, event) => data.reason === "history" && event.preventDefault());
    expect(events.control("refresh", { reason: "history" })).toBe(false);
  });

  test("no handler prevents nothing", () => {
    expect(events.control("refresh", {})).toBe(true);
  });
});

describe("the DOM event", () => {
  test("has data as detail, and meta", () => {
    const fn = vi.fn();
    onDocument("serverpush:hello", fn);
    events.update("hello", { a: 1 }, META);
    const [[event]] = fn.mock.calls;
    expect([fn.mock.calls.length, event.detail, event.meta]).toEqual([1, { a: 1 }, META]);
  });

  test("bubbles to the window", () => {
    const fn = vi.fn();
    window.addEventListener("serverpush:hello", fn, { once: true });
    events.update("hello", 1, META);
    expect(fn).toHaveBeenCalledOnce();
  });

  test("prevents the default", () => {
    onDocument("serverpush:logout", (event) => event.preventDefault());
    expect(events.control("logout", {})).toBe(false);
  });

  test("keeps a name's dots", () => {
    const fn = vi.fn();
    onDocument("serverpush:a.b", fn);
    events.update("a.b", 1, META);
    expect(fn).toHaveBeenCalledOnce();
  });
});

describe.each([
  ["1.12", jquery1],
  ["3.7", jquery3],
  ["4.0", jquery4],
])("jQuery %s", (version, jQuery) => {
  const $ = jQuery;

  function bind(type, fn, target = document) {
    $(target).on(type, fn);
    cleanups.push(() => $(target).off(type, fn));
  }

  beforeEach(() => {
    window.jQuery = jQuery;
  });

  test("is the version it should be", () => {
    expect($.fn.jquery.startsWith(version)).toBe(true);
  });

  test("the seed's code works verbatim", () => {
    document.body.innerHTML = "old";
    cleanups.push(() => $(document).unbind("serverpush_username_change"));
    $(document).bind('serverpush_username_change', function(event, data) {
      $('body').html('Hey, ' + data.username + '!');
    });

    events.update("username_change", { username: "Ada" }, META);
    expect(document.body.innerHTML).toBe("Hey, Ada!");
  });

  test("gets event, data and meta, once", () => {
    const fn = vi.fn();
    bind("serverpush_hello", (event, ...args) => fn(event.type, event.meta, ...args));
    events.update("hello", { a: 1 }, META);
    expect(fn.mock.calls).toEqual([["serverpush_hello", META, { a: 1 }, META]]);
  });

  test("an array arrives as one argument", () => {
    const fn = vi.fn();
    bind("serverpush_hello", (event, ...args) => fn(...args));
    events.update("hello", [1, 2], META);
    expect(fn.mock.calls).toEqual([[[1, 2], META]]);
  });

  test.each([null, 0, "", false])("%j arrives as it is", (data) => {
    const fn = vi.fn();
    bind("serverpush_hello", (event, ...args) => fn(...args));
    events.update("hello", data, META);
    expect(fn.mock.calls).toEqual([[data, META]]);
  });

  test("a handler on the window is reached", () => {
    const fn = vi.fn();
    bind("serverpush_hello", fn, window);
    events.update("hello", 1, META);
    expect(fn).toHaveBeenCalledOnce();
  });

  test("a handler bound through jQuery to the DOM event runs once", () => {
    const fn = vi.fn();
    bind("serverpush:hello", fn);
    events.update("hello", 1, META);
    expect(fn).toHaveBeenCalledOnce();
  });

  test("all three ways run once each", () => {
    const [own, dom, jq] = [vi.fn(), vi.fn(), vi.fn()];
    events.on("hello", own);
    onDocument("serverpush:hello", dom);
    onDocument("serverpush_hello", dom);
    bind("serverpush_hello", jq);
    events.update("hello", 1, META);
    expect([own, dom, jq].map((fn) => fn.mock.calls.length)).toEqual([1, 1, 1]);
  });

  test("a dotted name reaches its own handler", () => {
    const fn = vi.fn();
    bind("serverpush_a.b", fn);
    events.update("a.b", 1, META);
    expect(fn).toHaveBeenCalledOnce();
  });

  test("a dotted name reaches no handler of a shorter or another name", () => {
    const fn = vi.fn();
    bind("serverpush_a", fn);
    bind("serverpush_a.c", fn);
    bind("serverpush_b", fn);
    events.update("a.b", 1, META);
    expect(fn).not.toHaveBeenCalled();
  });

  test("a handler's own jQuery namespace is left to it", () => {
    const fn = vi.fn();
    bind("serverpush_hello.widget", fn);
    events.update("hello", 1, META);
    expect(fn).toHaveBeenCalledOnce();
  });

  test("an error is reported and stops no other handler", () => {
    const other = vi.fn();
    bind("serverpush_hello", () => {
      throw new Error("mine");
    });
    bind("serverpush_hello", other);
    events.update("hello", 1, META);
    expect([reported, other.mock.calls.length]).toEqual([["mine"], 1]);
  });

  test("a handler's this is the document", () => {
    const fn = vi.fn();
    bind("serverpush_hello", function handler() {
      fn(this);
    });
    events.update("hello", 1, META);
    expect(fn.mock.calls[0][0]).toBe(document);
  });

  test("one() runs once", () => {
    const fn = vi.fn();
    $(document).one("serverpush_hello", fn);
    events.update("hello", 1, META);
    events.update("hello", 2, META);
    expect(fn).toHaveBeenCalledOnce();
  });

  test("preventDefault prevents", () => {
    bind("serverpush_refresh", (event) => event.preventDefault());
    expect(events.control("refresh", {})).toBe(false);
  });

  test("returning false prevents, as everywhere in jQuery", () => {
    bind("serverpush_refresh", () => false);
    expect(events.control("refresh", {})).toBe(false);
  });

  test("a control event has data and no meta", () => {
    const fn = vi.fn();
    bind("serverpush_logout", (event, ...args) => fn(...args));
    expect(events.control("logout", { why: 1 })).toBe(true);
    expect(fn.mock.calls).toEqual([[{ why: 1 }]]);
  });

  test("loaded after the client, it is found", () => {
    delete window.jQuery;
    events.update("hello", 1, META);
    window.jQuery = jQuery;
    const fn = vi.fn();
    bind("serverpush_hello", fn);
    events.update("hello", 2, META);
    expect(fn).toHaveBeenCalledOnce();
  });
});
