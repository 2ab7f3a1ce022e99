// Small projects that use the package as its users do, from tests/web/consumers or the examples: each has the packed tarball, is bundled
// for production, opened in Chromium under a strict content security policy, and asked for the reference's numbers.
//   node consumers.mjs [NAME…]            all of them by default
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { adapterName, findChromium, listen, skipAll, start, startExtension } from "./lib/browser.mjs";
import { Fixtures } from "./lib/fixtures.mjs";
import { addToProjects, packages, projectOf } from "./lib/install.mjs";
import { different, largest, Report } from "./lib/report.mjs";
import { serve } from "./lib/server.mjs";
import { intoShards } from "./lib/shards.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
/**
 * How each is bundled, as its users would type it, and its page; which of them talk although nothing is wrong. Of an `example` the file
 * `entry` has the test's app in place of its own.
 */
const consumers = {
  "vite": { example: "vanilla", entry: "main.js", build: "vite build --logLevel warn", page: "dist/index.html" },
  "webpack": { build: "webpack --fail-on-warnings", talks: true, page: "index.html" },
  "rollup": { build: "rollup --config --silent && cp ../node_modules/ocelli/dist/*.wasm dist/", page: "index.html" },
  "esbuild": {
    build:
      "esbuild main.js worker=ocelli/worker --bundle --minify --splitting --format=esm --loader:.wasm=file --outdir=dist --log-level=warning",
    page: "index.html",
  },
  "next": { example: "next", entry: "app/Labeller.jsx", build: "next build", talks: true, page: "out/index.html" },
  "import-map": { build: "", page: "index.html" },
  "extension": { example: "extension", entry: "main.js", build: "vite build --logLevel warn", page: "dist/index.html" },
};
const entries = {
  "main.js": 'import { app } from "../../app.js";\n\napp();\n',
  "app/Labeller.jsx": `"use client";

import { useEffect } from "react";
import { app } from "../../../app.js";

export function Labeller() {
  useEffect(() => app(), []);
  return <main>Ocelli</main>;
}
`,
};
/** Between them they fetch every file of the package; a tier that is given need not be raced for. */
const ways = [
  { backend: "webgpu", tier: "plain" },
  { backend: "webgpu", tier: "plain", worker: true },
  { backend: "cpu", worker: true },
];

const MODEL = "clip";
const PICTURE = "rgb-61x37.png";
const ANOTHER = "tall-23x97.png";
/** As in groups/numbers.mjs. */
const CLOSE = 1e-4;

const fixtures = new Fixtures(join(root, "tests", "fixtures"));
const golden = fixtures.golden(MODEL);
/** All but the empty text, which is no label. */
const texts = golden.texts.map((text, i) => ({ ...text, i })).filter(({ text }) => text !== "");
const labels = texts.map(({ text }) => text);

async function main() {
  const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(consumers);
  const unknown = names.find((name) => !consumers[name]);
  if (unknown) throw new Error(`consumer: expected one of ${Object.keys(consumers).join(", ")}, found ${unknown}`);
  const browser = await start();
  if (!browser) skipAll("no Chromium: install it, or set CHROMIUM to one");
  addToProjects();
  const report = new Report();
  try {
    await requireAdapter(browser);
    for (const name of names) {
      const folder = build(name);
      await (name === "extension" ? extension(folder, report) : site(name, folder, browser, report));
    }
  } finally {
    await browser.close();
  }
  report.end();
  process.exitCode = report.failed ? 1 : 0;
}

async function requireAdapter(browser) {
  const server = await serve({ "/page/": join(here, "page") });
  if (!(await adapterName(browser, `${server.url}page/index.html`)))
    skipAll(`${findChromium()} gives no WebGPU adapter`);
  server.close();
}

/** Builds one, and returns its folder. Fails on a warning as on an error. */
function build(name) {
  const { example, entry, build, talks } = consumers[name];
  const cwd = example ? projectOf(example, name) : join(packages, name);
  if (example) writeFileSync(join(cwd, entry), entries[entry]);
  for (const made of ["dist", "out", ".next"]) rmSync(join(cwd, made), { recursive: true, force: true });
  const bin = [cwd, packages].map((folder) => join(folder, "node_modules", ".bin"));
  const env = { ...process.env, PATH: [...bin, process.env.PATH].join(delimiter), NEXT_TELEMETRY_DISABLED: "1" };
  const { status, stdout } = spawnSync("sh", ["-c", `exec 2>&1; ${build}`], { cwd, env, encoding: "utf8" });
  // How long Vite's own plugins took is no complaint about the project.
  const said = stdout.replace(/\S*\[PLUGIN_TIMINGS\][\s\S]*?for more details\.\n*/g, "");
  if (status !== 0 || (said && !talks))
    throw new Error(`${name}: expected a build without a word, found status ${status} and:\n${stdout}`);
  return cwd;
}

async function site(name, folder, browser, report) {
  const file = join(folder, consumers[name].page);
  // What is no example may have files beside it.
  const served = consumers[name].example ? dirname(file) : packages;
  const server = await serve(
    { "/fixtures/": fixtures.folder, "/": served },
    { "content-security-policy": policy(file) },
  );
  const page = await browser.newPage();
  try {
    await judge(page, server.url + relative(served, file), report, name);
  } finally {
    await page.close();
    server.close();
  }
}

/** Nothing but files of the site; an inline script, such as an import map, is let in by its hash. */
function policy(file) {
  const inline = [...readFileSync(file, "utf8").matchAll(/<script(?![^>]*\ssrc=)[^>]*>([\s\S]*?)<\/script>/g)];
  const hashes = inline.map(([, text]) => ` 'sha256-${createHash("sha256").update(text).digest("base64")}'`);
  return `script-src 'self' 'wasm-unsafe-eval'${hashes.join("")}; worker-src 'self'`;
}

/** Its manifest has the policy; model and picture are part of it. */
async function extension(project, report) {
  const folder = join(project, "dist");
  for (const path of [MODEL, join("images", PICTURE)])
    cpSync(join(fixtures.folder, path), join(folder, "fixtures", path), { recursive: true });
  intoShards(join(fixtures.folder, MODEL), join(folder, "fixtures", "shards"));
  const { context, url } = await startExtension(folder);
  try {
    await judge(await context.newPage(), `${url}index.html`, report, "extension");
    await itsFiles(await context.newPage(), `${url}index.html`, report);
  } finally {
    await context.close();
  }
}

/** An extension's own address answers ranges with status 200: what reads parts of files has the reference's numbers as well. */
async function itsFiles(page, address, report) {
  await page.goto(address);
  await page.waitForFunction(() => globalThis.ask, null, { timeout: 30_000 });
  const status = await page.evaluate(async (file) => {
    const response = await fetch(file, { headers: { range: "bytes=0-7" } });
    return [response.status, (await response.arrayBuffer()).byteLength];
  }, `/fixtures/${MODEL}/model.safetensors`);
  report.note("extension: a range of 8 bytes", `status ${status[0]}, ${status[1]} bytes`);
  const numbers = report.group("extension: shards, one tower, rows", largest, CLOSE);
  const { embedding } = golden.images[PICTURE];
  for (const folder of [`/fixtures/${MODEL}/`, "/fixtures/shards/"]) {
    for (const [expected, way] of [
      [embedding, { towers: "vision" }],
      [embedding, { towers: "both", worker: true }],
      [texts[0].embedding, { towers: "text" }],
      [texts[0].embedding, { towers: "text", tokenTable: "server" }],
    ]) {
      const how = { backend: "cpu", ...way };
      const question = [folder, `/fixtures/images/${PICTURE}`, labels, how];
      const found = await page.evaluate((question) => globalThis.askTower(...question), question);
      numbers.same(`${folder} ${JSON.stringify(way)}`, found, expected);
      numbers.rejects(`${folder} ${JSON.stringify(way)}: another picture's`, found, golden.images[ANOTHER].embedding);
    }
  }
  const quiet = report.group("extension: its own files are not kept twice", different);
  const kept = () => page.evaluate(async () => (await (await caches.open("ocelli")).keys()).map(({ url }) => url));
  quiet.same("what is kept", await kept(), []);
  await page.evaluate(async () => (await caches.open("ocelli")).put("https://a.invalid/", new Response("x")));
  quiet.rejects("something that is kept", await kept(), []);
  await page.close();
}

/** The page at `address` gives the reference's numbers in every way, and nobody complains. */
async function judge(page, address, report, name) {
  const complaints = listen(page);
  await page.goto(address);
  await page.waitForFunction(() => globalThis.ask, null, { timeout: 30_000 });
  const numbers = report.group(`${name}: scores, embeddings, search`, largest, CLOSE);
  for (const way of ways) {
    const question = [`/fixtures/${MODEL}/`, `/fixtures/images/${PICTURE}`, labels, way];
    const { scores, image, text, hit, threads } = await page.evaluate(
      (question) => globalThis.ask(...question),
      question,
    );
    const found = [...scores, ...image, ...text, hit.score];
    numbers.same(JSON.stringify(way), found, expected(PICTURE));
    numbers.holds(`${JSON.stringify(way)}: the hit`, hit.id === nearest(PICTURE).id, hit.id);
    if (way.backend === "cpu")
      numbers.holds(
        "threads",
        threads === (await page.evaluate(() => Math.min(navigator.hardwareConcurrency, 4))),
        threads,
      );
    numbers.rejects(`${JSON.stringify(way)}: another picture's`, found, expected(ANOTHER));
  }
  const quiet = report.group(`${name}: policy, console, network`, different);
  quiet.same("complaints", [...complaints], []);
  // The checks on trial: a page without that policy would run this script, and a deaf test would not hear of it.
  const inline = await page.evaluate(() => {
    document.head.append(Object.assign(document.createElement("script"), { textContent: "globalThis.inline = 'run'" }));
    return globalThis.inline ?? "refused";
  });
  quiet.same("an inline script", [inline], ["refused"]);
  await page.waitForTimeout(50);
  quiet.rejects("a refused script", [...complaints], []);
}

function expected(picture) {
  const scores = texts.map(({ i }) => golden.logits_per_image[picture][i]);
  return [...scores, ...golden.images[picture].embedding, ...texts[0].embedding, nearest(picture).score];
}

/** The label whose embedding is nearest, which the search must find. */
function nearest(picture) {
  const { embedding } = golden.images[picture];
  const scores = texts.map((text) => text.embedding.reduce((sum, x, i) => sum + x * embedding[i], 0));
  const score = Math.max(...scores);
  return { id: labels[scores.indexOf(score)], score };
}

await main();
