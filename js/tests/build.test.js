// @vitest-environment node
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

const BUILT = readFileSync(new URL("../../serverpush/static/serverpush/serverpush.js", import.meta.url), "utf8");
const NAMES = ["socket.io-client", "engine.io-client", "socket.io-parser", "engine.io-parser", "component-emitter", "idiomorph"];

test("the built file is what the sources build", () => {
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, ["build.js", "--check"], { cwd, encoding: "utf8" });
  expect([status, stdout, stderr]).toEqual([0, "", ""]);
});

test("it runs where a policy forbids eval", () => {
  expect(BUILT.match(/\beval\(|\bFunction\(/g)).toBeNull();
});

test.each(NAMES)("it names %s and its licence", (name) => {
  const [banner] = BUILT.split("*/");
  expect(banner).toMatch(new RegExp(`${name} [\\d.]+, (MIT, Copyright \\(c\\)|0BSD)`));
});
