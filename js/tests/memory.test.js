import { beforeEach, expect, test } from "vitest";

import { Memory } from "../src/memory.js";

const SERIES = { count: 3, last: 1_000, wait: 0 };
const KEY = "serverpush-refreshes";

/** Another page of this tab. */
function visit(path) {
  globalThis.jsdom.reconfigure({ url: `http://shop.example${path}` });
  return new Memory(window);
}

beforeEach(() => {
  visit("/");
  sessionStorage.clear();
});

test("an address is remembered by the tab's next page, its fragment aside", () => {
  visit("/list/?page=2#row-7").save(SERIES);
  expect(visit("/list/?page=2").load()).toEqual(SERIES);
});

test.each(["/list/?page=3", "/"])("of %s nothing is known by that", (path) => {
  visit("/list/?page=2").save(SERIES);
  expect(visit(path).load()).toBeNull();
});

test("the last twenty addresses are kept", () => {
  for (let page = 0; page <= 20; page += 1) visit(`/list/?page=${page}`).save(SERIES);
  visit("/list/?page=1").save(SERIES);
  visit("/list/?page=21").save(SERIES);
  const known = Array.from({ length: 22 }, (_, page) => visit(`/list/?page=${page}`).load() !== null);
  expect(known).toEqual([false, true, false, ...Array(19).fill(true)]);
});

test.each(["{", "5", "null", '{"http://shop.example/": {"count": 3, "last": "x", "wait": 0}}'])(
  "%s in its place is nothing",
  (text) => {
    sessionStorage.setItem(KEY, text);
    expect(visit("/").load()).toBeNull();
  },
);

test.each([
  ["missing", {}],
  [
    "forbidden",
    {
      get sessionStorage() {
        throw new DOMException("no", "SecurityError");
      },
    },
  ],
  [
    "full",
    {
      sessionStorage: {
        getItem: () => null,
        setItem() {
          throw new DOMException("no", "QuotaExceededError");
        },
      },
    },
  ],
])("storage that is %s is done without", (_, withStorage) => {
  const memory = new Memory(Object.assign(withStorage, { location: window.location }));
  memory.save(SERIES);
  expect(memory.load()).toBeNull();
});
