import { readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const BUNDLE = join(HERE, "../serverpush/static/serverpush/serverpush.js");
const { version } = readJSON("package.json");

function readJSON(path) {
  return JSON.parse(readFileSync(join(HERE, path), "utf8"));
}

// engine.io-client's last resort, for engines without globalThis, is one that
// audits of content security policies take for eval.
const withoutEval = {
  name: "without-eval",
  setup(esbuild) {
    esbuild.onLoad({ filter: /engine\.io-client\/build\/esm\/globals\.js$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      return { contents: source.replace('Function("return this")()', "globalThis") };
    });
  },
};

function bundle(header) {
  return build({
    absWorkingDir: HERE,
    entryPoints: ["src/index.js"],
    outfile: "serverpush.js",
    bundle: true,
    write: false,
    metafile: true,
    minify: true,
    format: "iife",
    target: "es2020",
    charset: "ascii",
    legalComments: "inline",
    define: { VERSION: JSON.stringify(version) },
    banner: { js: header },
    plugins: [withoutEval],
  });
}

function bundledPackages({ inputs }) {
  const names = Object.keys(inputs)
    .map((input) => input.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1])
    .filter(Boolean);
  return [...new Set(names)].sort();
}

function describe(name) {
  const { version: release, license } = readJSON(`node_modules/${name}/package.json`);
  const text = readFileSync(join(HERE, "node_modules", name, "LICENSE"), "utf8");
  const copyright = text.match(/^.*copyright \(c\).*$/im)?.[0].trim().replace(/^\(The MIT License\)\s*/, "");
  return ` *   ${name} ${release}, ${license}${copyright ? `, ${copyright}` : ""}`;
}

function permission(name) {
  const text = readFileSync(join(HERE, "node_modules", name, "LICENSE"), "utf8");
  return text
    .slice(text.indexOf("Permission is hereby granted"))
    .trim()
    .split("\n")
    .map((line) => ` * ${line}`.trimEnd());
}

function banner(packages) {
  return [
    "/*!",
    ` * django-serverpush ${version}: built from js/ by \`npm run build\`, not to be edited`,
    " *",
    " * Contains:",
    ...packages.map(describe),
    " *",
    " * The MIT licence of those that name it:",
    " *",
    ...permission("socket.io-client"),
    " */",
  ].join("\n");
}

async function buildText() {
  const { metafile } = await bundle("");
  const { outputFiles } = await bundle(banner(bundledPackages(metafile)));
  return outputFiles[0].text;
}

async function check(text) {
  let committed = null;
  try {
    committed = readFileSync(BUNDLE, "utf8");
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
  if (committed === text) return;
  console.error(`${relative(process.cwd(), BUNDLE)} is not what js/src builds: run \`npm run build\` in js/.`);
  process.exitCode = 1;
}

const text = await buildText();
if (process.argv.includes("--check")) {
  await check(text);
} else {
  await mkdir(dirname(BUNDLE), { recursive: true });
  await writeFile(BUNDLE, text);
  console.log(`${relative(process.cwd(), BUNDLE)}: ${text.length} bytes`);
}
