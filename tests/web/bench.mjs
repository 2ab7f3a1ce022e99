// Ocelli beside onnxruntime-web and transformers.js, in Chromium on its software adapter: the benchmark's page does the timing, in
// one run; cold starts, bytes and memory are measured here, each in a browser of its own. Prints a table, asserts nothing about time.
//   node bench.mjs [--model FOLDER] [--engines a,b] [--precision f32|q8|q4] [--rounds N] [--no-tiers] [--brief | --long | --zero-shot | --detect | --write [--tokens N]] [--no-cold] [--not-isolated] [--firefox]
//   node bench.mjs --startup [--model FOLDER] [--engines a]    how much later than its last byte and a warm run the first answer comes
//   node bench.mjs --smoke [--shots FOLDER]    whether the page works, with the built-in model and Ocelli alone
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { skipAll, start, startKept } from "./lib/browser.mjs";
import { startFirefox } from "./lib/firefox.mjs";
import { resident, watch } from "./lib/memory.mjs";
import { serve } from "./lib/server.mjs";
import { smoke } from "./lib/bench-smoke.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const target = join(process.env.CARGO_TARGET_DIR || join(root, "target"), "bench");
const site = join(target, "site");
/** A page may take this long for everything. */
const PATIENCE_MS = 4 * 3600_000;
// Without these wasm has one thread.
const isolation = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "same-origin",
};

const { values: options } = parseArgs({
  options: {
    "model": { type: "string", default: join(root, "www", "models", "ocelli-tiny") },
    "engines": { type: "string" },
    "precision": { type: "string", default: "f32" },
    "rounds": { type: "string", default: "5" },
    "no-tiers": { type: "boolean", default: false },
    "long": { type: "boolean", default: false },
    "zero-shot": { type: "boolean", default: false },
    "detect": { type: "boolean", default: false },
    "write": { type: "boolean", default: false },
    "tokens": { type: "string", default: "16" },
    "no-cold": { type: "boolean", default: false },
    "brief": { type: "boolean", default: false },
    "firefox": { type: "boolean", default: false },
    "not-isolated": { type: "boolean", default: false },
    "smoke": { type: "boolean", default: false },
    "startup": { type: "boolean", default: false },
    "shots": { type: "string" },
  },
});
if (!existsSync(join(site, "bench.html")))
  throw new Error(`${site}: expected the built page, found none: run ./build.sh bench-web`);

const folder = resolve(options.model);
const hasOnnx = existsSync(join(folder, "onnx"));
const all = [
  "ocelli",
  "ocelli-cpu",
  "ocelli-cpu-1",
  "ort-webgpu",
  "ort-wasm",
  "ort-wasm-1",
  "transformers-webgpu",
  "transformers-wasm",
  "wllama",
  "wllama-1",
];
const task = options.detect ? "detect" : options.write ? "write" : "classify";
/** Where nobody names any. */
const usual = () => {
  const beside = (...left) => all.filter((engine) => !left.includes(engine.split("-")[0]));
  // llama.cpp's files are of models that it runs.
  const others = existsSync(join(folder, "decoder-f32.gguf")) ? ["ort"] : ["ort", "wllama"];
  if (task === "write") return beside(...others).filter((engine) => !engine.endsWith("-1"));
  if (task === "detect" || options["zero-shot"]) return beside("ort", "wllama");
  if (!hasOnnx) return ["ocelli", "ocelli-cpu"];
  return options.firefox ? beside("transformers", "wllama") : beside("wllama");
};
const engines = options.engines?.split(",") ?? usual();
const unknown = engines.find((engine) => !all.includes(engine.split(":")[0]));
if (unknown) throw new Error(`--engines: expected some of ${all.join(", ")}, found ${unknown}`);

const server = await serve({ "/bench/": site, "/model/": dirname(folder) }, options["not-isolated"] ? {} : isolation);
const address = (page, query) =>
  `${server.url}bench/${page}?${new URLSearchParams({ model: `/model/${basename(folder)}/`, task, precision: options.precision, ...query })}`;
try {
  if (options.smoke) process.exitCode = await smoke(`${server.url}bench/bench.html`, options.shots);
  else if (options.startup) await startup(engines[0]);
  else if (options.firefox) await firefox();
  else await chromium();
} finally {
  server.close();
}

async function chromium() {
  const fresh = new Map();
  for (const engine of options["zero-shot"] || options.detect || options["no-cold"] ? [] : engines) {
    const found = await cold(engine);
    if (engine.startsWith("ocelli") && !found.error) {
      const kept = await cold(engine, { keep: 1 });
      Object.assign(found, { coldKept: kept.cold, memoryKept: kept.memory });
    }
    fresh.set(engine, found);
    console.log(
      `${engine}: ${found.error ?? `${(found.cold / 1000).toFixed(1)} s to the first answer, ${mb(found.bytes)} downloaded, ${mb(found.memory)} at the peak`}`,
    );
  }
  // What does not even start alone would only disturb the others.
  const able = engines.filter((engine) => !fresh.get(engine)?.error);
  const browser = await start();
  try {
    const page = await browser.newPage();
    const result = await timings(page, able, { version: browser.version() });
    for (const engine of engines)
      if (!able.includes(engine))
        result.columns.push({ engine, facts: "", figures: {}, error: fresh.get(engine).error });
    for (const { engine, figures } of result.columns) {
      const found = fresh.get(engine);
      if (!found || found.error) continue;
      for (const row of ["cold", "coldKept", "bytes", "code", "memory", "memoryKept"])
        if (found[row] >= 0) figures[row] = { samples: [found[row]] };
    }
    const named = {
      classify: "web",
      detect: `web-${basename(folder)}`,
      write: `web-${basename(folder)}-${options.precision}`,
    };
    await write(page, result, named[task]);
  } finally {
    await browser.close();
  }
}

/** The first answer in a fresh browser: how long since the navigation, what was sent for it, and the most memory meanwhile. */
async function cold(engine, more = {}) {
  const browser = await startKept();
  if (!browser) skipAll("no Chromium: install it, or set CHROMIUM to one");
  try {
    const page = await browser.newPage();
    await page.waitForTimeout(1000);
    const empty = resident();
    const sent = server.sent.length;
    const memory = watch();
    await page.goto(address("bench-frame.html", { engine, ...more }));
    await page.waitForFunction(() => window.cold, null, { timeout: PATIENCE_MS });
    const found = await page.evaluate(() => window.cold);
    const most = memory.end();
    if (found.error) return { error: found.error };
    const entries = server.sent.slice(sent);
    return {
      cold: found.done,
      memory: most - empty,
      bytes: entries.reduce((sum, { bytes }) => sum + bytes, 0),
      code: gzippedCode(entries),
    };
  } finally {
    await browser.close();
  }
}

/** On a network that is slower than the compilers, so that the download is what the first answer waits for. Three times. */
async function startup(engine) {
  for (let i = 0; i < 3; i++) {
    const browser = await start();
    if (!browser) skipAll("no Chromium: install it, or set CHROMIUM to one");
    try {
      const page = await browser.newPage();
      const devtools = await page.context().newCDPSession(page);
      await devtools.send("Network.enable");
      const rate = 2 << 20;
      await devtools.send("Network.emulateNetworkConditions", {
        offline: false,
        latency: 20,
        downloadThroughput: rate,
        uploadThroughput: rate,
      });
      await page.goto(address("bench-frame.html", { engine }));
      await page.waitForFunction(() => window.cold, null, { timeout: PATIENCE_MS });
      const { cold, last } = await page.evaluate(() => ({
        cold: window.cold,
        last: Math.max(...performance.getEntriesByType("resource").map(({ responseEnd }) => responseEnd)),
      }));
      if (cold.error) throw new Error(cold.error);
      const round = Math.round;
      console.log(
        `${engine}: all bytes here after ${round(last)} ms, first answer after ${round(cold.done)} ms, a warm one takes ${round(cold.warm)} ms: ${round(cold.done - last - cold.warm)} ms beyond both`,
      );
    } finally {
      await browser.close();
    }
  }
}

/** What of the page's own files went out, as a server that compresses would send it. */
function gzippedCode(entries) {
  const paths = new Set(
    entries.filter(({ path, bytes }) => path.startsWith("/bench/") && bytes).map(({ path }) => path),
  );
  return [...paths].reduce(
    (sum, path) => sum + gzipSync(readFileSync(join(site, path.slice("/bench/".length)))).length,
    0,
  );
}

/** All engines in one page, taking turns. */
async function timings(page, engines, { version }) {
  const more = [
    !options["no-tiers"] && engines.includes("ocelli") && "tiers",
    options.long && "long",
    options.brief && "brief",
    options["zero-shot"] && "zeroshot",
    task !== "classify" && task,
  ].filter(Boolean);
  const { rounds, tokens } = options;
  await page.goto(address("bench.html", { engines: [...engines, ...more].join(","), rounds, tokens, run: "" }));
  // What is known stays on the screen if the browser ends in the middle.
  const seen = new Set();
  let told = "";
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end;) {
    const [state, doing] = await page.evaluate(() => [
      document.documentElement.dataset.state,
      document.querySelector("#doing").textContent,
    ]);
    if (doing !== told) {
      told = doing;
      const columns = await page.evaluate(() => window.bench.result()?.columns ?? []);
      const fresh = samplesOf(columns).filter((line) => !seen.has(line));
      fresh.forEach((line) => console.log(`    ${line}`));
      fresh.forEach((line) => seen.add(line));
      console.log(`  ${told}`);
    }
    if (state === "done") break;
    await page.waitForTimeout(500);
  }
  const result = await page.evaluate(() => window.bench.result());
  if (!result)
    throw new Error(`the page says: ${await page.evaluate(() => document.querySelector("#trouble").textContent)}`);
  return { ...result, browser: `${result.browser} (${version})` };
}

/** Every figure so far, in words. */
function samplesOf(columns) {
  return columns.flatMap(({ engine, figures }) =>
    Object.entries(figures).map(([row, { samples }]) => `${engine}, ${row}: ${samples.map(Math.round).join(", ")}`),
  );
}

async function write(page, result, name) {
  const text = await page.evaluate((result) => window.bench.report(result), result);
  mkdirSync(target, { recursive: true });
  writeFileSync(join(target, `${name}.json`), `${JSON.stringify(result, null, 1)}\n`);
  writeFileSync(join(target, `${name}.md`), text);
  console.log(`\n${text}\nwritten to ${join(target, name)}.json and .md`);
}

/** Timings alone: its WebGPU runs on the system's Vulkan driver, so its figures stand beside nobody else's. */
async function firefox() {
  const browser = await startFirefox();
  if (!browser) skipAll("no Firefox: install it, or set FIREFOX to one");
  try {
    const page = await browser.newPage();
    const result = await timings(page, engines, { version: browser.version() });
    await write(page, result, "web-firefox");
  } finally {
    await browser.close();
  }
}

function mb(bytes) {
  return bytes >= 0 ? `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB` : "unknown";
}
