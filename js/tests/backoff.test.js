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

/** How long each of many runs waits, the next being asked for `pace` after the last. */
function waitsOf(throttle, pace, runs = 12) {
  let now = 1_000_000;
  return Array.from({ length: runs }, () => {
    const wait = throttle.next(now);
    now += wait + pace;
    return wait;
  });
}

test("five runs a minute pass at once", () => {
  const throttle = new Throttle();
  const waits = [0, 1_000, 2_000, 3_000, 4_000].map((now) => throttle.next(now));
  expect(waits).toEqual([0, 0, 0, 0, 0]);
});

test.each([10, 20_000, 59_000])("a loop of %d ms is slowed down twice as much each time, up to the longest wait", (pace) => {
  const waits = waitsOf(new Throttle(), pace);
  expect(waits).toEqual([0, 0, 0, 0, 0, 60_000, 120_000, 240_000, 480_000, 900_000, 900_000, 900_000]);
});

test("runs that are minutes apart never wait", () => {
  expect(waitsOf(new Throttle(), 120_000, 500).every((wait) => wait === 0)).toBe(true);
});

test("a clock that is set back ends the series", () => {
  const throttle = new Throttle();
  for (let run = 0; run < 5; run += 1) throttle.next(86_400_000 + run);
  expect(throttle.next(0)).toBe(0);
});

test("what is remembered goes on", () => {
  let kept = null;
  const memory = {
    load: () => kept,
    save: (series) => {
      kept = series;
    },
  };
  const waits = [0, 1, 2, 3, 4, 5, 6].map((now) => new Throttle({ memory }).next(now));
  expect(waits).toEqual([0, 0, 0, 0, 0, 60_000, 120_000]);
});

test("after a quiet time runs pass at once again", () => {
  const throttle = new Throttle();
  for (let run = 0; run < 6; run += 1) throttle.next(run);
  const later = 10 * 60_000;
  expect([0, 1, 2, 3, 4, 5].map((second) => throttle.next(later + second))).toEqual([0, 0, 0, 0, 0, 60_000]);
});
