// Packs the npm package, installs the tarball into a fresh folder, opens it in Chromium, and compares it with the reference
// (tests/fixtures) and with the native program.
//   node package.mjs [PART…]              all parts by default; README.md says what each shows
//   node package.mjs --firefox [PART…]    in Firefox; by default what depends on the browser most
//   node package.mjs --begun=FOLDER       for several browsers at once: parts that none of them has begun, as FOLDER has it
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { access } from "./groups/access.mjs";
import { atOnce } from "./groups/at-once.mjs";
import { backends } from "./groups/backends.mjs";
import { batches } from "./groups/batches.mjs";
import { cache } from "./groups/cache.mjs";
import { calls } from "./groups/calls.mjs";
import { concurrency } from "./groups/concurrency.mjs";
import { converted } from "./groups/converted.mjs";
import { draw } from "./groups/draw.mjs";
import { errors } from "./groups/errors.mjs";
import { facts } from "./groups/facts.mjs";
import { abort, faults } from "./groups/faults.mjs";
import { find } from "./groups/find.mjs";
import { florence } from "./groups/florence.mjs";
import { gpu } from "./groups/gpu.mjs";
import { index } from "./groups/index.mjs";
import { inputs } from "./groups/inputs.mjs";
import { pictures } from "./groups/pictures.mjs";
import { labelCache } from "./groups/label-cache.mjs";
import { labels } from "./groups/labels.mjs";
import { layouts } from "./groups/layouts.mjs";
import { learn } from "./groups/learn.mjs";
import { lifecycle } from "./groups/lifecycle.mjs";
import { naflex } from "./groups/naflex.mjs";
import { numbers } from "./groups/numbers.mjs";
import { adapters, callbacks, manyLabels, manyPhotos, refused, stalled } from "./groups/pages.mjs";
import { manifest, shards } from "./groups/shards.mjs";
import { pytorch } from "./groups/pytorch.mjs";
import { servers } from "./groups/servers.mjs";
import { snippets } from "./groups/snippets.mjs";
import { sources } from "./groups/sources.mjs";
import { reloads, repeats, trap } from "./groups/staying.mjs";
import { templates } from "./groups/templates.mjs";
import { threads } from "./groups/threads.mjs";
import { tokenizers } from "./groups/tokenizers.mjs";
import { tiers } from "./groups/tiers.mjs";
import { table, towers } from "./groups/towers.mjs";
import { types } from "./groups/types.mjs";
import { use } from "./groups/use.mjs";
import { verify } from "./groups/verify.mjs";
import { vlm } from "./groups/vlm.mjs";
import { vlmChoices } from "./groups/vlm-choices.mjs";
import { vlmGpu } from "./groups/vlm-gpu.mjs";
import { vlmLife } from "./groups/vlm-life.mjs";
import { pipeline } from "./groups/pipeline.mjs";
import { vlmLocate } from "./groups/vlm-locate.mjs";
import { vlmPatterns } from "./groups/vlm-patterns.mjs";
import { vlmTalk } from "./groups/vlm-talk.mjs";
import { workers } from "./groups/workers.mjs";
import { adapterName, findChromium, listen, skipAll, start } from "./lib/browser.mjs";
import { findFirefox, startFirefox } from "./lib/firefox.mjs";
import { Fixtures, models } from "./lib/fixtures.mjs";
import { full } from "./lib/full.mjs";
import { install } from "./lib/install.mjs";
import { Native } from "./lib/native.mjs";
import { Report, toldSeconds } from "./lib/report.mjs";
import { serve } from "./lib/server.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const target = process.env.CARGO_TARGET_DIR || join(root, "target");

/** A fresh folder for the installed package, served at /site/; tests put their own files beside it. */
mkdirSync(join(target, "web"), { recursive: true });
const site = {
  folder: mkdtempSync(join(target, "web", "site-")),
  path: (name) => join(site.folder, name),
  url: (name) => `/site/${name}`,
  write(name, make) {
    if (!existsSync(site.path(name))) writeFileSync(site.path(name), make());
    return name;
  },
};

/** Models whose numbers come from the software adapter in every test. The others' come from the CPU here, and natively from both. */
const ON_GPU = ["clip", "siglip"];

const everyPart = {
  "numbers": async (test) => {
    // What differs from browser to browser does so for every model.
    for (const model of inFirefox && !full ? ON_GPU : models) {
      const server = full || ON_GPU.includes(model) ? test.server : test.cpuServer;
      // On a page of its own: the browser writes on its console that a folder in open_clip's format has no config.json.
      const own = server !== test.server || model.startsWith("open-clip");
      const page = own ? await test.browser.newPage() : test.page;
      if (own) await page.goto(server.page);
      await numbers({ ...test, server, page, model });
      if (own) await page.close();
    }
  },
  naflex,
  find,
  vlm,
  "vlm-choices": vlmChoices,
  "vlm-patterns": vlmPatterns,
  "vlm-talk": vlmTalk,
  "vlm-life": vlmLife,
  "vlm-gpu": vlmGpu,
  "vlm-locate": vlmLocate,
  florence,
  pipeline,
  inputs,
  pictures,
  use,
  types,
  batches,
  labels,
  "at-once": atOnce,
  templates,
  learn,
  "label-cache": labelCache,
  shards,
  manifest,
  pytorch,
  layouts,
  towers,
  table,
  tokenizers,
  verify,
  tiers,
  errors,
  calls,
  gpu,
  lifecycle,
  concurrency,
  backends,
  workers,
  threads,
  adapters,
  stalled,
  refused,
  callbacks,
  "many-labels": manyLabels,
  "many-photos": manyPhotos,
  draw,
  trap,
  reloads,
  repeats,
  index,
  sources,
  access,
  cache,
  converted,
  faults,
  servers,
  abort,
  snippets,
  facts,
};
/**
 * Where files come from and what is asked of them is the same on both engines; a software adapter compiles shaders for seconds at each
 * load, and the CPU starts at once.
 */
const onCpu = new Set([
  "pipeline",
  "shards",
  "manifest",
  "pytorch",
  "layouts",
  "towers",
  "table",
  "sources",
  "access",
  "cache",
  "faults",
]);
/** What is about tiers, or about what the browser computes: in the tier that wins. The others are compiled in a tenth of the time. */
const inBestTier = new Set(["numbers", "find", "vlm", "vlm-choices", "vlm-gpu", "tiers", "backends", "adapters"]);
const inFirefox = process.argv.includes("--firefox");
/** What a browser is known to do to pictures; whatever is not said here must be exact. */
const quirks = { multipliesAlpha: inFirefox }; // Firefox 153, whatever createImageBitmap is asked
/** All that takes the software adapter many minutes, and that the Rust tests show of the same shaders: when it is asked for, or all is. */
const LONG = ["tiers"];
/** A folder with a folder for each part that this or another browser has begun. */
const begun = process.argv.find((word) => word.startsWith("--begun="))?.slice("--begun=".length);
const asked = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const core = [
  "numbers",
  "inputs",
  "use",
  "vlm",
  "batches",
  "labels",
  "label-cache",
  "towers",
  "calls",
  "gpu",
  "workers",
  "cache",
  "abort",
];
const usual = inFirefox ? core : Object.keys(everyPart).filter((part) => full || !LONG.includes(part));
const parts = asked.length ? asked : usual;
/** Whether nobody has begun this part; from now on, somebody has. */
const takes = (part) => begun === undefined || mkdirSync(join(begun, part), { recursive: true }) !== undefined;

/** The browser, its name and where it is. `insecure.test` is a site that it does not take for secure. */
const name = inFirefox ? "Firefox" : "Chromium";
const startOwn = () => (inFirefox ? startFirefox() : start(["--host-resolver-rules=MAP insecure.test 127.0.0.1"]));
const path = inFirefox ? findFirefox() : findChromium();

async function main() {
  process.on("exit", () => rmSync(site.folder, { recursive: true, force: true }));
  const browser = await startOwn();
  if (!browser) skipAll(`no ${name}: install it, or set ${name.toUpperCase()} to its path`);
  const files = install(join(root, "pkg"), site.folder);
  const fixtures = new Fixtures(join(root, "tests", "fixtures"));
  const mounts = {
    "/site/": site.folder,
    "/page/": join(here, "page"),
    "/fixtures/": fixtures.folder,
    "/models/": join(root, "www", "models"),
  };
  const [server, other] = [await serve(mounts), await serve(mounts)];
  server.page = `${server.url}page/index.html`;
  server.search = "";
  const report = new Report();
  try {
    const adapter = await adapterName(browser, server.page);
    if (!adapter) skipAll(`${path} gives no WebGPU adapter`);
    console.log(`${name} ${browser.version()}, WebGPU adapter ${adapter}`);
    await run({ browser, startOwn, server, other, site, files, fixtures, report, root });
  } finally {
    await browser.close();
    server.close();
    other.close();
  }
  console.log(report.verdict());
  process.exitCode = report.failed ? 1 : 0;
}

async function run(test) {
  const native = new Native(join(target, "debug", "ocelli"));
  const complaints = [];
  const open = async (server) => {
    const page = await test.browser.newPage();
    listen(page, complaints);
    await page.goto(server.page);
    return { server, page };
  };
  const onGpu = await open(test.server);
  const asked = (search) => open({ ...test.server, search, page: `${test.server.page}${search}` });
  const [onlyCpu, inPlain] = [await asked("?backend=cpu"), await asked("?tier=plain")];
  const seconds = [];
  for (const part of parts) {
    if (!everyPart[part]) throw new Error(`part: expected one of ${Object.keys(everyPart).join(", ")}, found ${part}`);
    if (!takes(part)) continue;
    const start = performance.now();
    try {
      const cheap = onCpu.has(part) ? onlyCpu : inBestTier.has(part) ? onGpu : inPlain;
      const place = full ? onGpu : cheap;
      await everyPart[part]({ ...test, native, quirks, cpuServer: onlyCpu.server, ...place });
    } catch (error) {
      test.report.end();
      test.report.fail(part, String(error.stack ?? error));
    }
    seconds.push([part, (performance.now() - start) / 1000]);
  }
  const group = test.report.group("console and network of the page");
  group.same("complaints", [...complaints], []);
  for (const trouble of ["console.error('x')", "console.warn('x')", "setTimeout(() => { throw new Error('x') })"]) {
    complaints.length = 0;
    await onGpu.page.evaluate(trouble);
    // Firefox tells of an error that nobody caught when it has the time.
    for (let waits = 20; complaints.length === 0 && waits > 0; waits--) await onGpu.page.waitForTimeout(250);
    group.rejects(trouble, [...complaints], []);
  }
  test.report.end();
  console.log(toldSeconds(seconds));
}

await main();
