// @vitest-environment node
import { expect, test } from "vitest";

import { Replay } from "../src/replay.js";

test("asks for everything after the rendering until a safe position is known", () => {
  const replay = new Replay(1700000000.5);
  replay.take({ id: "e-0002" });
  expect(replay.since).toBe(1700000000.5);
});

test("asks for everything after the last safe position", () => {
  const replay = new Replay("1700000000.5");
  replay.take({ id: "e-0002", safe: "e-0001" });
  expect(replay.since).toBe("e-0001");
});

test("never goes back", () => {
  const replay = new Replay("0");
  replay.take({ id: "e-0005", safe: "e-0005" });
  replay.take({ id: "e-0004", safe: "e-0003" });
  expect(replay.since).toBe("e-0005");
});

test("an event is new once", () => {
  const replay = new Replay("0");
  expect([replay.take({ id: "e-1" }), replay.take({ id: "e-1" })]).toEqual([true, false]);
});

test("the suffix of an id counts", () => {
  const replay = new Replay("0");
  expect([replay.take({ id: "e-1.0" }), replay.take({ id: "e-1.1" })]).toEqual([true, true]);
});

test("a repeated event still moves the safe position", () => {
  const replay = new Replay("0");
  replay.take({ id: "e-1", safe: "e-0" });
  replay.take({ id: "e-1", safe: "e-1" });
  expect(replay.since).toBe("e-1");
});

test("an event without meta is always new and moves nothing", () => {
  const replay = new Replay("0");
  expect([replay.take(undefined), replay.take({}), replay.since]).toEqual([true, true, "0"]);
});

test("as many ids as it may are remembered, the oldest are forgotten", () => {
  const replay = new Replay("0", 2);
  for (const id of ["a", "b", "c"]) replay.take({ id });
  expect([replay.take({ id: "b" }), replay.take({ id: "a" })]).toEqual([false, true]);
});

test("of a page that is rendered anew, messages are known and updates are not", () => {
  const old = new Replay("100", 2);
  old.take({ id: "m-1", safe: "m-1" });
  old.take({ id: "u-2", safe: "u-2", model: "shop.item" });
  const replay = old.renewed("200");
  expect(replay.since).toBe("200");
  expect([replay.take({ id: "m-1" }), replay.take({ id: "u-2", model: "shop.item" })]).toEqual([false, true]);
  replay.take({ id: "m-3" });
  expect(replay.take({ id: "m-1" }), "no more are remembered than before").toBe(true);
});

test("after a restart the next position is taken, though it is lower", () => {
  const replay = new Replay("0");
  replay.advance("z-0009");
  replay.restart();
  replay.advance("a-0001");
  replay.advance("a-0000");
  expect(replay.since).toBe("a-0001");
});

test("without a time of its own it begins where the log stood at first", () => {
  const replay = new Replay();
  replay.ready("e-5", false);
  expect([replay.since, replay.safe]).toEqual(["e-5", null]);
  replay.ready("e-7", false);
  expect(replay.since).toBe("e-5");
  replay.ready("e-8", true);
  expect([replay.since, replay.safe]).toEqual(["e-8", "e-8"]);
});
