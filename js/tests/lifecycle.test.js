import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Lifecycle } from "../src/lifecycle.js";

let actions;
let lifecycle;

const calls = () => Object.entries(actions).flatMap(([name, fn]) => fn.mock.calls.map(() => name));

function transition(type, persisted) {
  window.dispatchEvent(Object.assign(new Event(type), { persisted }));
}

function becomeVisible(hidden) {
  vi.spyOn(document, "hidden", "get").mockReturnValue(hidden);
  document.dispatchEvent(new Event("visibilitychange"));
}

beforeEach(() => {
  vi.useFakeTimers();
  actions = { suspend: vi.fn(), resume: vi.fn(), check: vi.fn(), networkLost: vi.fn() };
  lifecycle = new Lifecycle(window, actions);
  lifecycle.start();
});

afterEach(() => {
  lifecycle.stop();
  vi.useRealTimers();
});

test.each([
  ["a page that is put away is suspended", () => transition("pagehide", true), ["suspend"]],
  ["one that comes back is resumed", () => transition("pageshow", true), ["resume"]],
  ["one that is shown first is not", () => transition("pageshow", false), []],
  ["a hidden page is left alone", () => becomeVisible(true), []],
  ["a visible one is checked", () => becomeVisible(false), ["check"]],
  ["a returning network is checked", () => transition("online"), ["check"]],
  ["a lost one is passed on", () => transition("offline"), ["networkLost"]],
])("%s", (_, happen, expected) => {
  happen();
  expect(calls()).toEqual(expected);
});

test("after a sleep the connection is checked, once", () => {
  vi.advanceTimersByTime(20_000);
  expect(calls()).toEqual([]);
  vi.setSystemTime(Date.now() + 3_600_000);
  vi.advanceTimersByTime(20_000);
  expect(calls()).toEqual(["check"]);
});

test("started twice it listens once", () => {
  lifecycle.start();
  transition("online");
  expect(calls()).toEqual(["check"]);
});

test("stopped, twice, it hears and watches nothing", () => {
  lifecycle.stop();
  lifecycle.stop();
  transition("online");
  transition("pagehide", true);
  expect([calls(), vi.getTimerCount()]).toEqual([[], 0]);
});
