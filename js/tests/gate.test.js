// @vitest-environment node
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Gate } from "../src/gate.js";

let handed;
let gate;

beforeEach(() => {
  vi.useFakeTimers();
  handed = [];
  gate = new Gate((...message) => handed.push(message));
});

afterEach(() => vi.useRealTimers());

test("lets through what comes", () => {
  gate.pass("hello", 1);
  expect(handed).toEqual([["hello", 1]]);
});

test("keeps back what comes while it is shut, and lets it through in order", () => {
  gate.shut();
  gate.pass(1);
  gate.shut();
  gate.pass(2);
  expect(handed).toEqual([]);
  gate.open();
  gate.pass(3);
  expect(handed).toEqual([[1], [2], [3]]);
});

test("lets each through once", () => {
  gate.shut();
  gate.pass(1);
  gate.open();
  gate.open();
  expect(handed).toEqual([[1]]);
});

test("opens by itself in the end, each time that it is shut", () => {
  gate.shut();
  vi.advanceTimersByTime(9_000);
  gate.open();
  gate.shut();
  gate.pass(1);
  vi.advanceTimersByTime(9_000);
  expect(handed).toEqual([]);
  vi.advanceTimersByTime(1_000);
  expect(handed).toEqual([[1]]);
});
