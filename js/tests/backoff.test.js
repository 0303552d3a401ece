// @vitest-environment node
import { expect, test } from "vitest";

import { Backoff, Throttle } from "../src/backoff.js";

test("waits double up to the longest", () => {
  const backoff = new Backoff({ min: 500, max: 10_000, random: () => 0.5 });
  const waits = Array.from({ length: 7 }, () => backoff.next());
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
});

test.each([
  [0, 250],
  [1, 750],
])("chance %d makes the first wait %d ms", (chance, wait) => {
  expect(new Backoff({ min: 500, max: 10_000, random: () => chance }).next()).toBe(wait);
});

test("a reset starts over", () => {
  const backoff = new Backoff({ min: 500, max: 10_000, random: () => 0.5 });
  backoff.next();
  backoff.next();
  backoff.reset();
  expect(backoff.next()).toBe(500);
});

test("five runs a minute pass at once", () => {
  const throttle = new Throttle();
  const waits = [0, 1_000, 2_000, 3_000, 4_000].map((now) => throttle.next(now));
  expect(waits).toEqual([0, 0, 0, 0, 0]);
});

test("a loop is slowed down twice as much each time, up to the longest wait", () => {
  const throttle = new Throttle();
  let now = 0;
  const waits = Array.from({ length: 12 }, () => {
    const wait = throttle.next(now);
    now += wait + 10;
    return wait;
  });
  expect(waits.slice(5)).toEqual([60_000, 120_000, 240_000, 480_000, 900_000, 900_000, 900_000]);
});

test("after a quiet time runs pass at once again", () => {
  const throttle = new Throttle();
  for (let run = 0; run < 6; run += 1) throttle.next(run);
  const later = 10 * 60_000;
  expect([0, 1, 2, 3, 4, 5].map((second) => throttle.next(later + second))).toEqual([0, 0, 0, 0, 0, 60_000]);
});
