import { readFileSync } from "node:fs";

import { defineConfig } from "vitest/config";

const { version } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));

export default defineConfig({
  define: { VERSION: JSON.stringify(version) },
  test: {
    environment: "jsdom",
    isolate: false, // starting jsdom for each file takes longer than the tests
    environmentOptions: { jsdom: { url: "http://127.0.0.1/list/?page=2" } },
    setupFiles: ["tests/setup.js"],
    include: ["tests/**/*.test.js"],
    restoreMocks: true,
  },
});
